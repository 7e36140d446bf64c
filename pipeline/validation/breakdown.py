"""Break the out-of-sample result down by side, cost and year (validation rules §3.13 to §3.16).

Symbols: ``T`` out-of-sample days, ``m`` trades (`TRADE`). An *equity return* is
``exposure`` (`RiskLimits.exposure`) times a return on notional.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import LIQUIDATION, TARGET, TARGET_GAP, Candles, Costs, Float, Int32, metrics_of
from pipeline.validation.holding import hold_returns, series_figures

Trades = NDArray[Any]


def time_in_market(trades: Trades, bars: int) -> float:
    """Share of ``bars`` in which a position was open, from the entry bar to the exit bar."""
    held = trades["exit_bar"].astype(np.int64) - trades["entry_bar"] + 1
    return float(held.sum()) / bars


def sides(
    candles: Candles, trades: Trades, exposure: float, day: Int32
) -> dict[str, dict[str, float]]:
    """Compute the result of the longs alone and of the shorts alone, by closed trades.

    Parameters
    ----------
    trades : array of dtype `TRADE` and shape (m,)
        With exits on the days ``day``.
    day : int32 array of shape (T,)
        UTC days of the series, ascending.

    Returns
    -------
    dict
        For ``long`` and ``short``: ``trades``, ``net_profit`` (their equity returns compounded)
        and ``sharpe_ratio`` (of days with their exits alone, the others 0).
    """
    return {
        name: _side(candles, trades[trades["side"] == side], exposure, day)
        for name, side in (("long", 1), ("short", -1))
    }


def _side(candles: Candles, trades: Trades, exposure: float, day: Int32) -> dict[str, float]:
    returns = exposure * trades["ret"]
    growth = np.ones(len(day))
    np.multiply.at(growth, np.searchsorted(day, candles.day[trades["exit_bar"]]), 1.0 + returns)
    metrics = metrics_of(returns, growth - 1.0)
    return {
        "trades": len(trades),
        "net_profit": float(metrics["net_profit"]),
        "sharpe_ratio": float(metrics["sharpe_ratio"]),
    }


class CostsPaid(NamedTuple):
    """What trades paid, as fractions of the equity at their entries, summed; and what was before.

    ``gross_net_profit`` compounds the same trades without any cost. What more equity would have
    done to circuit breakers is not followed. ``funding`` is negative where more came than went;
    ``borrow`` is what shorts paid for the loan of what they sold (exits rules §6.4).
    """

    gross_net_profit: float
    fees: float
    slippage: float
    funding: float
    borrow: float

    def figures(self) -> dict[str, float]:
        """Return them by name; ``borrow`` where something was paid for it."""
        figures = self._asdict()
        return figures if self.borrow else {n: v for n, v in figures.items() if n != "borrow"}


def costs_paid(candles: Candles, trades: Trades, costs: Costs, exposure: float) -> CostsPaid:
    """Take the costs of exits rules §6 out of the trades again.

    A trade's equity return is its gross return less its fees, slippage, funding and borrowing.

    Parameters
    ----------
    trades : array of dtype `TRADE` and shape (m,)
    """
    side, moved = trades["side"].astype(np.float64), trades["exit"] / trades["entry"]
    entry, exit_ = unslipped(trades, costs.slippage)
    gross = side * (exit_ / entry - 1.0)
    fees = costs.fee_rate + np.where(rested(trades), costs.target_fee, costs.fee_rate) * moved
    funding = np.zeros(len(trades))
    if costs.funding is not None:
        sums = costs.funding.sums(candles)
        funding = side * (sums[trades["exit_bar"]] - sums[trades["entry_bar"]])
    held = trades["exit_bar"].astype(np.int64) - trades["entry_bar"] + 1
    borrow = costs.borrow(candles.step_ms) * held[side < 0]
    return CostsPaid(
        gross_net_profit=float(np.prod(1.0 + exposure * gross) - 1.0),
        fees=float(exposure * fees.sum()),
        slippage=float(exposure * (gross - side * (moved - 1.0)).sum()),
        funding=float(exposure * funding.sum()),
        borrow=float(exposure * borrow.sum()),
    )


def unslipped(trades: Trades, slippage: float) -> tuple[Float, Float]:
    """Return entry and exit prices before slippage.

    A target rests and has none (exits rules §5.2), and neither has a liquidation (§8.4).

    Parameters
    ----------
    trades : array of dtype `TRADE` and shape (m,)
    slippage : float
        Fraction by which market orders were worsened.
    """
    side = trades["side"].astype(np.float64)
    entry = trades["entry"] / (1.0 + side * slippage)
    exact = rested(trades) | (trades["reason"] == LIQUIDATION)
    exit_ = trades["exit"] / np.where(exact, 1.0, 1.0 - side * slippage)
    return entry, exit_


def rested(trades: Trades) -> NDArray[np.bool_]:
    """Whether each trade left by an order that rested at the exchange: its target."""
    return np.isin(trades["reason"], (TARGET, TARGET_GAP))


def years(candles: Candles, trades: Trades, day: Int32, daily: Float) -> list[dict[str, Any]]:
    """Compute the result of every calendar year (UTC) in the series.

    Parameters
    ----------
    trades : array of dtype `TRADE` and shape (m,)
        Counted in the year of their exit.
    day : int32 array of shape (T,)
        UTC days of the series, days since the epoch, ascending.
    daily : float64 array of shape (T,)
        Its returns.

    Returns
    -------
    list of dict
        ``year``, ``days`` of it in the series, ``trades``, ``net_profit``, ``sharpe_ratio``,
        ``max_drawdown`` and ``hold_net_profit``, of holding the market on the same days.
    """
    hold = hold_returns(candles, day)
    year_of, closed = _year(day), _year(candles.day[trades["exit_bar"]])
    result = []
    for year in np.unique(year_of).tolist():
        own = year_of == year
        figures = {"year": year, "days": int(own.sum()), "trades": int((closed == year).sum())}
        market = series_figures(hold[own])["net_profit"]
        result.append(figures | series_figures(daily[own]) | {"hold_net_profit": market})
    return result


def _year(day: Int32) -> NDArray[np.int64]:
    """Calendar year of UTC days, int64."""
    return day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
