"""Compute the figures of the V3 document from out-of-sample trades and daily returns.

Symbols: ``m`` trades (`gpu_engine.records.TRADE`) in the order of their entries; ``D`` daily net
returns, fractions, zero on days without an exit. A figure that its input cannot give is None,
never NaN and never a made-up zero.
"""

import importlib.util
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import numpy as np

from gpu_engine import Candles, Costs, Float, metrics_of
from pipeline.validation.breakdown import Trades, rested, unslipped

#: Share of the days beyond the value at risk.
TAIL = 1 - 0.95


def gross_win_rate(trades: Trades, slippage: float) -> float | None:
    """Share of trades whose exit beat their entry before fees and slippage.

    Parameters
    ----------
    trades : `TRADE` array of shape (m,)
    slippage : float
        Fraction by which market orders were worsened (fills rules §6, §7); undone here.

    Returns
    -------
    float or None
        None without trades.
    """
    if not len(trades):
        return None
    entry, exit_ = unslipped(trades, slippage)
    return float(np.mean(trades["side"] * (exit_ - entry) > 0))


def exchange_fees(trades: Trades, costs: Costs) -> float:
    """Sum of the fees of both sides, as fractions of each trade's notional (exits rules §6.1)."""
    moved = trades["exit"] / trades["entry"]
    cheaper = (costs.target_fee - costs.fee_rate) * np.where(rested(trades), moved, 0.0)
    return float(np.sum(costs.fee_rate * (1 + moved) + cheaper))


def estimated_slippage(trades: Trades, slippage: float) -> float:
    """Sum of what slippage cost at entry and exit, as fractions of each trade's notional."""
    entry, exit_ = unslipped(trades, slippage)
    lost = (trades["entry"] - entry) + (exit_ - trades["exit"])
    return float(np.sum(trades["side"] * lost / trades["entry"]))


def trade_clustering(trades: Trades) -> float | None:
    """Lag-1 autocorrelation of the times between entries.

    Positive where trades come in bursts, about zero where they come at random. None with fewer
    than three such times, or where they are all equal.
    """
    gaps = np.diff(trades["entry_bar"]).astype(np.float64)
    if len(gaps) < 3 or np.ptp(gaps) == 0:
        return None
    deviation = gaps - gaps.mean()
    return float(deviation[1:] @ deviation[:-1] / (deviation @ deviation))


def sharpe_ratio(returns: Float) -> float:
    """Annualised Sharpe ratio; 0 without deviation or with D < 2 (fills rules §10)."""
    if len(returns) < 2:
        return 0.0
    return float(metrics_of(np.empty(0), returns)["sharpe_ratio"])


def recent_sharpe_ratio(returns: Float, days: int) -> float | None:
    """`sharpe_ratio` of the last ``days`` returns; None where there are fewer."""
    return sharpe_ratio(returns[-days:]) if len(returns) >= days else None


def drawdown_duration(returns: Float) -> int:
    """Longest time under water, in days: days in a row that end below the highest equity so far.

    Equity starts at 1, so a series that begins with a loss begins under water.
    """
    equity = np.cumprod(1 + returns)
    under_water = equity < np.maximum(np.maximum.accumulate(equity), 1.0)
    longest = run = 0
    for wet in under_water.tolist():
        run = run + 1 if wet else 0
        longest = max(longest, run)
    return longest


def value_at_risk(returns: Float) -> float | None:
    """Historical value at risk of one day: minus the 5 % quantile, positive when a loss.

    The quantile is interpolated linearly (definition 7 of Hyndman & Fan 1996). None without days.
    """
    if not len(returns):
        return None
    return 0.0 - float(np.quantile(returns, TAIL))  # and never −0


def conditional_value_at_risk(returns: Float) -> float | None:
    """Mean loss of the days at or beyond `value_at_risk`, positive when a loss.

    None without days.
    """
    if not len(returns):
        return None
    return 0.0 - float(returns[returns <= np.quantile(returns, TAIL)].mean())


def kelly_fraction(win_rate: float, avg_win: float, avg_loss: float, n_trades: int) -> float | None:
    """``W − (1 − W)·|avg_loss| / avg_win``, clipped to 0…1 (Kelly 1956, two outcomes).

    0 where no trade won, None without trades.
    """
    if n_trades == 0:
        return None
    if avg_win <= 0:
        return 0.0
    return min(max(win_rate - (1 - win_rate) * abs(avg_loss) / avg_win, 0.0), 1.0)


def average_spread_bps(candles: Candles) -> float | None:
    """EDGE estimate over the whole history, bps; None if undefined (configuration rules §2.8)."""
    estimate = _edge()(candles.open, candles.high, candles.low, candles.close)
    return estimate * 10_000 if np.isfinite(estimate) else None


def _edge() -> Callable[..., float]:
    """Return bidask's estimator without the rest of its package, which imports pandas."""
    package = importlib.util.find_spec("bidask")
    assert package is not None, "bidask is installed with this package"
    assert package.origin is not None, "it is a folder with an __init__.py"
    loader = SourceFileLoader("bidask_edge", str(Path(package.origin).with_name("edge.py")))
    module = ModuleType(loader.name)
    loader.exec_module(module)
    estimator: Callable[..., float] = module.edge
    return estimator
