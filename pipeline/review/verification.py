"""Simulate a stored configuration once more and compare it with what was stored: its receipt.

Everything is simulated on the `reference` path: each window's winner on both its parts, the stored
configuration on the days it was found on. What was stored must come out again: every trade, every
daily return, every metric, and the test against luck that follows from them. What the row says
besides must follow from these figures (`pipeline.review.derived`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gpu_engine import Candles, Float, Window, marked_metrics
from pipeline.config import CcxtData, SimulationConfig, StoredConfig, StrategyConfig
from pipeline.errors import UserError, in_one_line
from pipeline.results.artifacts.artifact_set import ArtifactSet, DailySeries
from pipeline.results.damage import RESTORE, UNREADABLE
from pipeline.results.database import Repository
from pipeline.results.document.performance import average_spread_bps
from pipeline.results.records import Configuration
from pipeline.review.comparison import (
    Comparison,
    compare_candles,
    compare_metric_sets,
    compare_series,
    compare_sharpe_test,
    compare_trade_lists,
)
from pipeline.review.decisions import repeat_training, review_sweeps
from pipeline.review.derived import RowContext
from pipeline.review.integrity import compare_derived, compare_stored, row_context
from pipeline.review.stored import (
    UnreadableRecordError,
    artifact_folder,
    check_fetched,
    evaluator_of,
    has_artifacts,
    load_again,
    pinned,
    read_record,
    simulation_config,
    utc_date,
)
from pipeline.search import Evaluator
from pipeline.strategies.registry import choices, locate
from pipeline.training.provenance import engine_hash
from pipeline.training.rules import changes_since
from pipeline.training.run import Reporter
from pipeline.validation.holding import hold_returns
from pipeline.validation.walk_forward import TestDays, stitch

_DAY0 = np.datetime64(0, "D")


@dataclass(frozen=True)
class Receipt:
    """What was compared, and what a person should know besides.

    ``status`` is the exit status of what kept it from being computed again, 0 for nothing.
    """

    configuration_id: str
    synthetic: bool
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()
    status: int = 0

    @property
    def first_difference(self) -> str | None:
        """The first figure that is not what was stored."""
        return next((c.first for c in self.comparisons if c.first is not None), None)

    @property
    def agrees(self) -> bool:
        """Whether all that was stored came out again."""
        return self.first_difference is None

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as plain values."""
        return asdict(self) | {"agrees": self.agrees, "first_difference": self.first_difference}


#: How much is computed again: nothing, what the candles at hand allow without the training, all.
Extent = Literal["stored", "daily", "all"]


def verify_configuration(
    config: StoredConfig,
    repository: Repository,
    configuration: Configuration,
    reporter: Reporter,
    extent: Extent = "all",
    head: str | None = None,
) -> Receipt:
    """Load the artifacts and the candles of a configuration, `verify` it, and repeat its training.

    Other candles, or artifacts that make no sense, end the comparison before that. ``head`` is that
    of an earlier event of the audit trail, which must be in it still. A daily look keeps what it
    finds: there a folder of artifacts that is gone from its root is a difference, not a mistake.
    What is stored and makes no sense is a difference too. A root that is gone or empty is a disk
    that is not there: then nothing can be said.
    """
    if extent != "daily" or not has_artifacts(config.storage):
        artifact_folder(config.storage, configuration)
    stored = compare_stored(repository, config.storage, configuration, head)
    if extent == "stored":
        return Receipt(configuration.id, configuration.synthetic, stored)
    try:
        receipt = _computed_again(config, repository, configuration, reporter, extent)
    except (UnreadableRecordError, LookupError, *UNREADABLE) as error:
        stored = (*stored, _not_understood(error))
        return Receipt(configuration.id, configuration.synthetic, stored)
    except UserError as error:
        if extent == "all" and all(comparison.first is None for comparison in stored):
            raise
        note = f"Nothing was computed again: {in_one_line(error)}"
        return Receipt(configuration.id, configuration.synthetic, stored, (note,), error.status)
    return replace(receipt, comparisons=(*receipt.comparisons, *stored))


def keep_outcome(repository: Repository, receipt: Receipt) -> Receipt:
    """Keep the outcome of a daily check in the database; a note says where it cannot be kept."""
    if repository.read_only:
        note = "The outcome is not kept: this database may only be read."
        return replace(receipt, notes=(*receipt.notes, note))
    repository.checks.record(receipt.configuration_id, receipt.first_difference)
    return receipt


