"""Walk many paths side by side in NumPy, row by row: the portable form of the hot loop.

A *path* is one unit in one window: the rows that may be taken, in order. A *lane* is a path under
one exit setting; the lanes of a path lie side by side, and so do the paths of a block, longest
first, so that those with a row left are the front of every array. What a lane does not take is made
to change nothing: a return of 0, no new day, no later exit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.metrics import DAYS_PER_YEAR, NO_DEVIATION, Needs
from gpu_engine.records import METRICS, Bool, Float, Int32, Int64

#: Lanes of a block: few enough for a core's caches, enough to outweigh the calls of a step.
LANES_PER_BLOCK = 1 << 14
#: Exit bar and day of what is not taken: before every bar.
NEVER = -1
#: Last exit of a ruined lane, after every bar, and a limit that no count reaches.
RUIN = np.iinfo(np.int32).max


class Ends(NamedTuple):
    """How entries end under exit settings, X of them side by side; shape (cells, X) each.

    ``exit_day`` counts from the market's first day; ``ret`` is on equity. What its setting drops
    has `NEVER`, `NEVER` and 0.
    """

    exit_bar: Int32
    exit_day: Int32
    ret: Float


@dataclass(frozen=True)
class Paths:
    """The rows of ``P`` paths.

    Path ``k`` takes positions ``start[k] .. start[k] + length[k] - 1`` of ``row``, the row's number
    in the book, ``bar``, its entry bar, and ``cell``, its outcomes in `Ends`. It is of the batch's
    ``unit`` in the call's ``window``, which has ``n_days``. Shapes are (P,) and (rows,).
    """

    window: Int64
    unit: Int64
    start: Int64
    length: Int64
    n_days: Int64
    row: Int64
    bar: Int32
    cell: Int64


@dataclass(frozen=True)
class Rules:
    """What all paths share (fills rules §9): a limit that is off is inf or `RUIN`.

    ``last_bar`` is that of every day; ``drops`` says that some setting drops some row.
    """

    max_daily_loss: float
    losses_limit: int
    last_bar: Int32
    drops: bool


def walks(paths: Paths, ends: Ends, rules: Rules, needs: Needs) -> Iterator[Walk]:
    """Yield blocks of paths, together all of them, each at its start."""
    longest_first = np.argsort(-paths.length, kind="stable")
    size = max(1, LANES_PER_BLOCK // ends.ret.shape[1])
    for first in range(0, len(longest_first), size):
        yield Walk(paths, longest_first[first : first + size], ends, rules, needs)


@dataclass
class State:
    """What a trade changes, an element a lane.

    ``last_exit`` is the bar up to which a lane is busy or blocked; ``lowest`` the lowest equity
    over its peak; ``skips`` counts the rows not taken. Days with exits are summed as differences
    to the first one's return, ``shift``, as in `gpu_engine.numba_walk`.
    """

    equity: Float
    peak: Float
    lowest: Float
    day_open: Float
    day_return: Float
    won: Float
    lost: Float
    days: Float
    shift: Float
    apart: Float
    squares: Float
    downside: Float
    largest: Float
    last_exit: Int32
    day: Int32
    wins: Int32
    skips: Int32
    streak: Int32

    @classmethod
    def at_start(cls, lanes: int) -> State:
        """Return the state before the first trade."""
        ones, none = np.ones((4, lanes)), np.zeros((9, lanes))
        never, count = np.full((2, lanes), NEVER, np.int32), np.zeros((3, lanes), np.int32)
        return cls(*ones, *none, *never, *count)


class _Scratch(NamedTuple):
    turn: Float
    work: Float
    part: Float
    zero: Float
    mask: Bool
    other: Bool


class Walk:
    """A block of paths on their way, each of a ``window`` and ``unit``, int64 of shape (B,).

    ``state``, and ``ends``, the outcome of the last row, are of the lanes in front while `step`
    says True, and of all lanes then; ``width`` is how many lanes a path has.
    """

    def __init__(self, paths: Paths, path: Int64, ends: Ends, rules: Rules, needs: Needs) -> None:
        self.window, self.unit, self.width = paths.window[path], paths.unit[path], ends.ret.shape[1]
        self._paths, self._ends, self._rules, self._needs = paths, ends, rules, needs
        self._start, self._length = paths.start[path], paths.length[path]
        self._n_days, self._step, self._front = paths.n_days[path], 0, len(path)
        lanes = len(path) * self.width
        self.state = self._state = State.at_start(lanes)
        bar, day = np.empty((2, lanes), np.int32)
        floats, masks = np.zeros((5, lanes)), np.empty((2, lanes), np.bool_)
        self.ends = self._row_ends = Ends(bar, day, floats[0])
        self._scratch = self._all_scratch = _Scratch(*floats[1:], *masks)
        self._first_day = np.arange(lanes)  # lanes whose first day with an exit may still run

    def step(self) -> bool:
        """Bring every path to its next row; False when none is left."""
        front = int(np.count_nonzero(self._length > self._step))
        if front != self._front:
            self._front = front
            self._narrow((front or len(self.unit)) * self.width)
        if not front:
            return False
        self._position = self._start[:front] + self._step
        self._step += 1
        skips = self._look_up()
        np.maximum(self.state.last_exit, self.ends.exit_bar, out=self.state.last_exit)
        self._turn_days()
        self._compound()
        self._count(skips)
        self._break()
        return True

    def _narrow(self, lanes: int) -> None:
        """Work on the first lanes alone; they share memory with all."""

        def front(columns: Iterable[Any]) -> Iterator[Any]:
            return (column[:lanes] for column in columns)

        self.state = State(*front(vars(self._state).values()))
        self.ends = Ends(*front(self._row_ends))
        self._scratch = _Scratch(*front(self._all_scratch))

    @property
    def row(self) -> Int64:
        """The rows to which the paths in front came last."""
        return self._paths.row[self._position]

    def _look_up(self) -> Int64:
        """Take outcomes of all lanes; return the lanes that skip the row, changed to nothing."""
        cell, shape = self._paths.cell[self._position], (self._front, self.width)
        ends, state, mask = self.ends, self.state, self._scratch.mask
        np.take(self._ends.exit_bar, cell, 0, ends.exit_bar.reshape(shape), "clip")
        np.take(self._ends.exit_day, cell, 0, ends.exit_day.reshape(shape), "clip")
        np.take(self._ends.ret, cell, 0, ends.ret.reshape(shape), "clip")
        bar = self._paths.bar[self._position][:, None]
        np.greater_equal(state.last_exit.reshape(shape), bar, out=mask.reshape(shape))
        if self._rules.drops:
            np.logical_or(mask, ends.exit_bar == NEVER, out=mask)  # exits rules §3
        skips = mask.nonzero()[0]
        ends.exit_bar[skips] = NEVER
        ends.exit_day[skips] = NEVER
        ends.ret[skips] = 0.0
        state.skips[skips] += 1
        return skips

    def _turn_days(self) -> None:
        """Close the day in the lanes whose exit is on a later one."""
        state, mask = self.state, self._scratch.mask
        np.greater(self.ends.exit_day, state.day, out=mask)
        np.maximum(state.day, self.ends.exit_day, out=state.day)
        if self._needs.moments:
            np.copyto(self._scratch.turn, mask)
            self._close_days()
            state.days += self._scratch.turn
        np.putmask(state.day_open, mask, state.equity)

    def _close_days(self) -> None:
        """Add the day's return to the moments in the lanes where ``turn`` is 1."""
        state, (turn, work, part, zero, *_) = self.state, self._scratch
        np.subtract(state.day_return, state.shift, out=work)
        work *= turn
        state.apart += work
        work *= work
        state.squares += work
        np.multiply(state.day_return, turn, out=work)
        np.minimum(work, zero, out=part)
        part *= part
        state.downside += part
        np.abs(work, out=work)
        np.maximum(state.largest, work, out=state.largest)

    def _compound(self) -> None:
        """Compound the returns: equity, drawdown and the return of the day (fills rules §10)."""
        state, work = self.state, self._scratch.work
        np.add(self.ends.ret, 1.0, out=work)
        state.equity *= work
        if self._needs.drawdown:
            np.maximum(state.peak, state.equity, out=state.peak)
            np.divide(state.equity, state.peak, out=work)
            np.minimum(state.lowest, work, out=state.lowest)
        np.divide(state.equity, state.day_open, out=state.day_return)
        state.day_return -= 1.0
        if self._needs.moments and len(self._first_day):
            first = self._first_day[self._state.days[self._first_day] <= 1.0]
            self._state.shift[first] = self._state.day_return[first]
            self._first_day = first

    def _count(self, skips: Int64) -> None:
        """Count wins, losses and the streak of losses."""
        state, ret, (_, work, _, zero, mask, _) = self.state, self.ends.ret, self._scratch
        if self._needs.gains:
            np.maximum(ret, zero, out=work)
            state.won += work
            np.minimum(ret, zero, out=work)
            state.lost -= work
            np.greater(ret, 0.0, out=mask)
            state.wins += mask
        before = state.streak[skips]
        np.less(ret, 0.0, out=mask)
        state.streak += 1
        state.streak *= mask
        state.streak[skips] = before

    def _break(self) -> None:
        """Block the lanes whose circuit breaker opens, a ruined one for good (fills rules §9)."""
        state, rules, (*_, mask, other) = self.state, self._rules, self._scratch
        np.less_equal(state.day_return, -rules.max_daily_loss, out=mask)
        np.greater_equal(state.streak, rules.losses_limit, out=other)
        np.logical_or(mask, other, out=mask)
        opens = mask.nonzero()[0]
        opens = opens[self.ends.exit_day[opens] != NEVER]
        state.streak[opens] = 0  # fills rules §9: the streak is 0 when the breaker clears
        state.last_exit[opens] = rules.last_bar[state.day[opens]]
        if state.equity.min() <= 0.0:
            state.last_exit[state.equity <= 0.0] = RUIN

    def metrics(self) -> NDArray[Any]:
        """Return the metrics that were needed, dtype `METRICS`, of shape (B, width).

        Call it once, after the last step: it closes the last days.
        """
        self._scratch.turn[:] = 1.0
        self._close_days()
        n_days = np.repeat(self._n_days, self.width)
        trades = np.repeat(self._length, self.width) - self.state.skips
        return _metrics(self.state, trades, n_days).reshape(len(self.unit), self.width)


