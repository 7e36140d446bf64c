"""Store a run: its records in the database and the artifacts, and what `result.json` holds."""

import math
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from gpu_engine import DAYS_PER_YEAR, METRICS, Candles, Float, Window
from pipeline.errors import ConflictError, UnreachableError, UserError, first_line
from pipeline.executors.background import tell
from pipeline.market_data.store.atomic_files import replace_text
from pipeline.results.artifacts import (
    ArtifactSet,
    DailySeries,
    NullDistribution,
    ScoreSummary,
    ScoreSurface,
    write_artifacts,
)
from pipeline.results.database import Repository
from pipeline.results.document import build_document, new_configuration_id
from pipeline.results.file_digests import digests_of
from pipeline.results.jsonable import dumps, jsonable
from pipeline.results.ownership import IllegalTransitionError, UnknownIdError
from pipeline.results.parcel import FOLDER, Parcel, unpack, write_parcel
from pipeline.results.performance import average_spread_bps
from pipeline.results.records import Configuration
from pipeline.training.run import TrainingResult
from pipeline.validation.holding import hold_returns
from pipeline.validation.luck import Evidence
from pipeline.validation.multiple_testing import after_searches

#: Seconds that a command which was told to end waits for a database.
HURRY = 5.0

#: Of the statistics: how often these days were searched before.
_EARLIER = "earlier_searches"

#: What keeps a result out of its database, and says nothing about the result.
UNSTORED = (SQLAlchemyError, UnreachableError, UnknownIdError)

_Placed = tuple[Path | None, dict[str, str]]


def store(
    trained: TrainingResult,
    repository: Repository,
    job_id: str,
    job: Mapping[str, Any],
    folder: Path | None,
) -> tuple[TrainingResult, str | None]:
    """Store a result and complete its job, or keep it as files where its database takes nothing.

    Parameters
    ----------
    job : mapping
        What `pipeline.results.jobs.new_job` takes.
    folder : Path or None
        Where it is kept (`pipeline.results.parcel`); None: beside the artifacts.

    Returns
    -------
    TrainingResult
        With what only the database could tell.
    str or None
        Id of the configuration; None when nothing admissible was found.

    Raises
    ------
    UnreachableError
        When the result is kept: it says how to store it.
    """
    root, now = Path(trained.config.storage.artifacts), datetime.now(UTC)
    folder = folder or root / FOLDER / job_id
    record = configuration_of(trained, new_configuration_id(trained.strategy, now), job_id, now)
    artifacts = None if trained.parameters is None else artifacts_of(trained)

    def place() -> _Placed:
        assert artifacts is not None
        folder = root / write_artifacts(root, record.id, artifacts)
        return folder, digests_of(folder)

    def kept() -> str:
        """Keep the result; say where, or why not."""
        try:
            write_parcel(folder, job_id, job, None if artifacts is None else record, artifacts)
        except (OSError, UserError) as error:
            return f"The result could not be kept in {folder} either: {error}."
        return _where(folder)

    try:
        with _telling(kept):
            record = _with_earlier_searches(repository, record)
            _write(repository, job_id, None if artifacts is None else record, place)
    except KeyboardInterrupt:
        if repository.patience.interrupted:
            tell(kept())
        raise
    statistics = trained.statistics | {_EARLIER: record.statistics[_EARLIER]}
    trained = replace(trained, statistics=statistics)
    return trained, None if artifacts is None else record.id


def store_running(parcel: Parcel, repository: Repository, root: Path) -> None:
    """Store a result kept below ``root`` whose job this process runs, and remove what was kept.

    Raises
    ------
    UnreachableError
        When the database takes nothing: the result stays where it is.
    """
    folder = root / FOLDER / parcel.job_id
    with _telling(lambda: _where(folder)):
        _store_parcel(parcel, repository, root)
    shutil.rmtree(folder, ignore_errors=True)


def _where(folder: Path) -> str:
    return f"The result is kept: scripts/store {shlex.quote(str(folder))} stores it."


@contextmanager
def _telling(kept: Callable[[], str]) -> Iterator[None]:
    """Add to the error of a database that takes nothing what ``kept`` says of the result."""
    try:
        yield
    except UNSTORED as error:
        kind = type(error) if isinstance(error, UnreachableError) else UnreachableError
        said = (
            f"The database failed: {first_line(error)}."
            if isinstance(error, SQLAlchemyError) and not isinstance(error, UserError)
            else error
        )
        raise kind(f"{said} {kept()}") from None


