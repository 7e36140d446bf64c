"""Compute the statistics of the out-of-sample days and their trades (validation rules §3)."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import LIQUIDATION, STOP, Candles, Costs, Float, annualised, marked_metrics
from pipeline.search import Dimension, Evaluator
from pipeline.validation import breakdown
from pipeline.validation.bootstrap import BANDS, generator, zero_drift_bands
from pipeline.validation.holding import holding_figures
from pipeline.validation.stages import LEVEL, MOST_TRADES_NEEDED, least_trades_needed
from pipeline.validation.statistics import (
    minimum_track_record_length,
    moments,
    sharpe_interval,
    sharpe_test,
)
from pipeline.validation.walk_forward import Validation, stitch

#: Figures by closed trades that stand beside those of the marked series.
CLOSED = ("net_profit", "sharpe_ratio", "max_drawdown")
#: A value this near to an end of a continuous range, as a part of its width, lies on the edge.
EDGE = 0.01


def judged_figures(validation: Validation) -> dict[str, float]:
    """Out-of-sample metrics that gates judge (validation rules §6)."""
    return {n: float(validation.metrics[n]) for n in ("net_profit", "sharpe_ratio", "sample_size")}


def statistics(validation: Validation, evaluator: Evaluator, seed: int) -> dict[str, Any]:
    """Compute the statistics of validation rules §3 that these days and trades give, by name."""
    daily, day, trades = validation.daily, validation.day, validation.trades
    candles, costs = evaluator.candles, evaluator.costs
    fraction = evaluator.risk.exposure
    tested = [window.split.test for window in validation.windows]
    test = sharpe_test(daily)
    bands = zero_drift_bands(daily, generator(seed, BANDS))
    exits = ambiguity(candles, trades, costs, fraction)
    leveraged = evaluator.risk.leverage is not None
    liquidated = {"liquidations": int((trades["reason"] == LIQUIDATION).sum())} if leveraged else {}
    return {
        "p_value": test.p_value,
        "z_score": test.z_score,
        "trades_needed": trades_needed(trades["ret"], candles.step_ms),
        "closed": {n: float(validation.closed_metrics[n]) for n in CLOSED},
        "sharpe_interval": sharpe_interval(daily),
        **holding_figures(candles, day, daily, fraction),
        "time_in_market": breakdown.time_in_market(trades, sum(t.end - t.start for t in tested)),
        "sides": breakdown.sides(candles, trades, fraction, day),
        "costs": breakdown.costs_paid(candles, trades, costs, fraction).figures(),
        "years": breakdown.years(candles, trades, day, daily),
        "parameter_choices": parameter_choices(validation, evaluator.space.dimensions),
        "walk_forward_efficiency": walk_forward_efficiency(validation),
        "stability_score": validation.final.stability_score,
        "monte_carlo_var": bands.value_at_risk,
        "monte_carlo_drawdown": bands.drawdown,
        "ambiguous_exit_share": exits.exit_share,
        "net_profit_target_first": exits.net_profit_target_first,
        **liquidated,
    }


def long_alone(validation: Validation, evaluator: Evaluator) -> dict[str, float] | None:
    """Run the winners of all windows once more without shorts (validation rules §3.21).

    Returns
    -------
    dict or None
        ``trades``, ``net_profit``, ``sharpe_ratio`` and ``max_drawdown`` of that series; None where
        there was no short to leave out.
    """
    if not (validation.trades["side"] < 0).any():
        return None
    backend = evaluator.backend
    parts = (
        (w.split.test, point if point is None else (evaluator.alone(point, backend, "long"), point))
        for w in validation.windows
        for point in (w.search.point,)
    )
    series = stitch(evaluator.candles, parts)
    metrics = marked_metrics(evaluator.risk.exposure * series.trades["ret"], series.daily)
    return {"trades": len(series.trades)} | {n: float(metrics[n]) for n in CLOSED}


def trades_needed(returns: Float, step_ms: int) -> int:
    """Count the trades that MATURE asks for (validation rules §6.10).

    Parameters
    ----------
    returns : float64 array of shape (trades,)
        Of each trade out of sample. Their size does not matter: the record length is of a ratio.
    step_ms : int
        Length of a candle.
    """
    own = moments(returns)
    length = minimum_track_record_length(own.sharpe, own.skew, own.kurtosis, 0.0, LEVEL)
    if not length <= MOST_TRADES_NEEDED:  # NaN and infinity too
        return MOST_TRADES_NEEDED
    return max(least_trades_needed(step_ms), math.ceil(length))


def walk_forward_efficiency(validation: Validation) -> float | None:
    """Annualised OOS over mean annualised in-sample net profit; None when that is not positive."""
    promises = [
        annualised(float(w.in_sample["net_profit"]), int(w.in_sample["n_days"]))
        for w in validation.windows
        if w.in_sample is not None
    ]
    promised = float(np.mean(promises)) if promises else 0.0
    if promised <= 0.0:
        return None
    return annualised(float(validation.metrics["net_profit"]), len(validation.daily)) / promised


def parameter_spread(
    validation: Validation, names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Smallest, median and largest winning value of every parameter over the windows."""
    winners = _winners(validation)
    if not winners:
        return {}
    columns = zip(names, np.stack(winners).T, strict=True)
    return {
        name: {"min": float(c.min()), "median": float(np.median(c)), "max": float(c.max())}
        for name, c in columns
    }