def with_advice(repository: Repository, receipt: Receipt) -> Receipt:
    """Note in a receipt how to mend an edit, or that an earlier daily check has the API refuse it.

    The second is of a receipt without a difference.
    """
    (checked,) = repository.checks.of([receipt.configuration_id])
    if checked.clauses:
        note = RESTORE
    elif receipt.agrees and checked.failure is not None:
        note = f"The API and the Studio still refuse it: {checked.failure}."
    else:
        return receipt
    return replace(receipt, notes=(*receipt.notes, note))


def _computed_again(
    config: StoredConfig,
    repository: Repository,
    configuration: Configuration,
    reporter: Reporter,
    extent: Extent,
) -> Receipt:
    record = read_record(config.storage, configuration, ())
    own = simulation_config(repository, configuration)
    named = config.data is not None
    _refuse_span(config)
    simulation = simulation_config(repository, configuration, config.data) if named else own
    data = pinned(simulation.data, configuration)
    if extent == "daily" and isinstance(data, CcxtData):
        check_fetched(simulation, data)
    market = load_again(simulation, data, configuration, reporter.note, named=named)
    configuration, context = row_context(repository, configuration.id, own)
    receipt = verify(configuration, record, simulation, market.candles, context)
    # Other candles, or artifacts without sense, leave nothing more to compare.
    if receipt.comparisons[-1].what in ("candles", "artifacts") or extent == "daily":
        return receipt
    again = repeat_training(repository, configuration, record, data, reporter)
    root = Path(config.storage.artifacts)
    sweeps = review_sweeps(repository, root, configuration, context.events)
    return replace(
        receipt,
        comparisons=(*receipt.comparisons, *again, *sweeps.comparisons),
        notes=(*receipt.notes, *sweeps.notes),
    )


def _refuse_span(config: StoredConfig) -> None:
    """Refuse a span on the command line: the trained one is computed again, whatever it says."""
    words = [f"data.{w}" for w in ("since", "until", "history") if getattr(config.data, w, None)]
    if words:
        raise UserError(
            "scripts/verify computes the trained span again, no other: leave out"
            f" {' and '.join(words)}. scripts/monitor tests on other days."
        )


def verify(
    configuration: Configuration,
    record: ArtifactSet,
    config: SimulationConfig,
    candles: Candles,
    context: RowContext,
) -> Receipt:
    """Compare a stored configuration with what its parameters do on ``candles``.

    Other candles end the comparison: the bars of the stored trades would be others.
    """
    data = compare_candles(configuration.provenance, candles)
    if data.first is not None:
        return _receipt(configuration, config, [data])
    try:
        figures = _figures(configuration, record, config, candles)
        spread = average_spread_bps(candles)
        derived = compare_derived(configuration, record, config, spread, context)
        return _receipt(configuration, config, [data, *figures, *derived])
    except (KeyError, TypeError, ValueError) as error:
        return _receipt(configuration, config, [data, _not_understood(error)])


def _not_understood(error: Exception) -> Comparison:
    """Say that what was stored cannot even be read as what it should be."""
    reason = f"the artifacts cannot be understood: {in_one_line(error)}"
    return Comparison("artifacts", 1, 1, None, reason)


def _receipt(
    configuration: Configuration, config: SimulationConfig, comparisons: Iterable[Comparison]
) -> Receipt:
    notes = _notes(configuration, engine_hash(config.strategy)), _file_notes(config.strategy)
    return Receipt(configuration.id, configuration.synthetic, tuple(comparisons), sum(notes, ()))


def _notes(configuration: Configuration, engine: str) -> tuple[str, ...]:
    """Say what has changed since the training: rules, or the program alone."""
    if changes := changes_since(configuration.provenance):
        return (
            "The rules have changed since this training:",
            *(f"{number}. {change}" for number, change in enumerate(changes, 1)),
            "Figures that agree are the proof that the change did not matter here. Figures that"
            " differ may differ for this reason alone: train the market again, and verify that.",
        )
    if configuration.provenance["engine_hash"] != engine:
        return (
            "The engine or a strategy has changed since the training (engine_hash); figures that"
            " agree are the proof that the change did not matter here.",
        )
    return ()


