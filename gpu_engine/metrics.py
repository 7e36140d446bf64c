"""Compute the metrics of a series of trades and its daily returns, plainly (fills rules §10).

The compiled backends accumulate the same figures in O(1) memory; this is what they must equal.
"""

from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np

from gpu_engine.records import METRICS, Float

DAYS_PER_YEAR = 365.0

#: A deviation of daily returns up to this part of the largest of them is none (fills rules §10.1):
#: equal days differ by what rounding leaves.
NO_DEVIATION = 1e-12


class Needs(NamedTuple):
    """What some metric of a call is made of; the walk leaves out the rest.

    ``moments`` of daily returns, the largest ``drawdown``, ``gains`` and losses, ``growth`` a year.
    """

    moments: bool
    drawdown: bool
    gains: bool
    growth: bool

    @classmethod
    def of(cls, fields: Container[str]) -> "Needs":
        """Return what the metrics called ``fields`` need."""

        def some(*names: str) -> bool:
            return any(name in fields for name in names)

        return cls(
            moments=some("sharpe_ratio", "sortino_ratio"),
            drawdown=some("max_drawdown", "calmar_ratio"),
            gains=some("win_rate", "avg_win", "avg_loss", "profit_factor"),
            growth=some("calmar_ratio"),
        )


def metrics_of(returns: Float, daily: Float) -> Any:
    """Compute the metrics (`METRICS`, a scalar record) of one series.

    Parameters
    ----------
    returns : float64 array of shape (trades,)
        Equity return of every trade, in the order of the exits.
    daily : float64 array of shape (D,)
        Daily equity returns, zero on days without an exit; D >= 1.
    """
    equity = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    final = float(equity[-1])
    drawdown = float((1.0 - equity / np.maximum.accumulate(equity)).max())
    wins, losses = returns[returns > 0.0], returns[returns < 0.0]
    others = returns[returns <= 0.0]
    result = np.zeros((), METRICS)
    result["net_profit"] = final - 1.0
    result["sharpe_ratio"], result["sortino_ratio"] = _ratios(daily)
    result["max_drawdown"] = drawdown
    result["calmar_ratio"] = calmar_ratio(final, len(daily), drawdown)
    result["sample_size"] = len(returns)
    result["win_rate"] = len(wins) / len(returns) if len(returns) else 0.0
    result["avg_win"] = wins.mean() if len(wins) else 0.0
    result["avg_loss"] = others.mean() if len(others) else 0.0
    result["profit_factor"] = wins.sum() / -losses.sum() if len(losses) else np.nan
    result["n_days"] = len(daily)
    return result[()]


def deviation_of(daily: Float) -> Float:
    """Compute the standard deviation (ddof 1) of daily returns (fills rules §10.1).

    Every statistic asks here whether a series has a deviation: one that has passes ``> 0``.

    Parameters
    ----------
    daily : float array of shape (..., D)

    Returns
    -------
    float64 array of shape (...)
        0 for equal days, up to what rounding leaves of them, and for D < 2. NaN where a return is
        not finite, or too large to be squared.
    """
    if daily.shape[-1] < 2:
        return np.zeros(daily.shape[:-1])
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = daily.std(axis=-1, ddof=1, dtype=np.float64)
    none = deviation <= NO_DEVIATION * np.abs(daily).max(axis=-1)
    return np.where(none, 0.0, np.where(np.isfinite(deviation), deviation, np.nan))


def _ratios(daily: Float) -> tuple[float, float]:
    """Compute Sharpe and Sortino ratio of daily returns; Sortino is NaN when no day lost."""
    mean, deviation = float(daily.mean()), float(deviation_of(daily))
    downside = float(np.sqrt((np.minimum(daily, 0.0) ** 2).mean())) if len(daily) >= 2 else 0.0
    year, least = np.sqrt(DAYS_PER_YEAR), NO_DEVIATION * float(np.abs(daily).max())
    sharpe = mean / deviation * year if deviation > 0.0 else 0.0
    sortino = mean / downside * year if downside > least else 0.0
    return sharpe, sortino if (daily < 0.0).any() else np.nan


def calmar_ratio(final: float, days: int, drawdown: float) -> float:
    """Compute the Calmar ratio; NaN without a drawdown or when growth or quotient overflow."""
    if drawdown == 0.0:
        return np.nan
    with np.errstate(over="ignore"):
        ratio = np.float64(_growth(final, days)) / drawdown
    return float(ratio) if np.isfinite(ratio) else np.nan


def annualised(net_profit: float, n_days: int) -> float:
    """Compound a net profit over ``n_days`` to a year; -1 after ruin (fills rules §10)."""
    return _growth(1.0 + net_profit, n_days)


def _growth(equity: float, n_days: int) -> float:
    """Compound an equity that began at 1 to a year, from the equity itself, which may be tiny."""
    if equity <= 0.0:
        return -1.0
    with np.errstate(over="ignore"):  # twentyfold in a day is infinite in a year
        return float(np.float64(equity) ** (DAYS_PER_YEAR / n_days)) - 1.0