def _metrics(state: State, trades: Int64, n_days: Int64) -> NDArray[Any]:
    """Compute the metrics (`METRICS`) of lanes whose days are closed (fills rules §10)."""
    mean = (state.days * state.shift + state.apart) / n_days
    idle_days = n_days - state.days
    apart = state.apart - idle_days * state.shift
    squares = state.squares + idle_days * state.shift * state.shift
    spread = np.maximum(squares - apart * apart / n_days, 0.0)  # of one day: 0
    deviation = np.sqrt(spread / np.maximum(n_days - 1, 1))
    below = np.where(n_days > 1, np.sqrt(state.downside / n_days), 0.0)
    least = NO_DEVIATION * state.largest  # fills rules §10.1
    deviation[deviation <= least] = 0.0
    below[below <= least] = 0.0
    drawdown = 1.0 - state.lowest
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        growth = np.maximum(state.equity, 0.0) ** (DAYS_PER_YEAR / n_days) - 1.0
        calmar = growth / drawdown
    year = np.sqrt(DAYS_PER_YEAR)
    result = np.zeros(len(trades), METRICS)
    result["net_profit"] = state.equity - 1.0
    result["sharpe_ratio"] = _ratio(mean, deviation) * year
    result["sortino_ratio"] = np.where(state.downside > 0.0, _ratio(mean, below) * year, np.nan)
    result["max_drawdown"] = drawdown
    result["calmar_ratio"] = np.where(np.isfinite(calmar), calmar, np.nan)
    result["sample_size"] = trades
    result["win_rate"] = _ratio(state.wins, trades)
    result["avg_win"] = _ratio(state.won, state.wins)
    result["avg_loss"] = _ratio(-state.lost, trades - state.wins)
    result["profit_factor"] = np.where(state.lost > 0.0, _ratio(state.won, state.lost), np.nan)
    result["n_days"] = n_days
    return result


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Float:
    """Return ``above / below``, 0 where ``below`` is 0."""
    result: Float = np.zeros(len(below))
    np.divide(above, below, out=result, where=below > 0)
    return result
