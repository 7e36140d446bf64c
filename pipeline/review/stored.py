"""Find a stored configuration, and load its artifacts and its candles again.

What `pipeline.explain`, `pipeline.verify` and `pipeline.monitor` share.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from gpu_engine import DAY_MS, Candles, choose
from pipeline.cli.arguments import LATEST
from pipeline.cli.console import Console
from pipeline.config import (
    CcxtData,
    FileData,
    SimulationConfig,
    StorageConfig,
    StorageOnly,
    StrategyConfig,
    SyntheticData,
    moment,
    validate,
)
from pipeline.errors import (
    Note,
    ReadOnlyError,
    UnknownIdError,
    UnreachableError,
    UserError,
    in_one_line,
    suggestion,
)
from pipeline.market_data.funding import FUNDING
from pipeline.market_data.raw import uncovered, united
from pipeline.market_data.sources import MarketCandles, NoCandlesError
from pipeline.market_data.store import month
from pipeline.market_data.store.store import candle_path, load, locked, month_files
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.results.access.address import parse_url
from pipeline.results.artifacts.artifact_set import ArtifactSet, read_artifacts
from pipeline.results.artifacts.digests import differences
from pipeline.results.damage import DamagedRowError
from pipeline.results.database import Repository, open_database
from pipeline.results.records import Configuration
from pipeline.search import Evaluator, single_point
from pipeline.training.candles import load_candles
from pipeline.validation.wording import market_name

Data = CcxtData | FileData | SyntheticData


class UnreadableRecordError(UserError):
    """The artifacts are there, but not as they were written: no mistake of whoever asks."""

    status = 1


@contextmanager
def open_existing(config: StorageOnly) -> Iterator[Repository]:
    """Open the database of a configuration, which must be there already.

    One that may only be read is opened for that; its ``read_only`` says so.

    Raises
    ------
    UserError
        When there is no such database.
    """
    url = parse_url(config.storage.url)
    if url.drivername == "sqlite" and not Path(url.database or "").exists():
        raise UserError(
            f"There is no database {url.database}: nothing was trained into it. Work in the folder"
            " of the training, or say where it is: storage.url=sqlite:///FILE."
        )
    storage, note = config.storage, Console().note
    try:
        repository = open_database(storage.url, storage.patience, note, writes=False)
    except ReadOnlyError:
        repository = open_database(storage.url, storage.patience, note, read_only=True)
    with repository:
        yield repository


def find(repository: Repository, configuration_id: str) -> Configuration:
    """Read a configuration by its id, or the newest for ``latest``.

    Raises
    ------
    UserError
        When there is none; it suggests the nearest.
    DamagedRowError
        When its row holds what no training stores.
    """
    configurations = repository.configurations
    if configuration_id == LATEST:
        newest = configurations.ids()[:1]
        if not newest:
            raise UserError("No configuration is stored in this database: train one first.")
        (configuration_id,) = newest
    try:
        return configurations.read(configuration_id)
    except UnknownIdError:
        ids = configurations.ids()
        near = suggestion(configuration_id, ids) or (
            f" The newest is {ids[0]}." if ids else " The database holds none."
        )
        raise UserError(f"No configuration has the id {configuration_id}.{near}") from None


def find_named(
    repository: Repository, ids: Sequence[str], data: Data | None
) -> list[Configuration]:
    """Read configurations by their ids, each once; ``data`` takes the place of their candles.

    Raises
    ------
    UserError
        When one is not there, or ``data`` is for none of them or for several markets.
    """
    named = [find(repository, one) for one in dict.fromkeys(ids)]
    markets = sorted({market_name(one) for one in named})
    if data is not None and len(markets) != 1:
        raise UserError(
            "data=... holds the candles of one market: name the configurations it is for."
            + (f" These are of {', '.join(markets)}: take one market at a time." if named else "")
        )
    return named


def simulation_config(
    repository: Repository, configuration: Configuration, data: Data | None = None
) -> SimulationConfig:
    """Rebuild what the configuration's job was told of market, costs and risk.

    ``data`` takes the place of the job's own candles. Only these parts of the stored configuration
    are read, so that later versions may ask for more in the others.

    Raises
    ------
    UserError
        When the parts do not go together, or the row is older than this program understands.
    """
    return simulation_of(_job_config(repository, configuration), data)


def simulation_of(stored: Mapping[str, Any], data: Data | None = None) -> SimulationConfig:
    """Rebuild what a job's configuration says of market, costs and risk; see above."""
    values = {name: stored[name] for name in SimulationConfig.model_fields if name in stored}
    if data is not None:
        values["data"] = data.model_dump()
    return validate(values, SimulationConfig)


