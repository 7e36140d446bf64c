"""Translate between freqtrade's terms and ours: candles, and prices that it will round."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpu_engine import Candles, Funding, Int64

#: ccxt's modes of a market's precision.
DECIMAL_PLACES, TICK_SIZE = 2, 4
#: Share of a tick between the price that is handed over and the tick that it stands for.
SHORT_OF = 0.4


def tick_of(trade: Any) -> float | None:
    """Return the smallest step of the price of a trade's market; None where it is not known."""
    precision, mode = trade.price_precision, trade.precision_mode_price
    if precision is None:
        return None
    if mode == TICK_SIZE:
        return float(precision)
    if mode == DECIMAL_PLACES:
        return float(10.0 ** -round(precision))
    return None


def aim(trade: Any, price: float, *, up: bool) -> float:
    """Return a price for freqtrade that it rounds to the first tick at or beyond ``price``.

    A candle reaches a level between two ticks when it reaches the tick beyond it, upwards or
    downwards. freqtrade rounds the stop of a long up and that of a short down, and compares a
    target strictly: so the price lies just below that tick for a long, just above it for a short.
    """
    tick = tick_of(trade)
    if tick is None or not math.isfinite(price):
        return price
    near = round(price / tick)
    on_tick = math.isclose(price, near * tick, rel_tol=1e-13)
    ticks = near if on_tick else (math.ceil if up else math.floor)(price / tick)
    return (ticks + SHORT_OF if trade.is_short else ticks - SHORT_OF) * tick


def candles_of(dataframe: Any, step_ms: int, payments: Any = None) -> Candles:
    """Return freqtrade's candles as the engine's, with the funding that a contract paid, if any.

    freqtrade fills a missing candle as candles rules §1.1 does, but leaves no mark: one with one
    price and no volume counts as filled.
    """
    funding = None
    if payments is not None:
        funding = Funding(_times(payments), payments["funding_rate"].to_numpy(np.float64))
    names = ("open", "high", "low", "close", "volume")
    columns: dict[str, Any] = {n: dataframe[n].to_numpy(np.float64, copy=True) for n in names}
    filled = (columns["volume"] == 0.0) & (columns["high"] == columns["low"])
    return Candles(_times(dataframe), **columns, filled=filled, step_ms=step_ms, funding=funding)


def _times(dataframe: Any) -> Int64:
    times: Int64 = dataframe["date"].dt.as_unit("ms").astype("int64").to_numpy()
    return times
