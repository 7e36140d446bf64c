"""Measure how many candles a combination's signals need behind them before they stand still.

A bot sees the newest candles of its exchange alone. A mean that Wilder smooths, or a level that
was set long ago, comes out otherwise when the candles begin later; after enough of them it does
not. Generated candles tell, so nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_engine import Candles, EventTable
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.strategies.base import of_kind
from pipeline.strategies.registry import LoadedStrategy

#: Numbers of candles that are tried. Binance gives 1,000 an answer, Kraken 720 in all, and
#: freqtrade asks five times at most.
LADDER = (200, 300, 400, 500, 600, 700, 999, 1_499, 1_999, 2_999, 4_999)
MOST_SERVED = LADDER[-1]
#: Bars whose signals are compared, at so many places, and the relative difference that counts as
#: none.
COMPARED, PLACES, ROUNDING = 500, 8, 1e-12


def warm_up_candles(
    strategy: LoadedStrategy, parameters: Mapping[str, float | None], timeframe: str
) -> int | None:
    """Return the first of `LADDER` after which signals no longer depend on the first candle.

    None where none of them is enough. Thresholds are at the loosest of the strategy's own grid, so
    that there are signals to compare.
    """
    bars = 2 * LADDER[-1] + PLACES * COMPARED
    days = -(-bars * timeframe_ms(timeframe) // 86_400_000)
    raw = synthetic_candles(days, timeframe, seed=1)
    candles, _ = make_regular(raw, timeframe, "generated")
    values = {p.name: parameters[p.name] for p in of_kind(strategy, "structural")}
    structural = {name: value for name, value in values.items() if value is not None}
    loosest = {
        p.name: (min if p.sense > 0 else max)(value for value in p.grid if value is not None)
        for p in of_kind(strategy, "threshold")
        if None not in p.grid
    }

    def rows(first: int, last: int) -> EventTable:
        part = candles.cut(first, last)
        return _of_last(strategy.events(part, loosest).table(structural), part, first)

    ends = [len(candles) - place * COMPARED for place in range(PLACES)]
    everything = [rows(0, end) for end in ends]
    bars_named = sum(
        values[p.name] or 0 for p in of_kind(strategy, "structural") if p.unit == "bars"
    )
    for count in LADDER:
        parts = (rows(end - COMPARED - count, end) for end in ends)
        if count > bars_named and all(map(_agree, everything, parts)):
            return count
    return None


def _of_last(table: EventTable, part: Candles, first: int) -> EventTable:
    """Return the rows of the bars that are compared, counted from the first of all candles."""
    table = table.at(table.signal_bar >= len(part) - COMPARED)
    shifted = {
        name: np.where(column < 0, column, column + first)
        for name, column in table.columns().items()
        if name.endswith("_bar")
    }
    return EventTable(**table.columns() | shifted)


def _agree(one: EventTable, other: EventTable) -> bool:
    first, second = one.columns(), other.columns()
    return first.keys() == second.keys() and all(
        first[name].shape == second[name].shape
        and np.allclose(first[name], second[name], rtol=ROUNDING, atol=0.0, equal_nan=True)
        for name in first
    )