def searched_grid(repository: Repository, configuration: Configuration) -> int | None:
    """Count the combinations of the grid that was searched; None where it was no grid."""
    stored = _job_config(repository, configuration)
    if stored["space"] != "grid":
        return None
    return validate(stored["strategy"], StrategyConfig).grid_size


def _job_config(repository: Repository, configuration: Configuration) -> dict[str, Any]:
    """Read the configuration of a row's job; `DamagedRowError` where that is no object."""
    config: Any = repository.jobs.read(configuration.job_id).config
    if not isinstance(config, dict):
        reason = TypeError("its configuration is no JSON object")
        raise DamagedRowError("training_jobs", configuration.job_id, reason)
    return config


def trained_span(configuration: Configuration) -> tuple[datetime, datetime]:
    """First open, and first open no longer seen, of the candles it was trained on."""
    first, last = (
        datetime.fromisoformat(configuration.provenance[name])
        for name in ("first_candle", "last_candle")
    )
    return first, last + timedelta(milliseconds=timeframe_ms(configuration.timeframe))


def pinned(data: Data, configuration: Configuration) -> Data:
    """Return ``data`` cut to the trained span: a file may have grown, a year's end moves on.

    What other exchanges say was asked at the training: candles of theirs that came later take
    nothing from a configuration, whose own are told by their hash.
    """
    if isinstance(data, SyntheticData):
        return data
    since, until = trained_span(configuration)
    alone = dict.fromkeys(("median_disagreement", "largest_disagreement"))
    quality = data.quality.model_copy(update=alone)
    span = {"since": since, "until": until, "history": None, "quality": quality}
    return data.model_copy(update=span)


def open_ended(data: Data, configuration: Configuration) -> Data:
    """Return ``data`` from the trained span's first candle to whatever there is by now."""
    if isinstance(data, SyntheticData):
        return data
    since, _ = trained_span(configuration)
    return data.model_copy(update={"since": since, "until": None, "history": None})


def load_again(
    config: SimulationConfig, data: Data, configuration: Configuration, note: Note, *, named: bool
) -> MarketCandles:
    """Load candles of a configuration's market; ``note`` hears what is waited for.

    ``named`` says that the command line names a file, so that to name one is no advice.

    Raises
    ------
    UserError
        When they are gone or broken; it names the configuration.
    """
    strategy = config.strategy.load()
    try:
        market = load_candles(config.market, data, strategy, None, lambda n: None, note)
    except NoCandlesError:
        assert isinstance(data, FileData), "an exchange or a generator has no file"
        first, last = (
            f"{datetime.fromisoformat(configuration.provenance[name]):%Y-%m-%d %H:%M} UTC"
            for name in ("first_candle", "last_candle")
        )
        raise UserError(
            f"{data.path} holds none of the days that {configuration.id} was trained on, {first} to"
            f" {last}: name the file that holds them by data=file data.path=FILE."
        ) from None
    except UserError as error:
        elsewhere = " Candles that lie elsewhere now are named by data=file data.path=FILE."
        advice = "" if named else elsewhere
        kind = UnreachableError if isinstance(error, UnreachableError) else UserError
        failure = kind(f"The candles of {configuration.id} cannot be loaded: {error}{advice}")
        failure.status = error.status
        raise failure from None
    if market.funding is not None and market.funding.stood_in:
        note(str(market.funding))
    return market


