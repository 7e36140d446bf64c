"""Simulate a stored configuration once more and compare it with what was stored: its receipt.

Everything is simulated on the `reference` path: each window's winner on both its parts, the stored
configuration on the days it was found on. What was stored must come out again: every trade, every
daily return, every metric, and the test against luck that follows from them. What the row says
besides must follow from these figures (`pipeline.review.derived`).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import (
    METRIC_TOLERANCE,
    METRICS,
    RETURN_TOLERANCE,
    TRADE,
    Candles,
    Disagreement,
    Float,
    Window,
    compare_metrics,
    compare_trades,
    marked_metrics,
)
from pipeline.cli.console import Note
from pipeline.config import SimulationConfig, StoredConfig
from pipeline.market_data.timeframe import utc
from pipeline.results.artifacts import ArtifactSet, DailySeries
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.review.derived import (
    RowContext,
    equal,
    judge_again,
    pairs,
    rebuilt_document,
    row_columns,
)
from pipeline.review.stored import (
    evaluator_of,
    load_again,
    pinned,
    read_record,
    simulation_config,
    utc_date,
)
from pipeline.training.provenance import engine_hash
from pipeline.training.rules import changes_since
from pipeline.validation.holding import hold_returns
from pipeline.validation.statistics import sharpe_test

_DAY0 = np.datetime64(0, "D")


@dataclass(frozen=True)
class Comparison:
    """One kind of figure: how many were compared, and what differed.

    ``largest_difference`` is absolute, None where figures do not belong to each other one by one;
    ``first`` names the first figure that differs, None when none does.
    """

    what: str
    compared: int
    differing: int
    largest_difference: float | None
    first: str | None


@dataclass(frozen=True)
class Receipt:
    """What was compared, and what a person should know besides."""

    configuration_id: str
    synthetic: bool
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()

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


@dataclass(frozen=True, eq=False)
class Resimulation:
    """The out-of-sample series once more: day, marked and closed return, and trades."""

    day: NDArray[np.int32]
    daily: Float
    closed: Float
    trades: NDArray[Any]


def verify_configuration(
    config: StoredConfig, repository: Repository, configuration: Configuration, note: Note
) -> Receipt:
    """Load the artifacts and the candles of a configuration, and `verify` it."""
    record = read_record(config.storage, configuration)
    own = simulation_config(repository, configuration)
    named = config.data is not None
    simulation = simulation_config(repository, configuration, config.data) if named else own
    data = pinned(simulation.data, configuration)
    market = load_again(simulation, data, configuration, note, named=named)
    context = RowContext(
        synthetic=own.synthetic,
        filter_columns=repository.configurations.filter_columns(configuration.id),
        events=repository.configurations.events(configuration.id),
    )
    return verify(configuration, record, simulation, market.candles, context)


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
        return _receipt(configuration, [data])
    try:
        figures = _figures(configuration, record, config, candles)
        derived = _derived(configuration, record, config, candles, context)
        return _receipt(configuration, [data, *figures, *derived])
    except (KeyError, TypeError, ValueError) as error:
        return _receipt(configuration, [data, _not_understood(error)])


def _not_understood(error: Exception) -> Comparison:
    """Say that what was stored cannot even be read as what it should be."""
    text = " ".join(str(error).split()) or type(error).__name__
    return Comparison("artifacts", 1, 1, None, f"the artifacts cannot be understood: {text}")


def compare_candles(provenance: Mapping[str, Any], candles: Candles) -> Comparison:
    """Compare candles with the hash that was stored; where it differs say in what."""
    if candles.sha256 == provenance["data_hash"]:
        return Comparison("candles", len(candles), 0, 0.0, None)
    quality = provenance["quality"]
    expected = {
        "first candle": utc(quality["first_bar"]),
        "last candle": utc(quality["last_bar"]),
        "candles": 1 + (quality["last_bar"] - quality["first_bar"]) // candles.step_ms,
        "filled candles": provenance["filled_candles"],
    }
    got = {
        "first candle": utc(int(candles.timestamp[0])),
        "last candle": utc(int(candles.timestamp[-1])),
        "candles": len(candles),
        "filled candles": int(candles.filled.sum()),
    }
    differing = [
        f"{name}: stored {value}, now {got[name]}"
        for name, value in expected.items()
        if got[name] != value
    ]
    difference = "; ".join(differing) or "as many, of the same days, with other prices or volumes"
    return Comparison(
        "candles", len(candles), 1, None, f"the candles are not those of the training: {difference}"
    )


def _receipt(configuration: Configuration, comparisons: Iterable[Comparison]) -> Receipt:
    compared = tuple(comparisons)
    return Receipt(configuration.id, configuration.synthetic, compared, _notes(configuration))


def _notes(configuration: Configuration) -> tuple[str, ...]:
    """Say what has changed since the training: rules, or the program alone."""
    if changes := changes_since(configuration.provenance):
        return (
            "The rules have changed since this training:",
            *(f"{number}. {change}" for number, change in enumerate(changes, 1)),
            "Figures that agree are the proof that the change did not matter here. Figures that"
            " differ may differ for this reason alone: train the market again, and verify that.",
        )
    if configuration.provenance["engine_hash"] != engine_hash():
        return (
            "The engine or a strategy has changed since the training (engine_hash); figures that"
            " agree are the proof that the change did not matter here.",
        )
    return ()


def _figures(
    configuration: Configuration, record: ArtifactSet, config: SimulationConfig, candles: Candles
) -> Iterable[Comparison]:
    """Re-simulate everything and compare it, the trades first."""
    again = _out_of_sample(record, config, candles)
    yield _trades(record.trades, again.trades)
    stored = record.out_of_sample
    yield _series("daily returns, out of sample", stored, DailySeries(again.day, again.daily))
    if stored.closed is not None:
        yield _series(
            "daily returns by closed trades, out of sample",
            DailySeries(stored.day, stored.closed),
            DailySeries(again.day, again.closed),
        )
    if stored.hold is not None:
        yield _series(
            "daily returns of holding, out of sample",
            DailySeries(stored.day, stored.hold),
            DailySeries(again.day, hold_returns(candles, again.day)),
        )
    fraction = config.risk.position_fraction
    metrics = marked_metrics(fraction * again.trades["ret"], again.daily)
    yield _metrics("metrics, out of sample", [("", configuration.out_of_sample, metrics)])
    yield _metrics("metrics of the windows", _of_windows(record, config, candles))

    evaluator = evaluator_of(config, candles, configuration.parameters)
    point = evaluator.space.point(configuration.parameters)
    window = _days(candles, *record.in_sample.day[[0, -1]].tolist())
    daily = DailySeries(_calendar(candles, window), evaluator.marked_returns(point, window))
    yield _series("daily returns, in sample", record.in_sample, daily)
    metrics = marked_metrics(fraction * evaluator.trades(point, window)["ret"], daily.returns)
    yield _metrics("metrics, in sample", [("", configuration.in_sample, metrics)])
    yield _sharpe_test(configuration.statistics, again.daily)


def _derived(
    configuration: Configuration,
    record: ArtifactSet,
    config: SimulationConfig,
    candles: Candles,
    context: RowContext,
) -> Iterable[Comparison]:
    """Compare what the row says besides with what follows from its figures."""
    yield _same("gates", configuration.gates, judge_again(configuration, context.events)[1])
    yield _same("row", *row_columns(configuration, config, context))
    document = rebuilt_document(configuration, record, config, candles, context.events)
    yield _same("document", configuration.document, document)
    yield _same("circuit_breakers", configuration.circuit_breakers, document["circuit_breakers"])


def _out_of_sample(record: ArtifactSet, config: SimulationConfig, candles: Candles) -> Resimulation:
    """Trade every window's winner on its test days; days without a winner are zero."""
    day, daily, closed, trades = [], [], [], [np.zeros(0, TRADE)]
    for stored in record.windows:
        window = _named_days(candles, stored["test"])
        day.append(_calendar(candles, window))
        if stored["parameters"] is None:
            daily.append(np.zeros(len(day[-1])))
            closed.append(daily[-1])
            continue
        evaluator = evaluator_of(config, candles, stored["parameters"])
        point = evaluator.space.point(stored["parameters"])
        daily.append(evaluator.marked_returns(point, window))
        closed.append(evaluator.daily_returns(point, window))
        trades.append(evaluator.trades(point, window))
    return Resimulation(
        np.concatenate(day), np.concatenate(daily), np.concatenate(closed), np.concatenate(trades)
    )


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


