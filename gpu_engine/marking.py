"""Mark a series of trades to market at the close of every UTC day (fills rules §10.4).

The daily returns of `gpu_engine.metrics` know a trade only when it ends. These know it while it is
open, so they show the drawdown that an account would have seen.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.metrics import calmar_ratio, metrics_of
from gpu_engine.records import Candles, Costs, Float, Window


def marked_returns(
    candles: Candles, trades: NDArray[Any], window: Window, costs: Costs, exposure: float
) -> Float:
    """Compute the daily equity returns of some trades, marked to market.

    Parameters
    ----------
    candles : Candles
        Those the trades' bars count in.
    trades : array of dtype `TRADE` and shape (m,)
        All trades of the window, in order.
    costs : Costs
        Those the trades paid: of an open one the fee of its entry, and funding and borrowing so
        far.
    exposure : float
        Notional of every trade, as a share of the equity (`RiskLimits.exposure`).

    Returns
    -------
    float64 array of shape (D,)
        One return for each UTC day of the window; their product is that of the closed trades. Never
        NaN.
    """
    days = candles.day[window.start : window.end]
    bar = window.start - 1 + np.searchsorted(days, candles.calendar(window), "right")
    closed = np.searchsorted(trades["exit_bar"], bar, "right")
    equity = np.concatenate(([1.0], np.cumprod(1.0 + exposure * trades["ret"])))[closed]
    entered = np.searchsorted(trades["entry_bar"], bar, "right")
    open_days = np.flatnonzero(entered > closed)
    equity[open_days] *= 1.0 + exposure * _open_returns(
        candles, trades[closed[open_days]], bar[open_days], costs
    )
    return _returns(equity)


def marked_metrics(returns: Float, daily: Float) -> Any:
    """Compute the metrics (`METRICS`, a scalar record) of one marked series.

    Sharpe, Sortino and Calmar ratio and the drawdown are those of the days; all that is counted in
    trades stays as `metrics_of` gives it.

    Parameters
    ----------
    returns : float64 array of shape (trades,)
        Equity return of every trade, in the order of the exits.
    daily : float64 array of shape (D,)
        `marked_returns` of the same trades; D >= 1.
    """
    result = np.array(metrics_of(returns, daily))
    equity = np.concatenate(([1.0], np.cumprod(1.0 + daily)))
    drawdown = float((1.0 - equity / np.maximum.accumulate(equity)).max())
    final = float(np.prod(1.0 + returns))
    if equity.min() <= 0.0:  # ruined at a close, whatever the trade came to
        final = float(equity[-1])
        result["net_profit"] = final - 1.0
    result["max_drawdown"] = drawdown
    result["calmar_ratio"] = calmar_ratio(final, len(daily), drawdown)
    return result[()]


def _open_returns(candles: Candles, trades: NDArray[Any], bar: NDArray[Any], costs: Costs) -> Float:
    """Compute what each open trade is worth at the close of a bar: net return on notional."""
    side, entry = trades["side"].astype(np.float64), trades["entry"]
    worth: Float = side * (candles.close[bar] - entry) / entry - costs.fee_rate
    if costs.funding is not None and len(trades):
        paid = costs.funding.sums(candles)
        # Up to the close, which is the open of the next bar: the trade is open, so there is one.
        worth -= side * (paid[bar + 1] - paid[trades["entry_bar"]])
    borrow = costs.borrow(candles.step_ms)
    return worth - np.where(side < 0.0, borrow * (bar + 1 - trades["entry_bar"]), 0.0)


def _returns(equity: Float) -> Float:
    """Compute returns of daily equity that began at 1; nothing is won or lost after ruin."""
    ruin = np.flatnonzero(equity <= 0.0)[:1]
    lived = equity[: ruin[0] + 1] if len(ruin) else equity
    returns = np.zeros(len(equity))
    returns[: len(lived)] = lived / np.concatenate(([1.0], lived[:-1])) - 1.0
    return returns
