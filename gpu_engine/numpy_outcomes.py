"""Find how entries end, in NumPy: the next bars of many positions are searched at once."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.levels import Levels, levels
from gpu_engine.outcomes import DROPPED, Outcomes, net_returns
from gpu_engine.records import (
    END,
    LIQUIDATION,
    SIGNAL,
    STOP,
    STOP_GAP,
    TARGET,
    TARGET_GAP,
    TIME,
    Float,
    Int32,
    Int64,
)

#: Bars of a position that are searched at once.
SCAN = 32
#: Positions that are searched at once: their bars stay in a core's own cache.
POSITIONS_PER_BLOCK = 2048


class Passages:
    """First passage over the bars of a market (exits rules §4, §5).

    Prices are signed (`gpu_engine.levels`): those of a long, then those of a short, `SCAN` bars
    without trades after each; NaN where nothing traded, which fails every comparison.
    """

    def __init__(self, book: EventBook) -> None:
        candles = book.candles
        self._book, n = book, len(candles)
        self._moving = book.exits.moving
        self._short = n + SCAN  # where the prices of a short begin
        filled = candles.filled
        self._open = self._signed(candles.open, candles.open, filled)
        self._adverse = self._signed(candles.low, candles.high, filled)
        self._favourable = self._signed(candles.high, candles.low, filled)
        self._least = sliding_window_view(np.minimum(self._open, self._adverse), SCAN)
        self._most = sliding_window_view(np.maximum(self._open, self._favourable), SCAN)
        if self._moving:
            best = self._signed(candles.high, candles.low, np.zeros(n, np.bool_))
            self._best = sliding_window_view(best, SCAN)
        bar = np.where(filled, n, np.arange(n))
        self._next_trade = np.append(np.minimum.accumulate(bar[::-1])[::-1], n)  # at or after

    def _signed(self, long: Float, short: Float, filled: NDArray[np.bool_]) -> Float:
        result = np.full(2 * self._short, np.nan)
        result[: len(long)][~filled] = long[~filled]
        result[self._short : self._short + len(short)][~filled] = -short[~filled]
        return result

    def of(self, setting: Int64, entry: Int64 | Int32) -> Outcomes:
        """Find how entries end under settings, index arrays of shape (m,)."""
        result = Outcomes(
            np.full(len(entry), DROPPED, np.int32),
            np.full(len(entry), END, np.int8),
            np.full(len(entry), np.nan),
            np.zeros(len(entry)),
        )
        for first in range(0, len(entry), POSITIONS_PER_BLOCK):
            block = slice(first, first + POSITIONS_PER_BLOCK)
            level = levels(self._book, setting[block], entry[block])
            valid = np.flatnonzero(~level.dropped)
            which = first + valid
            outcomes = self._outcomes(setting[which], entry[which], level.at(valid))
            result.exit_bar[which], result.reason[which] = outcomes.exit_bar, outcomes.reason
            result.price[which], result.ret[which] = outcomes.price, outcomes.ret
        return result

    def _outcomes(self, setting: Int64, entry: Int64 | Int32, level: Levels) -> Outcomes:
        """Find the bar in which each position ends, then the rule that ends it there."""
        book, n = self._book, len(self._book.candles)
        entry_bar = book.entries.bar[entry].astype(np.int64)
        side = book.entries.side[entry].astype(np.float64)
        shift = np.where(side > 0.0, 0, self._short)
        longest = book.exits.holding(book.risk.max_holding_bars)[setting]
        timed = np.where(longest > 0, entry_bar + longest - 1, n)
        leave = np.full(len(entry), n)
        if book.entries.exit_signal_bar is not None:
            signal = book.entries.exit_signal_bar[entry].astype(np.int64)
            leave = np.where(signal < 0, n, self._next_trade[np.clip(signal + 1, entry_bar + 1, n)])
        last = np.minimum(np.minimum(timed, leave), n - 1)
        bar, stop = self._search(entry_bar, shift, last, side * book.entries.price[entry], level)
        at, later = bar + shift, bar > entry_bar
        opening, target = self._open[at], level.target
        worse = 1.0 - side * book.costs.slippage
        worst = np.where(later, stop, np.minimum(stop, opening))
        market, close = side * opening * worse, book.candles.close[bar] * worse
        gone = book.entries.price[entry] * np.where(side > 0.0, *map(book.risk.bankruptcy, (1, -1)))
        over, stopped = level.liquidation, self._adverse[at] <= stop
        rules = (
            (LIQUIDATION, later & (opening <= over), gone),
            (STOP_GAP, later & (opening <= stop), market),
            (TARGET_GAP, later & (opening >= target), side * target),
            (SIGNAL, bar == leave, market),
            (LIQUIDATION, stopped & (worst <= over), gone),
            (STOP, stopped, side * worst * worse),
            (TARGET, self._favourable[at] >= target, side * target),
            (TIME, bar == timed, close),
        )
        reasons, matches, prices = zip(*rules, strict=True)
        reason = np.select(matches, reasons, END).astype(np.int8)
        price = np.select(matches, prices, close)
        return Outcomes(
            bar.astype(np.int32), reason, price, net_returns(book, entry, bar, reason, price)
        )

    def _search(
        self, entry_bar: Int64, shift: Int64, last: Int64, price: Float, level: Levels
    ) -> tuple[Int64, Float]:
        """Find the first bar in which a level is reached, at most ``last``, and the stop then.

        An open or an extreme reaches it; in the entry bar, which a position has opened, an extreme.
        """
        at = entry_bar + shift
        over = (self._adverse[at] <= level.stop) | (self._favourable[at] >= level.target)
        bar, stop = np.where(over, entry_bar, last), level.stop.copy()
        number = np.flatnonzero(~over & (last > entry_bar))
        best = self._best[at[number], 0] if self._moving else stop[number]
        age = 1
        while len(number):
            first, own = entry_bar[number] + age, level.at(number)
            at = first + shift[number]
            stops = own.stop[:, None]
            if self._moving:
                stops, best = _moving_stops(self._best[at], best, price[number], own)
            hit = self._least[at] <= stops
            hit |= self._most[at] >= own.target[:, None]
            column, row = hit.argmax(axis=1), np.arange(len(number))
            out = np.where(hit[row, column], column, SCAN)
            out = np.minimum(out, last[number] - first)
            ends = np.flatnonzero(out < SCAN)
            bar[number[ends]] = first[ends] + out[ends]
            if self._moving:
                stop[number[ends]] = stops[ends, out[ends]]
            stays = np.flatnonzero(out == SCAN)
            number, best, age = number[stays], best[stays], age + SCAN
        return bar, stop


def _moving_stops(
    favourable: Float, best: Float, price: Float, level: Levels
) -> tuple[Float, Float]:
    """Return the stop in force in some bars, and the best price after them (exits rules §4).

    Shapes are (m, SCAN) and (m,), as of ``favourable`` and of ``best``, that before them.
    """
    until = np.maximum.accumulate(np.column_stack((best, favourable)), axis=1)
    known = until[:, :-1]
    even = np.where(known >= level.break_even[:, None], price[:, None], -np.inf)
    trailing = np.where(
        known >= level.trail[:, None], known - level.trail_distance[:, None], -np.inf
    )
    return np.maximum(np.maximum(level.stop[:, None], even), trailing), until[:, -1]
