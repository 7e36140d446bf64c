"""The portable fallback: the same outcomes and walk, vectorised over lanes, NumPy alone.

A *lane* is one combination in one window. All lanes of a block advance together, trade by trade:
a list of "next passing row" for each unit answers where a lane enters next, so the number of steps
is the largest number of trades, not of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.metrics import NO_DEVIATION
from gpu_engine.outcomes import Outcomes, net_return, trades_of_rows
from gpu_engine.records import (
    END,
    METRICS,
    STOP,
    STOP_GAP,
    TARGET,
    TARGET_GAP,
    TIME,
    Batch,
    Bool,
    Float,
    Int64,
    Window,
)

name = "numpy"

#: Elements of the largest array of a block: 16 MB each.
LANES_PER_BLOCK = 1 << 21


@dataclass(frozen=True)
class Loaded:
    """The book with every outcome computed.

    ``signal_key`` of a row is ``table * keys_per_table + signal_bar``, ascending over all rows, so
    that one search finds rows in many tables.
    """

    book: EventBook
    outcomes: Outcomes
    signal_key: Int64
    keys_per_table: int


def load(book: EventBook) -> Loaded:
    """Compute the outcome of every distinct entry under every exit setting."""
    outcomes = Outcomes.empty(book)
    block = max(1, LANES_PER_BLOCK // max(1, len(book.entries.bar)))
    for first in range(0, len(book.exits), block):
        _outcomes(book, outcomes, slice(first, min(first + block, len(book.exits))))
    keys = len(book.candles) + 1
    table = np.repeat(np.arange(len(book.row_start) - 1), np.diff(book.row_start))
    return Loaded(book, outcomes, table * keys + book.signal_bar, keys)


def evaluate(loaded: Loaded, batch: Batch, windows: tuple[Window, ...]) -> NDArray[Any]:
    """Compute metrics (`METRICS`) of all combinations in all windows, shape (W, len(batch))."""
    metrics = np.zeros((len(windows), len(batch)), METRICS)
    for w, window in enumerate(windows):
        for lanes in _lanes(loaded, batch, window):
            while lanes.step():
                pass
            metrics[w, lanes.combination] = lanes.metrics()
    return metrics


def daily_returns(loaded: Loaded, batch: Batch, window: Window) -> Float:
    """Compute daily equity returns (fills rules §10), float64 of shape (len(batch), D)."""
    first = loaded.book.candles.day[window.start]
    daily = np.zeros((len(batch), loaded.book.candles.days_of(window)))
    for lanes in _lanes(loaded, batch, window):
        while lanes.step():
            traded = lanes.combination[lanes.active]
            daily[traded, lanes.day[lanes.active] - first] = lanes.day_return(lanes.active)
    return daily


def trades(loaded: Loaded, batch: Batch, window: Window) -> NDArray[Any]:
    """List the trades (`TRADE`) of a batch of one combination, in order of entry."""
    rows = []
    for lanes in _lanes(loaded, batch, window):
        while lanes.step():
            rows.append(lanes.row[0])
    taken = np.array(rows, np.int64)
    return trades_of_rows(loaded.book, loaded.outcomes, taken, int(batch.first_exit[0]), window)


def _outcomes(book: EventBook, outcomes: Outcomes, settings: slice) -> None:
    """Find the first passage of all entries under some exit settings (fills rules §7)."""
    candles, entries = book.candles, book.entries
    count = settings.stop - settings.start
    setting = np.repeat(np.arange(settings.start, settings.stop), len(entries.bar))
    entry = np.tile(np.arange(len(entries.bar)), count)
    side = entries.side[entry].astype(np.float64)
    price = entries.price[entry]
    distance = book.exits.stop_distance[setting]
    stop = price - side * distance * entries.atr[entry]
    target = price + side * book.exits.target_multiple[setting] * distance * entries.atr[entry]
    worse = 1.0 - side * book.costs.slippage
    j = entries.bar[entry].astype(np.int64)
    bars = 0  # since the entry, its own included
    while len(j):
        bars += 1
        opening, close = candles.open[j], candles.close[j]
        adverse = np.where(side > 0, candles.low[j], candles.high[j])
        favourable = np.where(side > 0, candles.high[j], candles.low[j])
        later = bars > 1
        rules = (
            (STOP_GAP, later & (side * opening <= side * stop), opening * worse),
            (TARGET_GAP, later & (side * opening >= side * target), opening),
            (STOP, side * adverse <= side * stop, stop * worse),
            (TARGET, side * favourable >= side * target, target),
            (TIME, np.full(len(j), bars == book.risk.max_holding_bars), close * worse),
            (END, j == len(candles) - 1, close * worse),
        )
        open_still = np.ones(len(j), np.bool_)
        for reason, matches, out in rules:
            hit = np.flatnonzero(open_still & matches)
            where = (setting[hit], entry[hit])
            outcomes.exit_bar[where] = j[hit]
            outcomes.reason[where] = reason
            outcomes.price[where] = out[hit]
            open_still[hit] = False
        keep = np.flatnonzero(open_still)
        setting, entry, side, worse = setting[keep], entry[keep], side[keep], worse[keep]
        stop, target, j = stop[keep], target[keep], j[keep] + 1
    outcomes.ret[settings] = net_return(
        entries.side, entries.price, outcomes.price[settings], book.costs.fee_rate
    )


def _lanes(loaded: Loaded, batch: Batch, window: Window) -> Iterator[_Lanes]:
    """Yield blocks of lanes, together the whole batch in one window."""
    thresholds = batch.thresholds * loaded.book.senses
    units = np.arange(len(batch.table))
    rows = loaded.book.row_start[batch.table + 1] - loaded.book.row_start[batch.table]
    size = np.maximum(rows, batch.exits_per_unit)  # of a unit's part of the largest array
    block = np.cumsum(size) // LANES_PER_BLOCK
    for part in np.split(units, np.flatnonzero(np.diff(block)) + 1):
        if len(part):
            yield _Lanes(loaded, batch, window, part, thresholds[part])


class _Lanes:
    """State of all combinations of some units in one window; arrays of shape (L,)."""

    def __init__(
        self, loaded: Loaded, batch: Batch, window: Window, units: Int64, thresholds: Float
    ) -> None:
        book = loaded.book
        self._book, self._outcomes, self._window = book, loaded.outcomes, window
        self._signal_key = loaded.signal_key
        self._n_keys = loaded.keys_per_table
        table = batch.table[units].astype(np.int64)
        first = self._first_row(table, window.start)
        after = self._first_row(table, window.end - 1)  # e = r + 1 < end
        self._next, start = _next_passing(book, table, first, after, thresholds, window.start)
        offsets = np.arange(batch.exits_per_unit)

        def each_lane(of_units: Int64) -> Int64:
            return np.repeat(of_units, batch.exits_per_unit)

        self._cell = each_lane(start - first)  # next row: self._next[cell + row]
        self._table, self._after = each_lane(table), each_lane(after)
        self._position = each_lane(first)
        self._setting = (batch.first_exit[units][:, None] + offsets).ravel()
        self.combination = (units[:, None] * batch.exits_per_unit + offsets).ravel()
        lanes = len(self.combination)
        self.active: Int64 = np.arange(lanes)
        self.row = np.zeros(lanes, np.int64)
        self.day = np.full(lanes, -1, np.int64)
        self._equity, self._day_open, self._peak = np.ones((3, lanes))
        self._drawdown, self._won, self._lost = np.zeros((3, lanes))
        # Days with exits: differences from the first one's return, as in `numba_kernels.close_day`.
        self._shift, self._apart, self._apart_squares, self._downside = np.zeros((4, lanes))
        self._days, self._trades, self._wins, self._streak = np.zeros((4, lanes), np.int64)

    def _first_row(self, table: Int64, bar: Int64 | int) -> Int64:
        """Find the first row of each table whose signal bar is at or after ``bar``."""
        return np.searchsorted(self._signal_key, table * self._n_keys + bar, "left")

    def day_return(self, lanes: Int64) -> Float:
        """Return the current day's return so far of some lanes."""
        return self._equity[lanes] / self._day_open[lanes] - 1.0

    def step(self) -> bool:
        """Take the next trade of every lane still active; False when none is left."""
        lanes = self.active
        row = self._next[self._cell[lanes] + self._position[lanes]]
        going = (row < self._after[lanes]) & (self._equity[lanes] > 0.0)  # §9: ruin
        self.active = lanes = lanes[going]
        if not len(lanes):
            return False
        self.row[lanes] = row = row[going]
        exit_bar, returns = self._close_at_window_end(lanes, row)
        self._account(lanes, self._book.candles.day[exit_bar], returns)
        self._advance(lanes, exit_bar)
        return True

    def _close_at_window_end(self, lanes: Int64, row: Int64) -> tuple[Int64, Float]:
        """Exit bar and return on equity; beyond the window it becomes §7.6 (fills rules §8)."""
        book, end = self._book, self._window.end
        entry = book.entry[row]
        setting = self._setting[lanes]
        exit_bar = self._outcomes.exit_bar[setting, entry].astype(np.int64)
        returns = self._outcomes.ret[setting, entry]
        cut = np.flatnonzero(exit_bar >= end)
        side = book.entries.side[entry[cut]]
        price = book.candles.close[end - 1] * (1.0 - side * book.costs.slippage)
        exit_bar[cut] = end - 1
        returns[cut] = net_return(side, book.entries.price[entry[cut]], price, book.costs.fee_rate)
        return exit_bar, returns * book.risk.position_fraction

    def _account(self, lanes: Int64, day: NDArray[np.int32], returns: Float) -> None:
        """Book one trade a lane: equity, drawdown, days, wins and losses (fills rules §10)."""
        turned = lanes[day != self.day[lanes]]
        self._close_day(turned)
        self._day_open[turned] = self._equity[turned]
        self.day[lanes] = day
        self._equity[lanes] = equity = self._equity[lanes] * (1.0 + returns)
        self._peak[lanes] = peak = np.maximum(self._peak[lanes], equity)
        down = 1.0 - equity / peak
        self._drawdown[lanes] = np.maximum(self._drawdown[lanes], down)
        won = returns > 0.0
        self._trades[lanes] += 1
        self._wins[lanes] += won
        self._won[lanes] += np.where(won, returns, 0.0)
        self._lost[lanes] -= np.where(won, 0.0, returns)
        self._streak[lanes] = np.where(returns < 0.0, self._streak[lanes] + 1, 0)

    def _close_day(self, lanes: Int64) -> None:
        """Add the current day, where one has begun, to the moments of the daily returns."""
        lanes = lanes[self.day[lanes] >= 0]
        day_return = self.day_return(lanes)
        first = self._days[lanes] == 0
        self._shift[lanes[first]] = day_return[first]
        difference = day_return - self._shift[lanes]
        self._days[lanes] += 1
        self._apart[lanes] += difference
        self._apart_squares[lanes] += difference * difference
        self._downside[lanes] += np.minimum(day_return, 0.0) ** 2

    def _advance(self, lanes: Int64, exit_bar: Int64) -> None:
        """Move to the first row that enters after the exit, or after the blocked day (§6, §9)."""
        risk, day = self._book.risk, self._book.candles.day
        opens: Bool = np.zeros(len(lanes), np.bool_)
        if risk.max_daily_loss is not None:
            opens |= self.day_return(lanes) <= -risk.max_daily_loss
        if risk.consecutive_losses_limit is not None:
            opens |= self._streak[lanes] >= risk.consecutive_losses_limit
        self._streak[lanes[opens]] = 0  # §9: the streak is 0 when the breaker clears
        last_closed = exit_bar.copy()
        last_closed[opens] = np.searchsorted(day, self.day[lanes[opens]], "right") - 1
        # e = r + 1 > last closed bar, so r >= last closed bar
        row = self._first_row(self._table[lanes], last_closed)
        self._position[lanes] = np.minimum(row, self._after[lanes])

    def metrics(self) -> NDArray[Any]:
        """Compute the metrics of fills rules §10 of every lane, dtype `METRICS`, shape (L,)."""
        everyone = np.arange(len(self.combination))
        self._close_day(everyone)
        n_days = self._book.candles.days_of(self._window)
        mean = (self._days * self._shift + self._apart) / n_days
        idle_days = n_days - self._days
        apart = self._apart - idle_days * self._shift
        squares = self._apart_squares + idle_days * self._shift * self._shift
        spread = np.maximum(squares - apart * apart / n_days, 0.0)  # of one day: 0
        deviation = np.sqrt(spread / max(n_days - 1, 1))
        deviation[deviation <= NO_DEVIATION] = 0.0
        with np.errstate(over="ignore"):  # twentyfold in a day is infinite in a year
            growth = np.maximum(self._equity, 0.0) ** (365.0 / n_days) - 1.0
        losers = self._trades - self._wins
        year = np.sqrt(365.0)
        result = np.zeros(len(everyone), METRICS)
        result["net_profit"] = self._equity - 1.0
        result["sharpe_ratio"] = _ratio(mean, deviation) * year
        result["sortino_ratio"] = _ratio(mean, np.sqrt(self._downside / n_days)) * year
        result["max_drawdown"] = self._drawdown
        result["calmar_ratio"] = _ratio(growth, self._drawdown)
        result["sample_size"] = self._trades
        result["win_rate"] = _ratio(self._wins, self._trades)
        result["avg_win"] = _ratio(self._won, self._wins)
        result["avg_loss"] = _ratio(-self._lost, losers)
        result["profit_factor"] = np.where(self._lost > 0, _ratio(self._won, self._lost), np.nan)
        result["n_days"] = n_days
        return result