def store_parcel(parcel: Parcel, repository: Repository, root: Path) -> bool:
    """Store a result that was kept, with its artifacts below ``root``; False: it is stored already.

    Raises
    ------
    ConflictError
        When a living process runs its job again, it was completed with another result, or what is
        stored of this one is not what was kept.
    """
    configuration, stored = parcel.configuration, repository.configurations.holds
    lost = configuration is not None and not stored(configuration.id, parcel.digests)
    if not repository.jobs.adopt(parcel.job_id, parcel.job, lost=lost):
        if configuration is not None:
            if not stored(configuration.id, parcel.digests):
                raise ConflictError(
                    f"Job {parcel.job_id} is complete with another result than {configuration.id},"
                    " so this one is not stored."
                )
            unpack(parcel, root)  # a row whose run could not know that it was written
        return False
    try:
        _store_parcel(parcel, repository, root)
    except Exception as error:
        with suppress(IllegalTransitionError, *UNSTORED):
            repository.jobs.fail(parcel.job_id, f"It could not be stored: {error}")
        raise
    return True


def _store_parcel(parcel: Parcel, repository: Repository, root: Path) -> None:
    record = parcel.configuration
    if record is not None:
        record = _with_earlier_searches(repository, record)
    _write(repository, parcel.job_id, record, lambda: (unpack(parcel, root), parcel.digests))


def _write(
    repository: Repository,
    job_id: str,
    configuration: Configuration | None,
    place: Callable[[], _Placed],
) -> None:
    """Store a configuration with its artifacts and complete the job.

    Artifacts go first, then one transaction writes the configuration and ends the job. Without a
    configuration the job is complete alone: nothing admissible was found.

    Parameters
    ----------
    place : callable
        Writes them and returns their new folder, None where they were there, and the digests that
        they have to have.
    """
    if configuration is None:
        repository.jobs.complete(job_id)
        return
    folder, digests = place()
    try:
        repository.configurations.save(replace(configuration, artifact_digests=digests))
    except BaseException as error:
        # An interrupt may arrive after the transaction: a row must not lose its artifacts.
        repository.patience.shorten(HURRY)
        stored = False
        with suppress(*UNSTORED):
            stored = not isinstance(error, UNSTORED) and repository.configurations.exists(
                configuration.id
            )
        if folder is not None and not stored:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _with_earlier_searches(repository: Repository, record: Configuration) -> Configuration:
    """Count the searches of the same market and days, and what they do to p.

    They decide no stage: it would depend on what else a database holds. Of two jobs at once the one
    that is stored last counts the other.
    """
    names = ("exchange", "pair", "timeframe", "synthetic", "provenance", "job_id")
    search = {name: getattr(record, name) for name in names}
    count = repository.jobs.earlier_searches(**search)
    p_after = after_searches(record.statistics["p_value"], count)
    earlier = jsonable({"count": count, "p_after": p_after})
    return replace(record, statistics=record.statistics | {_EARLIER: earlier})


def metrics_dict(metrics: Any) -> dict[str, Any] | None:
    """Metrics by name as plain values; None for no metrics, null for what is not finite."""
    if metrics is None:
        return None
    values: dict[str, Any] = jsonable({name: metrics[name] for name in METRICS.names or ()})
    return values


def window_records(trained: TrainingResult) -> list[dict[str, Any]]:
    """Each validation window: its days (UTC, inclusive), its winner, both parts' metrics."""
    candles = trained.market.candles
    return [
        {
            "train": _dates(candles, window.split.train),
            "test": _dates(candles, window.split.test),
            "combinations_evaluated": window.search.evaluated,
            "admissible": window.search.admissible,
            "parameters": parameters,
            "score": window.search.score,
            "stability_score": window.search.stability_score,
            "in_sample": metrics_dict(window.in_sample),
            "out_of_sample": metrics_dict(window.out_of_sample),
        }
        for window, parameters in zip(
            trained.validation.windows, trained.window_parameters, strict=True
        )
    ]


