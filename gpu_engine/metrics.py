"""Compute the metrics of a series of trades and its daily returns, plainly (fills rules §10).

The compiled backends accumulate the same figures in O(1) memory; this is what they must equal.
"""

from typing import Any

import numpy as np

from gpu_engine.records import METRICS, Float

DAYS_PER_YEAR = 365.0

#: A deviation of daily returns up to this is none (fills rules §10.1): equal days differ by what
#: rounding leaves, some 1e-16 of equity.
NO_DEVIATION = 1e-14


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
    mean = float(daily.mean())
    deviation = float(daily.std(ddof=1)) if len(daily) >= 2 else 0.0
    downside = float(np.sqrt((np.minimum(daily, 0.0) ** 2).mean()))
    wins, others = returns[returns > 0.0], returns[returns <= 0.0]
    lost = -float(others.sum())
    year = np.sqrt(DAYS_PER_YEAR)
    result = np.zeros((), METRICS)
    result["net_profit"] = final - 1.0
    result["sharpe_ratio"] = mean / deviation * year if deviation > NO_DEVIATION else 0.0
    result["sortino_ratio"] = mean / downside * year if downside > 0.0 else 0.0
    result["max_drawdown"] = drawdown
    result["calmar_ratio"] = _growth(final, len(daily)) / drawdown if drawdown else 0.0
    result["sample_size"] = len(returns)
    result["win_rate"] = len(wins) / len(returns) if len(returns) else 0.0
    result["avg_win"] = wins.mean() if len(wins) else 0.0
    result["avg_loss"] = others.mean() if len(others) else 0.0
    result["profit_factor"] = wins.sum() / lost if lost > 0.0 else np.nan
    result["n_days"] = len(daily)
    return result[()]


def annualised(net_profit: float, n_days: int) -> float:
    """Compound a net profit over ``n_days`` to a year; -1 after ruin (fills rules §10)."""
    return _growth(1.0 + net_profit, n_days)


def _growth(equity: float, n_days: int) -> float:
    """Compound an equity that began at 1 to a year, from the equity itself, which may be tiny."""
    if equity <= 0.0:
        return -1.0
    with np.errstate(over="ignore"):  # twentyfold in a day is infinite in a year
        return float(np.float64(equity) ** (DAYS_PER_YEAR / n_days)) - 1.0
