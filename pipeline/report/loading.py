"""Load what a page about a configuration or a sweep shows, by its id in the database alone.

What cannot be had (artifacts or candles that are gone) leaves a sentence, and the rest of the page
is made without it. Nothing is fetched: a page that is looked at must not send a request.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gpu_engine import Candles
from pipeline.cli.arguments import LATEST
from pipeline.config import CcxtData, SimulationConfig, StorageConfig, milliseconds
from pipeline.errors import UnknownIdError, UserError, suggestion
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.results.artifacts.artifact_set import (
    OUT_OF_SAMPLE,
    SEARCH,
    ArtifactSet,
    DailySeries,
    read_series,
)
from pipeline.results.artifacts.digests import Cache, check_file
from pipeline.results.database import Repository
from pipeline.results.records import Configuration, ConfigurationEvent, Job, Sweep, SweepMarket
from pipeline.results.rows.checks import Checked
from pipeline.results.tables.live_models import PaperAccount
from pipeline.review import stored
from pipeline.review.explanation import Explanation
from pipeline.review.integrity import artifact_clauses, explained_as_checked
from pipeline.validation.stages import Stage, deciding_p, gates_from
from pipeline.validation.wording import marked, market_name, state, verdict

Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class ReportData:
    """What is known of one configuration.

    ``artifacts`` and ``candles`` are None where they cannot be had; ``missing`` then holds the
    reason, a sentence, under the same name. ``checked`` says what of it is not what was stored.
    ``daily`` is the out-of-sample series, which is there before the rest of the artifacts is read.
    ``paper`` is its account on paper, None without. ``sweeps`` are the ids of the sweeps that it
    was trained in or taken into; ``served`` says that the Studio shows it, whose addresses it may
    name.
    """

    configuration: Configuration
    job: Job
    events: list[ConfigurationEvent]
    explanation: Explanation
    artifacts: ArtifactSet | None
    candles: Candles | None
    missing: Mapping[str, str] = field(default_factory=dict)
    checked: Checked | None = None
    daily: DailySeries | None = None
    paper: PaperAccount | None = None
    sweeps: Sequence[str] = ()
    served: bool = False

    @property
    def searched(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every parameter that the search could choose."""
        return searched(self.job.config)


