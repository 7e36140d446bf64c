"""Walk many paths side by side in NumPy, row by row: the portable form of the hot loop.

A *path* is one unit in one window: the rows that may be taken, in order. A *lane* is a path under
one exit setting; the lanes of a path lie side by side, and so do the paths of a block, longest
first, so that those with a row left are the front of every array. What a lane does not take is made
to change nothing: a return of 0, no new day, no later exit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.metrics import DAYS_PER_YEAR, NO_DEVIATION
from gpu_engine.records import METRICS, Bool, Float, Int32, Int64, RiskLimits

#: Lanes of a block: few enough for a core's caches, enough to outweigh the calls of a step.
LANES_PER_BLOCK = 1 << 14
#: Exit bar and day of what is not taken: before every bar.
NEVER = -1
#: Last exit of a ruined lane: after every bar.
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
    """What all paths share: limits, the last bar of every day, and whether rows are dropped."""

    risk: RiskLimits
    last_bar: Int32
    drops: bool


def walks(paths: Paths, ends: Ends, rules: Rules) -> Iterator[Walk]:
    """Yield blocks of paths, together all of them, each at its start."""
    longest_first = np.argsort(-paths.length, kind="stable")
    size = max(1, LANES_PER_BLOCK // ends.ret.shape[1])
    for first in range(0, len(longest_first), size):
        yield Walk(paths, longest_first[first : first + size], ends, rules)


class Walk:
    """A block of paths on their way, each of a ``window`` and ``unit``, int64 of shape (B,).

    The arrays below have an element a lane, of the front alone while `step` says True:
    ``exit_day`` is `NEVER` where the last row was not taken; ``last_exit`` is the bar up to which
    a lane is busy or blocked; ``lowest`` is the lowest equity over its peak. Days with exits are
    summed as differences from the first one's return, ``shift``, as in `gpu_engine.numba_walk`.
    """

    equity: Float
    peak: Float
    day_open: Float
    lowest: Float
    won: Float
    lost: Float
    day_return: Float
    days: Float
    shift: Float
    apart: Float
    squares: Float
    downside: Float
    largest: Float
    zero: Float
    ret: Float
    turned: Float
    work: Float
    part: Float
    last_exit: Int32
    day: Int32
    exit_bar: Int32
    exit_day: Int32
    wins: Int32
    skipped: Int32
    streak: Int32
    mask: Bool

    def __init__(self, paths: Paths, path: Int64, ends: Ends, rules: Rules) -> None:
        self.window, self.unit, self.width = paths.window[path], paths.unit[path], ends.ret.shape[1]
        self._paths, self._ends, self._rules = paths, ends, rules
        self._start, self._length = paths.start[path], paths.length[path]
        self._n_days = paths.n_days[path]
        lanes = len(path) * self.width
        dtypes = {"Float": np.float64, "Int32": np.int32, "Bool": np.bool_}
        self._all: dict[str, NDArray[Any]] = {
            name: np.zeros(lanes, dtypes[kind]) for name, kind in Walk.__annotations__.items()
        }
        for name in ("equity", "peak", "day_open", "lowest"):
            self._all[name][:] = 1.0
        for name in ("last_exit", "day"):
            self._all[name][:] = NEVER
        self._first_day = np.arange(lanes)  # lanes whose first day with an exit may still run
        self._step, self._front = 0, -1

    def step(self) -> bool:
        """Bring every path to its next row; False when none is left."""
        front = int(np.count_nonzero(self._length > self._step))
        if front != self._front:
            self._front = front
            lanes = (front or len(self.unit)) * self.width
            for name, array in self._all.items():
                setattr(self, name, array[:lanes])
        if not front:
            return False
        self._position = self._start[:front] + self._step
        self._step += 1
        skipped = self._look_up()
        np.maximum(self.last_exit, self.exit_bar, out=self.last_exit)
        self._turn_days()
        self._book_returns()
        self._break(skipped)
        return True

    @property
    def row(self) -> Int64:
        """The rows to which the paths in front came last."""
        return self._paths.row[self._position]

    def _look_up(self) -> Int64:
        """Take outcomes of all lanes; return the lanes that skip the row, changed to nothing."""
        cell, front = self._paths.cell[self._position], (self._front, self.width)
        for column, lanes in (
            (self._ends.exit_bar, self.exit_bar),
            (self._ends.exit_day, self.exit_day),
            (self._ends.ret, self.ret),
        ):
            np.take(column, cell, axis=0, out=lanes.reshape(front), mode="clip")
        bar = self._paths.bar[self._position][:, None]
        np.greater_equal(self.last_exit.reshape(front), bar, out=self.mask.reshape(front))
        if self._rules.drops:
            np.logical_or(self.mask, self.exit_bar == NEVER, out=self.mask)  # exits rules §3
        skipped = self.mask.nonzero()[0]
        self.exit_bar[skipped] = NEVER
        self.exit_day[skipped] = NEVER
        self.ret[skipped] = 0.0
        self.skipped[skipped] += 1
        return skipped

    def _turn_days(self) -> None:
        """Add the day that ends to the moments, in the lanes whose exit is on a later one."""
        np.greater(self.exit_day, self.day, out=self.mask)
        np.copyto(self.turned, self.mask)
        np.maximum(self.day, self.exit_day, out=self.day)
        self._close_days()
        self.days += self.turned
        np.putmask(self.day_open, self.mask, self.equity)

    def _close_days(self) -> None:
        """Add the day's return in the lanes where ``turned`` is 1."""
        work, part = self.work, self.part
        np.subtract(self.day_return, self.shift, out=work)
        work *= self.turned
        self.apart += work
        work *= work
        self.squares += work
        np.multiply(self.day_return, self.turned, out=work)
        np.minimum(work, self.zero, out=part)
        part *= part
        self.downside += part
        np.abs(work, out=work)
        np.maximum(self.largest, work, out=self.largest)

    def _book_returns(self) -> None:
        """Compound the returns: equity, drawdown, wins and losses, the day (fills rules §10)."""
        ret, work = self.ret, self.work
        np.add(ret, 1.0, out=work)
        self.equity *= work
        np.maximum(self.peak, self.equity, out=self.peak)
        np.divide(self.equity, self.peak, out=work)
        np.minimum(self.lowest, work, out=self.lowest)
        np.maximum(ret, self.zero, out=work)
        self.won += work
        np.minimum(ret, self.zero, out=work)
        self.lost -= work
        np.greater(ret, 0.0, out=self.mask)
        self.wins += self.mask
        np.divide(self.equity, self.day_open, out=self.day_return)
        self.day_return -= 1.0
        if len(self._first_day):
            first = self._first_day[self._all["days"][self._first_day] <= 1.0]
            self._all["shift"][first] = self._all["day_return"][first]
            self._first_day = first

    def _break(self, skipped: Int64) -> None:
        """Block the lanes whose circuit breaker opens, a ruined one for good (fills rules §9)."""
        risk = self._rules.risk
        opens = np.zeros(0, np.int64)
        if risk.max_daily_loss is not None:
            np.less_equal(self.day_return, -risk.max_daily_loss, out=self.mask)
            opens = self.mask.nonzero()[0]
        if risk.consecutive_losses_limit is not None:
            before = self.streak[skipped]
            np.less(self.ret, 0.0, out=self.mask)
            self.streak += 1
            self.streak *= self.mask
            self.streak[skipped] = before
            np.greater_equal(self.streak, risk.consecutive_losses_limit, out=self.mask)
            opens = np.concatenate((opens, self.mask.nonzero()[0]))
        opens = opens[self.exit_day[opens] != NEVER]
        self.streak[opens] = 0  # fills rules §9: the streak is 0 when the breaker clears
        self.last_exit[opens] = self._rules.last_bar[self.day[opens]]
        if self.equity.min() <= 0.0:
            self.last_exit[self.equity <= 0.0] = RUIN

    def metrics(self) -> NDArray[Any]:
        """Close the last days; return the metrics (`METRICS`) of fills rules §10, shape (B, X).

        Call it once, after the last step.
        """
        self.turned[:] = 1.0
        self._close_days()
        each = np.repeat  # of a path, for its lanes
        n_days = each(self._n_days, self.width)
        trades = each(self._length, self.width) - self.skipped
        mean = (self.days * self.shift + self.apart) / n_days
        idle_days = n_days - self.days
        apart = self.apart - idle_days * self.shift
        squares = self.squares + idle_days * self.shift * self.shift
        spread = np.maximum(squares - apart * apart / n_days, 0.0)  # of one day: 0
        deviation = np.sqrt(spread / np.maximum(n_days - 1, 1))
        below = np.where(n_days > 1, np.sqrt(self.downside / n_days), 0.0)
        least = NO_DEVIATION * self.largest  # fills rules §10.1
        deviation[deviation <= least] = 0.0
        below[below <= least] = 0.0
        drawdown = 1.0 - self.lowest
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            growth = np.maximum(self.equity, 0.0) ** (DAYS_PER_YEAR / n_days) - 1.0
            calmar = growth / drawdown
        year = np.sqrt(DAYS_PER_YEAR)
        result = np.zeros(len(trades), METRICS)
        result["net_profit"] = self.equity - 1.0
        result["sharpe_ratio"] = _ratio(mean, deviation) * year
        result["sortino_ratio"] = np.where(self.downside > 0.0, _ratio(mean, below) * year, np.nan)
        result["max_drawdown"] = drawdown
        result["calmar_ratio"] = np.where(np.isfinite(calmar), calmar, np.nan)
        result["sample_size"] = trades
        result["win_rate"] = _ratio(self.wins, trades)
        result["avg_win"] = _ratio(self.won, self.wins)
        result["avg_loss"] = _ratio(-self.lost, trades - self.wins)
        result["profit_factor"] = np.where(self.lost > 0.0, _ratio(self.won, self.lost), np.nan)
        result["n_days"] = n_days
        return result.reshape(len(self.unit), self.width)


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Float:
    """Return ``above / below``, 0 where ``below`` is 0."""
    result: Float = np.zeros(len(below))
    np.divide(above, below, out=result, where=below > 0)
    return result