def _next_passing(
    book: EventBook, table: Int64, first: Int64, after: Int64, thresholds: Float, start: int
) -> tuple[Int64, Int64]:
    """Find the next passing row at or after each row of every unit, and where its part begins.

    A unit's part covers its rows ``first .. after``, the last one standing for "no more".
    """
    size = after - first + 1
    begin = np.cumsum(size) - size
    following = np.empty(int(size.sum()), np.int64)
    for k in np.unique(table):
        units = np.flatnonzero(table == k)
        lo, hi = int(first[units[0]]), int(after[units[0]])
        passes = np.broadcast_to(book.sweep_bar[lo:hi] >= start, (len(units), hi - lo))  # §8
        for column, threshold in zip(book.features, thresholds[units].T, strict=True):
            passes = passes & (column[lo:hi] >= threshold[:, None])
        part = np.full((len(units), hi - lo + 1), hi)
        part[:, : hi - lo] = np.where(passes, np.arange(lo, hi), hi)
        backwards = part[:, ::-1]
        np.minimum.accumulate(backwards, axis=1, out=backwards)
        following[begin[units][:, None] + np.arange(hi - lo + 1)] = part
    return following, begin


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Float:
    """Return ``above / below``, 0 where ``below`` is 0."""
    result: Float = np.zeros(len(below))
    np.divide(above, below, out=result, where=below > 0)
    return result