def searched(config: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return what a job's search could choose: smallest and largest value of every parameter."""
    return {
        name: _range(declared, config["space"])
        for name, declared in config["strategy"]["parameters"].items()
    }


def load_report(
    repository: Repository,
    storage: StorageConfig,
    configuration_id: str,
    data: stored.Data | None = None,
    *,
    whole: bool = True,
    cache: Cache | None = None,
    searched: bool = True,
) -> ReportData:
    """Load a configuration with all that is kept of it.

    Parameters
    ----------
    configuration_id : str
        Of the configuration, or ``latest``.
    data : Data, optional
        Candles that take the place of the training's own source.
    whole : bool
        Whether to load what takes seconds where there is much of it: candles, and what the search
        kept.
    cache : dict, optional
        As of `pipeline.results.artifacts.digests.differences`.
    searched : bool
        Whether to compare what the search kept with its digests, too: a second for 10⁸ scores.

    Raises
    ------
    UserError
        When no configuration has this id.
    """
    found, unread = stored.find(repository, configuration_id), () if searched else SEARCH
    clauses = artifact_clauses(storage, found, cache, unread)
    sight = load_sight(repository, storage, configuration_id, clauses)
    configuration = sight.configuration
    missing: dict[str, str] = {}

    def load_or_note(name: str, load_part: Callable[[], Part]) -> Part | None:
        try:
            return load_part()
        except UserError as error:
            missing[name] = str(error)
            return None

    artifacts = load_or_note(
        "artifacts",
        lambda: stored.read_record(storage, configuration, clauses, searched=whole),
    )
    candles = None
    if whole:
        candles = load_or_note(
            "candles", lambda: load_candles_again(repository, configuration, data)
        )
    return replace(
        sight,
        artifacts=artifacts,
        candles=candles,
        missing=missing,
        daily=None if artifacts is None else artifacts.out_of_sample,
    )


def load_sight(
    repository: Repository,
    storage: StorageConfig,
    configuration_id: str,
    artifacts: Sequence[str] = (),
) -> ReportData:
    """Load what a reader sees first: the row, its explanation and the out-of-sample days.

    The row is held against its audit trail, and of the artifacts the days alone are read;
    ``artifacts`` says what of them is not as it was stored (`artifact_clauses`).

    Raises
    ------
    UserError
        When no configuration has this id.
    """
    configuration = stored.find(repository, configuration_id)
    checked, explanation = explained_as_checked(repository, configuration, artifacts)
    return ReportData(
        configuration=configuration,
        job=repository.jobs.read(configuration.job_id),
        events=repository.configurations.events(configuration.id),
        explanation=explanation,
        artifacts=None,
        candles=None,
        checked=checked,
        daily=days_of(storage, configuration),
        paper=repository.live.account(configuration.id),
        sweeps=repository.sweeps.of_job(configuration.job_id),
    )


def days_of(storage: StorageConfig, configuration: Configuration) -> DailySeries | None:
    """Read the out-of-sample days; None where they are not there, or not what was stored."""
    path = Path(storage.artifacts) / configuration.id / OUT_OF_SAMPLE
    try:
        check_file(path, configuration.artifact_digests.get(OUT_OF_SAMPLE, ""))
        return read_series(path)
    except (OSError, ValueError, KeyError):
        return None


def load_candles_again(
    repository: Repository, configuration: Configuration, data: stored.Data | None = None
) -> Candles:
    """Load the candles that a configuration was trained on, without a request to an exchange.

    Raises
    ------
    UserError
        When they are gone, or are not those of the training any more.
    """
    config = stored.simulation_config(repository, configuration, data)
    source = stored.pinned(config.data, configuration)
    if isinstance(source, CcxtData):
        stored.check_fetched(config, source)
    market = stored.load_again(
        config, source, configuration, lambda n: None, named=data is not None
    )
    if market.candles.sha256 != configuration.provenance["data_hash"]:
        raise UserError(
            f"The candles of {configuration.id} are not those that it was trained on: their hash"
            " differs. Name the right ones by data=file data.path=FILE."
        )
    return market.candles


class CandlesSince(NamedTuple):
    """Candles of a training, ``trained`` bars, and later ones; ``refused``: why there are none."""

    candles: Candles
    trained: int
    refused: str = ""


def load_candles_since(
    load: Callable[[Configuration], Candles],
    configuration: Configuration,
    config: SimulationConfig,
    data: CcxtData | None,
) -> CandlesSince:
    """Load the candles of a training with those that the store has of the days after it.

    ``load`` loads those of the training alone (`load_candles_again`), ``config`` is its
    `simulation_config`, ``data`` what `stored_since` says of that.

    Raises
    ------
    UserError
        As `load_candles_again`.
    """
    refused = ""
    if data is not None:
        try:
            market = stored.load_again(config, data, configuration, lambda n: None, named=True)
        except UserError as error:
            refused = str(error)
        else:
            first, after = (milliseconds(one) for one in stored.trained_span(configuration))
            trained = (after - first) // market.candles.step_ms
            if market.candles.cut(0, trained).sha256 == configuration.provenance["data_hash"]:
                return CandlesSince(market.candles, trained)
    candles = load(configuration)
    return CandlesSince(candles, len(candles), refused)


def trade_time(configuration: Configuration, bar: int) -> str:
    """Open of a bar, from the first candle and the timeframe: known without the candles."""
    first = datetime.fromisoformat(configuration.provenance["first_candle"])
    step = timeframe_ms(configuration.timeframe) / 1000
    moment = datetime.fromtimestamp(first.timestamp() + bar * step, UTC)
    return f"{moment:%Y-%m-%d %H:%M}"


def _range(declared: Mapping[str, Any], space: str) -> tuple[float, float]:
    if space == "grid" or declared["low"] is None:
        values = [value for value in declared["grid"] if value is not None]
        return (min(values), max(values)) if values else (math.nan, math.nan)
    return declared["low"], declared["high"]


@dataclass(frozen=True)
class SweptMarket:
    """One market of a sweep.

    ``configuration`` is None where nothing was stored, ``error`` says why it failed. ``synthetic``:
    its candles were invented. ``p_value``,
    ``surrogate_p`` and ``fdr_q_value`` are None where they are undefined or were not computed;
    ``seconds`` is what its training took. ``twin`` says that another file of `conf/market` is the
    same market.
    """

    market: str
    status: str
    configuration: Configuration | None
    p_value: float | None
    surrogate_p: float | None
    fdr_q_value: float | None
    seconds: float | None
    error: str | None
    synthetic: bool = False
    exchange: str = ""
    pair: str = ""
    timeframe: str = ""
    strategy: str = ""
    job_id: str = ""
    twin: bool = False

    def figure(self, name: str) -> float | None:
        """Return a figure out of sample of what it stored; None where there is none.

        ``hold_net_profit`` is of holding the market on the same days.
        """
        if self.configuration is None:
            return None
        if name == "hold_net_profit":
            value = (self.configuration.statistics.get("hold") or {}).get("net_profit")
        else:
            value = self.configuration.out_of_sample.get(name)
        return None if value is None or math.isnan(value) else value

    @property
    def key(self) -> str:
        """The market's name in `conf/market`, or the word that asked for it."""
        return self.market.partition(" ")[0]

    @property
    def name(self) -> str:
        """``binance:BTC/USDT:1h``; the strategy of one of several follows, of a twin the key."""
        if not self.exchange:
            return self.market
        own = self.market.removeprefix(self.key).strip()
        parts = (market_name(self), own, f"({self.key})" if self.twin else "")
        return " ".join(filter(None, parts))

    @property
    def deciding_p(self) -> float | None:
        """The p-value that it counts with (validation rules §3.2); None where it does not."""
        p = None if self.configuration is None else deciding_p(self.configuration.statistics)
        return 1.0 if p is None and self.status in ("done", "skipped", "cancelled") else p

    @property
    def stage(self) -> Stage | None:
        """Its stage; None where nothing is stored."""
        return None if self.configuration is None else self.configuration.lifecycle_stage

    @property
    def outcome(self) -> str:
        """Its stage; else how far it is."""
        if self.stage is not None:
            return marked(self.stage, self.synthetic)
        return state(self.status)

    @property
    def verdict(self) -> str:
        """What its stage means; empty where nothing is stored."""
        if self.configuration is None:
            return ""
        row = self.configuration
        return verdict(row.lifecycle_stage, gates_from(row.gates), figures=False)


def load_sweep(repository: Repository, sweep_id: str) -> tuple[Sweep, list[SweptMarket]]:
    """Load a sweep and its markets with what they stored.

    Parameters
    ----------
    sweep_id : str
        Of the sweep, or ``latest``.

    Raises
    ------
    UserError
        When no sweep has this id, or it is not what was written.
    """
    sweeps = repository.sweeps
    newest = sweeps.ids()
    if not newest:
        raise UserError("No sweep is stored in this database: scripts/sweep makes one.")
    try:
        sweep = sweeps.whole(newest[0] if sweep_id == LATEST else sweep_id)
    except UnknownIdError:
        near = suggestion(sweep_id, newest) or f" The newest is {newest[0]}."
        raise UserError(f"No sweep has the id {sweep_id}.{near}") from None
    read = repository.configurations.read
    return sweep, swept_markets(sweeps.markets(sweep.id), read, repository.jobs.read)


def swept_markets(
    markets: Sequence[SweepMarket],
    configuration: Callable[[str], Configuration | None],
    job: Callable[[str], Job],
) -> list[SweptMarket]:
    """Read what the markets of a sweep stored; the others read one configuration, or job, by id."""
    rows = [configuration(m.configuration_id) if m.configuration_id else None for m in markets]
    told = [job(market.job_id) for market in markets]
    made = [
        SweptMarket(
            market=market.market,
            status=market.status,
            configuration=row,
            p_value=market.p_value,
            surrogate_p=market.surrogate_p,
            fdr_q_value=market.fdr_q_value,
            seconds=market.seconds,
            error=market.error,
            synthetic=(row or of).synthetic,
            exchange=of.exchange,
            pair=of.pair,
            timeframe=of.timeframe,
            strategy=of.strategy,
            job_id=market.job_id,
        )
        for market, row, of in zip(markets, rows, told, strict=True)
    ]
    counted = Counter(market.name for market in made)
    return [replace(market, twin=counted[market.name] > 1) for market in made]