def write_result(
    path: Path, trained: TrainingResult, job_id: str, configuration_id: str | None
) -> None:
    """Write `result.json`: what a run found out, without its series."""
    result = jsonable(
        {
            "market": trained.config.market.id,
            "synthetic": trained.market.synthetic,
            "strategy": trained.strategy,
            "optimizer": trained.config.optimizer.name,
            "method": trained.settings.method,
            "selection": trained.settings.selection,
            "objective": trained.settings.objective,
            "backend": trained.provenance["backend"],
            "combinations_evaluated": trained.validation.evaluations,
            "parameters": trained.parameters,
            "parameter_spread": trained.spread,
            "in_sample": metrics_dict(trained.in_sample),
            "out_of_sample": metrics_dict(trained.validation.metrics),
            "windows": window_records(trained),
            "lifecycle_stage": trained.stage,
            "gates": [gate.to_dict() for gate in trained.gates],
            "statistics": trained.statistics,
            "whole_history": trained.evidence.search,
            "configuration_id": configuration_id,
            "job_id": job_id,
            "provenance": trained.provenance,
            "timings": trained.timings,
        }
    )
    replace_text(path, dumps(result))


def configuration_of(
    trained: TrainingResult, identity: str, job_id: str, now: datetime
) -> Configuration:
    """Make the row of a run's configuration; without parameters it has no document."""
    config, market = trained.config, trained.config.market
    statistics = trained.statistics | {
        "parameter_spread": trained.spread,
        "whole_history": trained.evidence.search,
        "window_days": [
            {part: window[part] for part in ("train", "test")} for window in window_records(trained)
        ],
    }
    configuration = Configuration(
        id=identity,
        job_id=job_id,
        strategy=trained.strategy,
        exchange=market.exchange.name,
        pair=market.pair,
        timeframe=market.timeframe,
        lifecycle_stage=trained.stage,
        synthetic=trained.market.synthetic,
        parameters=trained.parameters or {},
        in_sample=metrics_dict(trained.in_sample) or {},
        out_of_sample=metrics_dict(trained.validation.metrics) or {},
        statistics=jsonable(statistics),
        gates=[gate.to_dict() for gate in trained.gates],
        circuit_breakers={},
        provenance=jsonable(trained.provenance),
        document={},
        artifacts=identity,
        created_at=now,
    )
    if trained.parameters is None:  # nothing was admissible: such a row is never stored
        return configuration
    document = build_document(
        configuration,
        config.strategy,
        config.costs,
        config.risk,
        trained.validation.daily,
        trained.validation.trades,
        average_spread_bps(trained.market.candles),
    )
    return replace(configuration, circuit_breakers=document["circuit_breakers"], document=document)


def artifacts_of(trained: TrainingResult) -> ArtifactSet:
    """Make the artifacts of a run that has a configuration to store."""
    candles, validation = trained.market.candles, trained.validation
    assert trained.in_sample_daily is not None, "a configuration has an in-sample series"
    scores = None
    if trained.surface is not None:
        scores = ScoreSurface(trained.axes, trained.surface)
    return ArtifactSet(
        in_sample=DailySeries(candles.calendar(validation.final.window), trained.in_sample_daily),
        out_of_sample=DailySeries(
            validation.day,
            validation.daily,
            validation.closed_daily,
            hold_returns(candles, validation.day),
        ),
        trades=validation.trades,
        windows=window_records(trained),
        scores=scores,
        summary=_summary(trained),
        null=_null(trained.evidence),
    )


def _summary(trained: TrainingResult) -> ScoreSummary | None:
    summary = trained.validation.final.summary
    if summary is None:
        return None
    names = list(trained.axes)
    pairs = {(names[a], names[b]): table for (a, b), table in summary.pairs.items()}
    return ScoreSummary(trained.axes, summary.index, summary.score, pairs)


def _null(evidence: Evidence) -> NullDistribution | None:
    reality, year = evidence.reality_check, math.sqrt(DAYS_PER_YEAR)
    tested = reality is not None and reality.statistic is not None
    drawn: dict[str, Float] = {kind: test.top for kind, test in evidence.surrogates.items()}
    if not (tested or drawn):
        return None
    return NullDistribution(
        observed=evidence.search.get("best_active_sharpe_ratio"),
        maxima=reality.maxima * year if reality is not None else np.empty(0),
        best=evidence.search["top_sharpe_ratio"] if drawn else None,
        surrogates=drawn,
    )


def _dates(candles: Candles, window: Window) -> list[str]:
    """First and last UTC day of a window, ISO 8601."""
    days = candles.calendar(window)
    return [str(np.datetime64(int(day), "D")) for day in (days[0], days[-1])]