def _file_notes(strategy: StrategyConfig) -> tuple[str, ...]:
    """Say where the name of an own strategy no longer stands for the text that was trained.

    The stored text is what is verified, whatever became of its file.
    """
    if strategy.text is None or strategy.name not in choices():
        return ()
    try:
        text = locate(strategy.name).text
    except UserError as error:
        return (f"The stored strategy was verified. It was compared with no file: {error}",)
    if text == strategy.text:
        return ()
    now = "a built-in strategy" if text is None else "a file with another text"
    return (
        f"strategy={strategy.name} is now {now}: the stored text was verified. A new training of"
        " that name trains another strategy than this one.",
    )


def _figures(
    configuration: Configuration, record: ArtifactSet, config: SimulationConfig, candles: Candles
) -> Iterable[Comparison]:
    """Re-simulate everything and compare it, the trades first."""
    again = _out_of_sample(record, config, candles)
    yield compare_trade_lists(record.trades, again.trades)
    stored = record.out_of_sample
    yield compare_series(
        "daily returns, out of sample", stored, DailySeries(again.day, again.daily)
    )
    if stored.closed is not None:
        yield compare_series(
            "daily returns by closed trades, out of sample",
            DailySeries(stored.day, stored.closed),
            DailySeries(again.day, again.closed),
        )
    if stored.hold is not None:
        yield compare_series(
            "daily returns of holding, out of sample",
            DailySeries(stored.day, stored.hold),
            DailySeries(again.day, hold_returns(candles, again.day)),
        )
    fraction = config.risk.exposure
    metrics = marked_metrics(fraction * again.trades["ret"], again.daily)
    yield compare_metric_sets(
        "metrics, out of sample", [("", configuration.out_of_sample, metrics)]
    )
    yield compare_metric_sets("metrics of the windows", _of_windows(record, config, candles))

    evaluator = evaluator_of(config, candles, configuration.parameters)
    point = evaluator.space.point(configuration.parameters)
    window = _days(candles, *record.in_sample.day[[0, -1]].tolist())
    trades = evaluator.trades(point, window)
    daily = DailySeries(candles.calendar(window), evaluator.marked_returns(trades, window))
    yield compare_series("daily returns, in sample", record.in_sample, daily)
    metrics = marked_metrics(fraction * trades["ret"], daily.returns)
    yield compare_metric_sets("metrics, in sample", [("", configuration.in_sample, metrics)])
    yield compare_sharpe_test(configuration.statistics, again.daily)


def _out_of_sample(record: ArtifactSet, config: SimulationConfig, candles: Candles) -> TestDays:
    """Trade every window's winner on its test days again; days without a winner are zero."""

    def parts() -> Iterator[tuple[Window, tuple[Evaluator, Float] | None]]:
        for stored in record.windows:
            winner, parameters = None, stored["parameters"]
            if parameters is not None:
                evaluator = evaluator_of(config, candles, parameters)
                winner = evaluator, evaluator.space.point(parameters)
            yield _named_days(candles, stored["test"]), winner

    return stitch(candles, parts())


def _of_windows(
    record: ArtifactSet, config: SimulationConfig, candles: Candles
) -> Iterable[tuple[str, Mapping[str, Any], Any]]:
    """Yield name, stored and re-simulated metrics of both parts of every window."""
    for number, stored in enumerate(record.windows, start=1):
        if stored["parameters"] is None:
            continue
        parts = [_named_days(candles, stored[part]) for part in ("train", "test")]
        evaluator = evaluator_of(config, candles, stored["parameters"])
        point = evaluator.space.point(stored["parameters"])
        metrics = evaluator.points(point[None], parts)[:, 0]
        yield f"window {number} in_sample.", stored["in_sample"], metrics[0]
        yield f"window {number} out_of_sample.", stored["out_of_sample"], metrics[1]


def _named_days(candles: Candles, dates: list[str]) -> Window:
    first, last = (int((np.datetime64(date, "D") - _DAY0).astype(int)) for date in dates)
    return _days(candles, first, last)


def _days(candles: Candles, first: int, last: int) -> Window:
    """Bars of the UTC days ``first`` to ``last``, both included."""
    if not candles.day[0] <= first <= last <= candles.day[-1]:
        raise ValueError(f"days {utc_date(first)} to {utc_date(last)} are not in the candles")
    start, end = np.searchsorted(candles.day, [first, last + 1])
    return Window(int(start), int(end))
