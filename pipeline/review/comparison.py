"""Compare figures that were stored with the same figures computed again."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import (
    METRIC_TOLERANCE,
    METRICS,
    RETURN_TOLERANCE,
    Candles,
    Disagreement,
    Float,
    compare_metrics,
    compare_trades,
)
from pipeline.market_data.timeframe import utc
from pipeline.results.artifacts.artifact_set import DailySeries
from pipeline.review.derived import equal, pairs
from pipeline.review.stored import utc_date
from pipeline.validation.statistics import sharpe_test

#: Of arrays that are only shown, absolute and relative: some are float32, and of a GPU.
ARRAY_TOLERANCE = 1e-4
#: Characters of a figure that are shown.
LONGEST = 200


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
    figures = "prices or volumes" if candles.funding is None else "prices, volumes or funding"
    difference = "; ".join(differing) or f"as many, of the same days, with other {figures}"
    return Comparison(
        "candles", len(candles), 1, None, f"the candles are not those of the training: {difference}"
    )


def compare_trade_lists(stored: NDArray[Any], again: NDArray[Any]) -> Comparison:
    """Compare trade by trade; the largest difference is of their returns."""
    disagreements = compare_trades(stored, again)
    same = len(stored) == len(again)
    largest = float(np.abs(stored["ret"] - again["ret"]).max(initial=0.0)) if same else None
    return _comparison("trades, out of sample", len(stored), disagreements, largest)


def compare_series(what: str, stored: DailySeries, again: DailySeries) -> Comparison:
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


def compare_metric_sets(
    what: str, pairs: Iterable[tuple[str, Mapping[str, Any], Any]]
) -> Comparison:
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


def compare_sharpe_test(statistics: Mapping[str, Any], daily: Float) -> Comparison:
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


def compare_json(what: str, stored: Any, expected: Any) -> Comparison:
    """Compare JSON value by value."""
    compared = 0
    disagreements: list[Disagreement] = []
    for path, own, again in pairs(what, stored, expected):
        compared += 1
        if not equal(own, again):
            disagreements.append(Disagreement(path, own, again))
    return _comparison(what, compared, disagreements, None)


def compare_arrays(
    what: str, stored: Mapping[str, NDArray[Any]], again: Mapping[str, NDArray[Any]]
) -> Comparison:
    """Compare arrays by name, float32 figures among them, to `ARRAY_TOLERANCE`; NaN is NaN."""
    disagreements, count = [], 0
    for name in sorted(stored.keys() | again.keys()):
        own, now = stored.get(name), again.get(name)
        count += 0 if own is None else own.size
        if own is None or now is None or own.shape != now.shape:
            shapes = ("none" if values is None else list(values.shape) for values in (own, now))
            disagreements.append(Disagreement(f"{what}, {name}, shape", *shapes))
            continue
        tolerance = {"rtol": ARRAY_TOLERANCE, "atol": ARRAY_TOLERANCE}
        wrong = np.flatnonzero(~np.isclose(own, now, **tolerance, equal_nan=True))
        disagreements += [
            Disagreement(f"{what}, {name}[{i}]", own.flat[i].item(), now.flat[i].item())
            for i in wrong[:1]
        ]
    return _comparison(what, count, disagreements, None)


def _comparison(
    what: str, compared: int, disagreements: list[Disagreement], largest: float | None
) -> Comparison:
    first = None
    if disagreements:
        one = disagreements[0]
        first = f"{one.field}: stored {_written(one.expected)}, now {_written(one.got)}"
    return Comparison(what, compared, len(disagreements), largest, first)


def _written(figure: object) -> str:
    """Write a figure; NaN stands for one that is undefined. A long one is cut."""
    text = "undefined" if isinstance(figure, float) and math.isnan(figure) else str(figure)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _largest(difference: Float) -> float:
    finite = difference[np.isfinite(difference)]  # NaN where both are undefined
    return float(finite.max(initial=0.0))