def _trades(stored: NDArray[Any], again: NDArray[Any]) -> Comparison:
    disagreements = compare_trades(stored, again)
    same = len(stored) == len(again)
    largest = float(np.abs(stored["ret"] - again["ret"]).max(initial=0.0)) if same else None
    return _comparison("trades, out of sample", len(stored), disagreements, largest)


def _series(what: str, stored: DailySeries, again: DailySeries) -> Comparison:
    """Compare day by day; returns to the tolerance of a trade's."""
    if not np.array_equal(stored.day, again.day):
        spans = [
            f"{utc_date(int(s.day[0]))} to {utc_date(int(s.day[-1]))}" for s in (stored, again)
        ]
        days = Disagreement(f"{what}, days", *(f"{s}" for s in spans))
        return _comparison(what, len(stored.day), [days], None)
    difference = np.abs(stored.returns - again.returns)
    wrong = np.flatnonzero(~(difference <= RETURN_TOLERANCE))
    disagreements = [
        Disagreement(
            f"{what}, {utc_date(int(stored.day[i]))}",
            stored.returns[i].item(),
            again.returns[i].item(),
        )
        for i in wrong
    ]
    return _comparison(what, len(stored.day), disagreements, _largest(difference))


def _metrics(what: str, pairs: Iterable[tuple[str, Mapping[str, Any], Any]]) -> Comparison:
    """Compare metrics by name, null as NaN (`gpu_engine.agreement.compare_metrics`)."""
    disagreements, differences = [], [0.0]
    count = 0
    for prefix, stored, again in pairs:
        expected = {n: math.nan if stored[n] is None else stored[n] for n in METRICS.names or ()}
        count += len(expected)
        disagreements += [
            d._replace(field=f"{prefix}{d.field.removeprefix('metrics.')}")
            for d in compare_metrics(expected, again)
        ]
        differences += [abs(float(again[n]) - v) for n, v in expected.items()]
    named = [d._replace(field=f"{what}, {d.field}") for d in disagreements]
    return _comparison(what, count, named, _largest(np.array(differences)))