def parameter_choices(
    validation: Validation, dimensions: Sequence[Dimension]
) -> dict[str, dict[str, Any]]:
    """Say of every stored value how many windows chose it too, and whether its range ends there.

    Returns
    -------
    dict
        By parameter (validation rules §3.17): ``chosen_in``, None in a range of real numbers, where
        no value comes twice; ``windows``, those with a winner; ``edge``, "low", "high" or None.
        Empty where the final search has no winner.
    """
    stored, winners = validation.final.point, _winners(validation)
    if stored is None:
        return {}
    choices = {}
    for column, dimension in enumerate(dimensions):
        value, parameter = float(stored[column]), dimension.parameter
        repeats = dimension.choices is not None or parameter.integer
        choices[parameter.name] = {
            "chosen_in": sum(bool(w[column] == value) for w in winners) if repeats else None,
            "windows": len(winners),
            "edge": _edge(dimension, value),
        }
    return choices


def _winners(validation: Validation) -> list[Float]:
    """Points of the windows' winners; a window without one chose nothing."""
    return [w.search.point for w in validation.windows if w.search.point is not None]


def _edge(dimension: Dimension, value: float) -> str | None:
    """Say at which end of its range a value lies: beyond a filter that is off there is nothing."""
    low, high = dimension.low, dimension.high
    if low == high or not np.isfinite(value):
        return None
    near = EDGE * (high - low) if dimension.choices is None else 0.0
    return "low" if value <= low + near else "high" if value >= high - near else None


class Ambiguity(NamedTuple):
    """Share of trades with such an exit bar, and the net profit had the target come first.

    Both None without trades. The trades stay the same: what a better exit would have done to
    circuit breakers and to later entries is not followed.
    """

    exit_share: float | None
    net_profit_target_first: float | None


def ambiguity(candles: Candles, trades: NDArray[Any], costs: Costs, exposure: float) -> Ambiguity:
    """Measure how many trades ended in a bar that touched both stop and target (exits rules §5.11).

    Candles cannot tell which came first; the engine lets the stop come first.

    Parameters
    ----------
    trades : array of dtype `TRADE` and shape (m,)
    """
    if not len(trades):
        return Ambiguity(None, None)
    side, entry, bar, target = (trades[n] for n in ("side", "entry", "exit_bar", "target"))
    favourable = np.where(side > 0, candles.high[bar], candles.low[bar])
    opening, stop, entry_bar = candles.open[bar], trades["stop"], trades["entry_bar"]
    gap = (bar > entry_bar) & (side * opening <= side * stop)  # liquidated when the bar opened
    within = (trades["reason"] == STOP) | ((trades["reason"] == LIQUIDATION) & ~gap)
    both = within & (side * favourable >= side * target)
    gain = side * (target - trades["exit"]) / entry
    fees = costs.fee_rate * trades["exit"] / entry - costs.target_fee * target / entry
    returns = exposure * np.where(both, trades["ret"] + gain + fees, trades["ret"])
    return Ambiguity(float(both.mean()), float(np.prod(1.0 + returns) - 1.0))
