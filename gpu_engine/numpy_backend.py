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
from gpu_engine.levels import Levels, levels
from gpu_engine.metrics import NO_DEVIATION
from gpu_engine.outcomes import DROPPED, Outcomes, net_returns, trades_of_rows
from gpu_engine.records import (
    END,
    METRICS,
    SIGNAL,
    STOP,
    STOP_GAP,
    TARGET,
    TARGET_GAP,
    TIME,
    Batch,
    Bool,
    Float,
    Int32,
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
    """Compute the outcome of every distinct entry under every exit setting, shape (E, N)."""
    entries = np.arange(len(book.entries.bar))
    block = max(1, LANES_PER_BLOCK // max(1, len(entries)))
    parts = []
    for first in range(0, len(book.exits), block):
        settings = np.arange(first, min(first + block, len(book.exits)))
        part = passages(book, np.repeat(settings, len(entries)), np.tile(entries, len(settings)))
        parts.append([column.reshape(len(settings), len(entries)) for column in part])
    outcomes = Outcomes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    keys = len(book.candles) + 1
    table = np.repeat(np.arange(len(book.row_start) - 1), np.diff(book.row_start))
    return Loaded(book, outcomes, table * keys + book.signal_bar, keys)


def evaluate(
    loaded: Loaded, batch: Batch, windows: tuple[Window, ...], fields: tuple[str, ...]
) -> NDArray[Any]:
    """Compute all `METRICS`, whatever the ``fields``, in all windows, shape (W, len(batch))."""
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
            traded = lanes.combination[lanes.traded]
            daily[traded, lanes.day[lanes.traded] - first] = lanes.day_return(lanes.traded)
    return daily


def trades(loaded: Loaded, batch: Batch, window: Window) -> NDArray[Any]:
    """List the trades (`TRADE`) of a batch of one combination, in order of entry."""
    rows: list[int] = []
    for lanes in _lanes(loaded, batch, window):
        while lanes.step():
            rows.extend(lanes.row[lanes.traded])
    taken, setting = np.array(rows, np.int64), int(batch.first_exit[0])
    outcomes = passages(loaded.book, np.full(len(taken), setting), loaded.book.entry[taken])
    return trades_of_rows(loaded.book, taken, outcomes, setting, window)


def passages(book: EventBook, setting: Int64, entry: Int64 | Int32) -> Outcomes:
    """Find how entries end under settings, index arrays of shape (m,) (exits rules §5).

    Prices are signed (`gpu_engine.levels`). All positions advance together, bar by bar.
    """
    level = levels(book, setting, entry)
    result = Outcomes(
        np.full(len(entry), DROPPED, np.int32),
        np.full(len(entry), END, np.int8),
        np.full(len(entry), np.nan),
        np.zeros(len(entry)),
    )
    open_ = _Positions(book, setting, entry, level)
    while len(open_.number):
        for reason, hit, price in open_.exits():
            which = open_.number[hit]
            result.exit_bar[which] = open_.bar[hit]
            result.reason[which] = reason
            result.price[which] = price
        open_.advance()
    kept = np.flatnonzero(result.exit_bar != DROPPED)
    result.ret[kept] = net_returns(
        book, entry[kept], result.exit_bar[kept], result.reason[kept], result.price[kept]
    )
    return result


class _Positions:
    """Positions still open in a scan; arrays of shape (open positions,), prices signed."""

    def __init__(
        self, book: EventBook, setting: Int64, entry: Int64 | Int32, level: Levels
    ) -> None:
        entries = book.entries
        self._candles = book.candles
        self._moving = book.exits.moving
        self.number = np.flatnonzero(~level.dropped)
        entry, setting = entry[self.number], setting[self.number]
        self._side = entries.side[entry].astype(np.float64)
        self._entry = self._side * entries.price[entry]
        self._level = level.at(self.number)
        self._worse = 1.0 - self._side * book.costs.slippage
        self._longest = book.exits.holding(book.risk.max_holding_bars)[setting]
        never = len(book.candles)
        self._leave = np.full(len(entry), never, np.int64)
        if entries.exit_signal_bar is not None:
            signal = entries.exit_signal_bar[entry]
            self._leave = np.where(signal >= 0, signal + 1, never)
        self.bar = entries.bar[entry].astype(np.int64)
        self._best = np.full(len(entry), -np.inf)
        self._age = 1  # bars since the entry, its own included
        self._still = np.ones(len(entry), np.bool_)

    def exits(self) -> Iterator[tuple[int, Int64, Float]]:
        """Yield reason, positions that end in this bar, and fill, in order (exits rules §5)."""
        candles, side, worse, target = self._candles, self._side, self._worse, self._level.target
        opening = side * candles.open[self.bar]
        high, low = candles.high[self.bar], candles.low[self.bar]
        adverse, favourable = np.where(side > 0, low, -high), np.where(side > 0, high, -low)
        close = candles.close[self.bar]
        stop = self._stop()
        later, traded = self._age > 1, ~candles.filled[self.bar]
        worst = stop if later else np.minimum(stop, opening)
        self._still = np.ones(len(self.bar), np.bool_)
        rules = (
            (STOP_GAP, later & traded & (opening <= stop), side * opening * worse),
            (TARGET_GAP, later & traded & (opening >= target), side * target),
            (SIGNAL, later & traded & (self.bar >= self._leave), side * opening * worse),
            (STOP, traded & (adverse <= stop), side * worst * worse),
            (TARGET, traded & (favourable >= target), side * target),
            (TIME, self._age == self._longest, close * worse),
            (END, self.bar == len(candles) - 1, close * worse),
        )
        for reason, matches, price in rules:
            hit = np.flatnonzero(self._still & matches)
            self._still[hit] = False
            yield reason, hit, price[hit]
        self._best = np.maximum(self._best, favourable)

    def advance(self) -> None:
        """Go to the next bar with the positions that are open still."""
        keep = np.flatnonzero(self._still)
        for name in ("number", "_side", "_entry", "_worse", "_longest", "_leave", "_best"):
            setattr(self, name, getattr(self, name)[keep])
        self._level = self._level.at(keep)
        self.bar = self.bar[keep] + 1
        self._age += 1

    def _stop(self) -> Float:
        """Return the stop in force (exits rules §4); -inf for none."""
        if not self._moving or self._age == 1:
            return self._level.stop
        best, level = self._best, self._level
        even = np.where(best >= level.break_even, self._entry, -np.inf)
        trailing = np.where(best >= level.trail, best - level.trail_distance, -np.inf)
        tightest: Float = np.maximum(np.maximum(level.stop, even), trailing)
        return tightest


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
        self.traded: Int64 = np.zeros(0, np.int64)
        self.row = np.zeros(lanes, np.int64)
        self.day = np.full(lanes, -1, np.int64)
        self._equity, self._day_open, self._peak = np.ones((3, lanes))
        self._drawdown, self._won, self._lost = np.zeros((3, lanes))
        # Days with exits: differences from the first one's return, as in `numba_kernels.close_day`.
        self._shift, self._apart, self._apart_squares, self._downside = np.zeros((4, lanes))
        self._largest = np.zeros(lanes)
        self._days, self._trades, self._wins, self._streak = np.zeros((4, lanes), np.int64)

    def _first_row(self, table: Int64, bar: Int64 | int) -> Int64:
        """Find the first row of each table whose signal bar is at or after ``bar``."""
        return np.searchsorted(self._signal_key, table * self._n_keys + bar, "left")

    def day_return(self, lanes: Int64) -> Float:
        """Return the current day's return so far of some lanes."""
        return self._equity[lanes] / self._day_open[lanes] - 1.0

    def step(self) -> bool:
        """Take the next row of every lane still active; False when none is left.

        ``traded`` are the lanes whose setting does not drop their row.
        """
        lanes = self.active
        row = self._next[self._cell[lanes] + self._position[lanes]]
        going = (row < self._after[lanes]) & (self._equity[lanes] > 0.0)  # §9: ruin
        self.active = lanes = lanes[going]
        self.row[lanes] = row = row[going]
        self._position[lanes] = row + 1
        entry, setting = self._book.entry[row], self._setting[lanes]
        exit_bar = self._outcomes.exit_bar[setting, entry].astype(np.int64)
        kept = np.flatnonzero(exit_bar != DROPPED)
        self.traded = lanes = lanes[kept]
        if len(lanes):
            entry, setting = entry[kept], setting[kept]
            exit_bar, returns = self._close_at_window_end(setting, entry, exit_bar[kept])
            self._account(lanes, self._book.candles.day[exit_bar], returns)
            self._advance(lanes, exit_bar)
        return len(self.active) > 0

    def _close_at_window_end(
        self, setting: Int64, entry: Int32, exit_bar: Int64
    ) -> tuple[Int64, Float]:
        """Exit bar and return on equity; an end where it is beyond the window (exits rules §7)."""
        book, end = self._book, self._window.end
        returns = self._outcomes.ret[setting, entry]
        cut = np.flatnonzero(exit_bar >= end)
        exit_bar[cut] = end - 1
        price = book.candles.close[end - 1] * (
            1.0 - book.entries.side[entry[cut]] * book.costs.slippage
        )
        reason = np.full(len(cut), END, np.int8)
        returns[cut] = net_returns(book, entry[cut], exit_bar[cut], reason, price)
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
        self._largest[lanes] = np.maximum(self._largest[lanes], np.abs(day_return))

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
        downside = np.sqrt(self._downside / n_days) if n_days > 1 else np.zeros(len(everyone))
        least = NO_DEVIATION * self._largest  # fills rules §10.1
        deviation[deviation <= least] = 0.0
        downside[downside <= least] = 0.0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            growth = np.maximum(self._equity, 0.0) ** (365.0 / n_days) - 1.0
            calmar = growth / self._drawdown
        losers = self._trades - self._wins
        year = np.sqrt(365.0)
        result = np.zeros(len(everyone), METRICS)
        result["net_profit"] = self._equity - 1.0
        result["sharpe_ratio"] = _ratio(mean, deviation) * year
        sortino = _ratio(mean, downside) * year
        result["sortino_ratio"] = np.where(self._downside > 0.0, sortino, np.nan)
        result["max_drawdown"] = self._drawdown
        result["calmar_ratio"] = np.where(np.isfinite(calmar), calmar, np.nan)
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
        passes = np.broadcast_to(book.setup_bar[lo:hi] >= start, (len(units), hi - lo))  # §8
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