def _sharpe_test(statistics: Mapping[str, Any], daily: Float) -> Comparison:
    """Test the re-simulated series against luck again."""
    again = sharpe_test(daily)._asdict()
    disagreements, differences = [], [0.0]
    for name, value in again.items():
        stored = statistics[name]
        if stored is None or value is None:
            different = stored is not value
        else:
            differences.append(abs(stored - value))
            different = not differences[-1] <= METRIC_TOLERANCE * max(1.0, abs(value))
        if different:
            disagreements.append(Disagreement(name, stored, value))
    return _comparison("p_value and z_score", len(again), disagreements, max(differences))


def _same(what: str, stored: Any, expected: Any) -> Comparison:
    """Compare JSON value by value."""
    compared = 0
    disagreements: list[Disagreement] = []
    for path, own, again in pairs(what, stored, expected):
        compared += 1
        if not equal(own, again):
            disagreements.append(Disagreement(path, own, again))
    return _comparison(what, compared, disagreements, None)


def _comparison(
    what: str, compared: int, disagreements: list[Disagreement], largest: float | None
) -> Comparison:
    first = None
    if disagreements:
        one = disagreements[0]
        first = f"{one.field}: stored {_written(one.expected)}, now {_written(one.got)}"
    return Comparison(what, compared, len(disagreements), largest, first)


def _written(figure: object) -> str:
    """Write a figure; NaN stands for one that is undefined."""
    return "undefined" if isinstance(figure, float) and math.isnan(figure) else str(figure)


def _span(day: NDArray[np.int32]) -> str:
    if not len(day):
        return "none"
    return f"{len(day)} from {utc_date(int(day[0]))} to {utc_date(int(day[-1]))}"


def _largest(difference: Float) -> float:
    finite = difference[np.isfinite(difference)]  # NaN where both are undefined
    return float(finite.max(initial=0.0))


def _named_days(candles: Candles, dates: list[str]) -> Window:
    first, last = (int((np.datetime64(date, "D") - _DAY0).astype(int)) for date in dates)
    return _days(candles, first, last)


def _days(candles: Candles, first: int, last: int) -> Window:
    """Bars of the UTC days ``first`` to ``last``, both included."""
    if not candles.day[0] <= first <= last <= candles.day[-1]:
        raise ValueError(f"days {utc_date(first)} to {utc_date(last)} are not in the candles")
    start, end = np.searchsorted(candles.day, [first, last + 1])
    return Window(int(start), int(end))


def _calendar(candles: Candles, window: Window) -> NDArray[np.int32]:
    first, last = int(candles.day[window.start]), int(candles.day[window.end - 1])
    return np.arange(first, last + 1, dtype=np.int32)