def check_fetched(config: SimulationConfig, data: CcxtData) -> None:
    """Refuse a span that the store does not have whole: its candles would be fetched.

    Raises
    ------
    UserError
        When one is missing.
    """
    market, timeframe = config.market, data.resample_from or config.market.timeframe
    assert data.since_ms is not None, "pinned to the trained span"
    assert data.until_ms is not None, "pinned to the trained span"
    step = timeframe_ms(timeframe)
    path = candle_path(Path(data.store), market.ccxt_id, market.pair, timeframe)
    gone = not path.exists()
    if not gone:
        with locked(path) as writable:
            start, end = (-(-border // step) * step for border in (data.since_ms, data.until_ms))
            gone = bool(load(path, writable).missing(start, end))
    if gone:
        raise UserError(
            f"The store {data.store} does not hold all candles of {market.id} any more: fetch them"
            " again with scripts/fetch, or name a file by data=file data.path=FILE."
        )


def stored_since(config: SimulationConfig, own: Configuration) -> tuple[CcxtData | None, str]:
    """Return the trained candles with those of the full UTC days that the store has after them.

    They follow without a hole that was never asked for, are at most as many again, and nothing is
    fetched for them, nor funding; None where there are none. Only footers of files are read. The
    text says which hole keeps later ones from being used; it is empty where there is none.
    """
    data, market = pinned(config.data, own), config.market
    if not isinstance(data, CcxtData) or data.surrogate is not None:
        return None, ""
    since, until = data.span_ms(0)
    last = min(2 * until - since, round(time.time() * 1000))
    hole = (last, last)
    kinds = [data.resample_from or market.timeframe, *([FUNDING] if market.perpetual else [])]
    for kind in kinds:
        path = candle_path(Path(data.store), market.ccxt_id, market.pair, kind)
        files = [file for file in month_files(path) if month.month_span(file.stem)[1] > until]
        records = filter(None, map(month.read_record, files))
        answered = united(span for record in records for span in record.answered)
        hole = min([hole, *uncovered((until, last), answered)])
    end, after = (border - border % DAY_MS for border in (hole[0], hole[1] + DAY_MS - 1))
    said = (
        f"from {moment(hole[1]):%Y-%m-%d %H:%M} UTC on, they follow days that nobody asked for."
        f" scripts/fetch market={market.ccxt_id}:{market.pair}:{kinds[0]}"
        f" data.since={moment(end):%Y-%m-%d} data.until={moment(after):%Y-%m-%d} asks for those."
    )
    found = data.model_copy(update={"until": moment(end)}) if end > until else None
    return found, said if hole[1] < last else ""


def evaluator_of(
    config: SimulationConfig, candles: Candles, parameters: dict[str, Any]
) -> Evaluator:
    """Evaluate one combination on the `reference` path, the definition of correct."""
    strategy = config.strategy.load()
    space = single_point(strategy, parameters)
    backend = choose("reference").backend
    return Evaluator(candles, space, config.costs.record(), config.risk.limits(), backend)


def has_artifacts(storage: StorageConfig) -> bool:
    """Tell whether the folder of all artifacts is there and holds something.

    An empty one is the place of a disk that is not mounted.
    """
    with suppress(OSError):
        return any(Path(storage.artifacts).iterdir())
    return False


def artifact_folder(storage: StorageConfig, configuration: Configuration) -> Path:
    """Return the folder of a configuration's artifacts, or raise `UserError` where it is not."""
    root = Path(storage.artifacts)
    if not (root / configuration.id).is_dir():
        raise UserError(
            f"The artifacts of {configuration.id} are not in {root}. If that is on a disk that is"
            " not mounted, mount it. If they are elsewhere, say where: storage.artifacts=FOLDER."
        )
    return root / configuration.id


def read_record(
    storage: StorageConfig,
    configuration: Configuration,
    clauses: Sequence[str] | None = None,
    *,
    searched: bool = True,
) -> ArtifactSet:
    """Read the artifacts of a configuration.

    ``clauses`` say which are not what was stored (`differences`); None: it is looked here. Unless
    ``searched`` what the search kept is left out: of a large grid it is 400 MB.

    Raises
    ------
    UserError
        When they are not there.
    UnreadableRecordError
        When they are not what was stored, are cut short or are not what their names say.
    """
    folder = artifact_folder(storage, configuration)
    if clauses is None:
        clauses = differences(folder, configuration.artifact_digests)
    if clauses:
        raise UnreadableRecordError(
            f"The artifacts in {folder} are damaged: {'; '.join(clauses)}. Restore them from a"
            " copy."
        )
    try:
        return read_artifacts(folder.parent, configuration.id, searched=searched)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        reason = in_one_line(error)
        raise UnreadableRecordError(
            f"The artifacts in {folder} are damaged: {reason}. Restore them from a copy."
        ) from None


def utc_date(day: int) -> str:
    """``2023-01-31`` for a day since the epoch."""
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"
