"""Find which signal of a combination opens a position at each bar, and at which levels.

What every backtest does, for a program that decides candle by candle: the rows of the event table
that pass every threshold, in the order in which they are taken, and the levels that the exit
setting gives them once the price of the entry is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Candles, EventBook, choose
from gpu_engine.book import Entries
from gpu_engine.levels import levels
from pipeline.bots.plan import Plan
from pipeline.search import Evaluator, single_point


@dataclass(frozen=True)
class Position:
    """An open position and its levels (exits rules §4); prices are signed, ``side * price``.

    ``opened`` is the open time of the entry bar and ``left`` that of the bar at whose close the
    strategy wants out, milliseconds since the epoch, UTC; ``left`` is None as long as none is
    known. ``stop``, ``target``, ``break_even`` and ``trail`` are infinite where there is none.
    """

    side: int
    opened: int
    setup: int
    entry: float
    stop: float
    target: float
    break_even: float
    trail: float
    trail_distance: float
    left: int | None

    def stop_in_force(self, best: float | None) -> float:
        """Return the signed stop after ``best``, a signed price; None in the entry bar.

        Exits rules §4: the tightest of the first stop, the entry and the trail.
        """
        stop = self.stop
        if best is not None and best >= self.break_even:
            stop = max(stop, self.entry)
        if best is not None and best >= self.trail:
            stop = max(stop, best - self.trail_distance)
        return stop


class Signals:
    """The signals of one plan on some candles.

    Parameters
    ----------
    plan : Plan
        What is traded.
    candles : Candles
        Closed ones. The bar after the last is imagined to open at the last close, until its price
        is known.
    start : int
        First bar that a signal may depend on (fills rules §8).
    """

    def __init__(self, plan: Plan, candles: Candles, start: int = 0) -> None:
        self.candles, self._count = candles, len(candles)
        space = single_point(plan.load(), plan.parameters)
        evaluator = Evaluator(
            _with_one_more(candles),
            space,
            plan.record_of_costs(),
            plan.limits(),
            choose("reference").backend,
        )
        self._book: EventBook = evaluator.market.loaded.book
        self._slippage = plan.record_of_costs().slippage
        senses = self._book.senses
        point = space.point(plan.parameters)
        thresholds = point[space.of_kind("threshold")] * senses
        passing = (self._book.features >= thresholds[:, None]).all(axis=0)
        self._rows = np.flatnonzero(passing & (self._book.setup_bar >= start))

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def side(self) -> NDArray[np.int8]:
        """Side of the position that opens after every bar when nothing is open; 0 for none.

        A row that its exit setting drops at the open of its entry bar (exits rules §3) leaves the
        bar to the next.
        """
        book, rows = self._book, self._rows
        rows = rows[~levels(book, 0, book.entry[rows]).dropped]
        bars, first = np.unique(book.signal_bar[rows], return_index=True)
        result = np.zeros(self._count, np.int8)
        result[bars] = book.entries.side[book.entry[rows[first]]]
        return result

    def at(self, bar: int, side: int, opening: float) -> Position | None:
        """Return the position that a signal opens at ``bar``, whose open is ``opening``.

        None where none is left at that price (exits rules §3), or one of the other side.
        """
        book = self._book
        for row in self._rows[book.signal_bar[self._rows] == bar - 1].tolist():
            position, dropped = self._position(row, opening)
            if not dropped:
                return position if position.side == side else None
        return None

    def left(self, position: Position) -> int | None:
        """Return `Position.left` as these candles tell it; what was known stays known."""
        book, time = self._book, self.candles.timestamp
        signals, first = book.entries.exit_signal_bar, int(time[0])
        if signals is None or position.left is not None or position.setup < first:
            return position.left
        step = self.candles.step_ms
        signal_bar, setup_bar = (
            (moment - first) // step for moment in (position.opened - step, position.setup)
        )
        rows = self._rows[
            (book.signal_bar[self._rows] == signal_bar) & (book.setup_bar[self._rows] == setup_bar)
        ]
        for row in rows.tolist():
            if self._side(row) == position.side:
                return self._left(row)
        return None

    def _side(self, row: int) -> int:
        return int(self._book.entries.side[self._book.entry[row]])

    def _left(self, row: int) -> int | None:
        signals = self._book.entries.exit_signal_bar
        bar = -1 if signals is None else int(signals[self._book.entry[row]])
        return int(self.candles.timestamp[bar]) if 0 <= bar < self._count else None

    def _position(self, row: int, opening: float) -> tuple[Position, bool]:
        """Enter a row at an open; say whether its setting drops it there."""
        book, i = self._book, int(self._book.entry[row])
        side, bar = self._side(row), int(book.entries.bar[i])
        one = {n: None if c is None else c[i : i + 1] for n, c in book.entries._asdict().items()}
        price = opening * (1.0 + side * self._slippage)
        opens = np.full(1, opening)
        book = replace(
            book,
            candles=replace(book.candles, open=opens),
            entries=Entries(**one | {"price": np.full(1, price), "bar": np.zeros(1, np.int32)}),
        )
        level: Any = levels(book, 0, np.zeros(1, np.int32))
        values = {name: float(getattr(level, name)[0]) for name in _OF_LEVELS}
        position = Position(
            side=side,
            opened=int(book.candles.timestamp[bar]),
            setup=int(book.candles.timestamp[book.setup_bar[row]]),
            entry=side * price,
            left=self._left(row),
            **values,
        )
        return position, bool(level.dropped[0])


_OF_LEVELS = ("stop", "target", "break_even", "trail", "trail_distance")


def _with_one_more(candles: Candles) -> Candles:
    """Return the candles and one that has only opened, so that the last signal has an entry bar."""
    last = {name: getattr(candles, name)[-1:] for name in Candles.COLUMNS}
    close = last["close"]
    last |= {"open": close, "high": close, "low": close, "volume": np.zeros(1)}
    last |= {"timestamp": last["timestamp"] + candles.step_ms, "filled": np.zeros(1, np.bool_)}
    columns: dict[str, Any] = {
        name: np.concatenate((getattr(candles, name), last[name])) for name in Candles.COLUMNS
    }
    return replace(candles, **columns)
