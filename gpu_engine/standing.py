"""Tell where one combination stands after the last candle, and what it does at the next open.

It is the reference path on the same tables and rules as a backtest: the window goes from a start at
which the combination is flat to the last candle. A trade that the end of the window alone would
close (exits rules §5.7) is the position that is held now.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import reference
from gpu_engine.book import EventBook, build_book
from gpu_engine.exits import ExitSettings
from gpu_engine.records import (
    DAY_MS,
    END,
    TRADE,
    Batch,
    Candles,
    Costs,
    EventTable,
    Float,
    RiskLimits,
    Tables,
    Window,
)


@dataclass(frozen=True)
class OpenPosition:
    """A position that is held after the last candle.

    Attributes
    ----------
    side : int
        +1 long, -1 short.
    setup_bar, signal_bar, entry_bar : int
        Bars of the candles.
    entry : float
        Fill, quote currency, slippage included.
    stop, target : float
        Levels at the entry, NaN for none.
    stop_in_force : float
        Stop during the next candle, NaN for none (exits rules §4); a liquidation is one (§8.3).
    best : float
        Best price since the entry.
    leaves_at_open : bool
        Whether a signal closes it at the next open (exits rules §5.3).
    last_bar : int or None
        Bar at whose close the longest holding time ends it (exits rules §5.6); None for never.
    """

    side: int
    setup_bar: int
    signal_bar: int
    entry_bar: int
    entry: float
    stop: float
    target: float
    stop_in_force: float
    best: float
    leaves_at_open: bool
    last_bar: int | None


@dataclass(frozen=True)
class PossibleEntry:
    """An entry at the next open, if it opens between ``low`` and ``high`` (exits rules §3).

    ``entry``, ``stop`` and ``target`` are the fill and the levels if it opens at the last close,
    NaN for no level; ``low`` and ``high`` exclude themselves, minus or plus infinity for no limit.
    """

    side: int
    setup_bar: int
    signal_bar: int
    atr: float
    entry: float
    stop: float
    target: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """Where a combination stands after the last candle.

    Attributes
    ----------
    trades : array of TRADE
        Closed so far, in order of entry.
    marks : array of TRADE
        The same and the open one, as if it ended with the last candle: what marks days before it.
    position : OpenPosition or None
        What it holds.
    entries : tuple of PossibleEntry
        What it enters at the next open: the first whose limits hold. Empty while it holds a
        position or is blocked.
    equity : float
        Of the closed trades, 1 at the start.
    breaker : str or None
        The limit of `RiskLimits` that lets nothing in at the next open (fills rules §9).
    blocked_until : int or None
        Open of the first candle that is free again, milliseconds since the epoch.
    progress : Progress
        After the closed trades, bars counted from the start.
    bars : int
        Number of the candles.
    """

    trades: NDArray[np.void]
    marks: NDArray[np.void]
    position: OpenPosition | None
    entries: tuple[PossibleEntry, ...]
    equity: float
    progress: reference.Progress
    bars: int
    breaker: str | None = None
    blocked_until: int | None = None

    @property
    def open_bar(self) -> int:
        """First bar whose signals are not decided for good: more candles bring no other before.

        That of the open position, whose trade is not over, or the last one.
        """
        return self.bars - 1 if self.position is None else self.position.signal_bar


@dataclass(frozen=True, eq=False)
class Combination:
    """One combination's signals and exits: what `standing_of` follows.

    ``thresholds`` is float64 of shape (K,), ``senses`` as in `Tables`, ``exits`` one setting.
    """

    table: EventTable
    thresholds: Float
    senses: tuple[int, ...]
    exits: ExitSettings


def standing_of(
    candles: Candles,
    combination: Combination,
    costs: Costs,
    risk: RiskLimits,
    start: int,
    before: Standing | None = None,
) -> Standing:
    """Follow one combination from bar ``start``, flat there, to the last candle.

    Parameters
    ----------
    candles : Candles
        Closed ones; ``start`` may be their number, when none is in the series yet.
    combination : Combination
        Its table is of these candles.
    costs, risk : Costs, RiskLimits
        As of a backtest, with the funding.
    before : Standing, optional
        Where it stood after fewer of these candles, from the same start: only rows with a signal at
        its ``open_bar`` or later are looked at then, and the result is the same.

    Raises
    ------
    ValueError
        As `gpu_engine.engine.load`.
    """
    count, table = len(candles), combination.table
    if before is not None:
        table = table.at(table.signal_bar >= before.open_bar)
    # Bars count from the start: what is before it is in no trade.
    table = table.at(table.setup_bar >= start).moved(-start)  # fills rules §8
    tables = Tables((table,), combination.senses)
    combination.exits.check(tables)
    risk.check()
    after = _with_next(candles.cut(start, count), candles)
    book = build_book(after, tables, combination.exits, costs, risk)
    thresholds = np.asarray(combination.thresholds, np.float64)[None]
    batch = Batch(np.zeros(1, np.int32), thresholds, np.zeros(1, np.int32), 1)
    window = Window(0, count - start)
    course = reference.course(book, batch, 0, window, None if before is None else before.progress)
    progress = course.progress
    is_open = bool(course.trades) and course.trades[-1].reason == END
    position = _open_position(book, course, window.end, start) if is_open else None
    is_blocked = int(after.day[-1]) <= progress.blocked_day
    is_free = position is None and not is_blocked and progress.equity > 0.0
    marks = np.array(course.trades, TRADE)
    for name in ("setup_bar", "signal_bar", "entry_bar", "exit_bar"):
        marks[name] += start
    if before is not None:
        marks = np.concatenate((before.trades, marks))
    return Standing(
        trades=marks[:-1] if is_open else marks,
        marks=marks,
        position=position,
        entries=tuple(_entries(book, batch, window, start)) if is_free else (),
        equity=progress.equity,
        progress=progress,
        bars=count,
        breaker=progress.breaker if is_blocked else None,
        blocked_until=(progress.blocked_day + 1) * DAY_MS if is_blocked else None,
    )


class TradeLevels(NamedTuple):
    """Levels of one trade while it was open, quote currency.

    ``stop``, float64 of shape (bars,), is the one in force in each bar from the entry to the exit;
    NaN for none (exits rules §4, §8.3). ``row`` is the signal that the trade took.
    """

    entry: float
    stop: Float
    target: float
    row: EventTable


def levels_of(
    candles: Candles, combination: Combination, costs: Costs, risk: RiskLimits, trade: np.void
) -> TradeLevels | None:
    """Tell the levels of a trade (`TRADE`) of one combination; None where no row of it enters so.

    Its bars count in ``candles``. Nothing is traded again: the row is entered as a backtest enters
    it, and held to the bar of the trade's exit.
    """
    table, names = combination.table, ("setup_bar", "signal_bar", "side")
    rows = np.all([getattr(table, name) == trade[name] for name in names], axis=0)
    row = table.at(np.flatnonzero(rows)[:1])
    book = build_book(candles, Tables((row,), combination.senses), combination.exits, costs, risk)
    if not len(book.signal_bar):
        return None
    position = reference.position_of(book, 0, 0)
    stop = reference.stops_in_force(candles, position, int(trade["exit_bar"]))
    return TradeLevels(position.entry, stop, position.target, row)


def _with_next(candles: Candles, history: Candles) -> Candles:
    """Put a candle of the last close behind the last one, so that entries at its open are rows."""
    following = history.timestamp[-1] + history.step_ms
    close = history.close[-1]
    return replace(
        candles,
        timestamp=np.append(candles.timestamp, following),
        open=np.append(candles.open, close),
        high=np.append(candles.high, close),
        low=np.append(candles.low, close),
        close=np.append(candles.close, close),
        volume=np.append(candles.volume, 0.0),
        filled=np.append(candles.filled, False),
    )


def _open_position(
    book: EventBook, course: reference.Course, count: int, start: int
) -> OpenPosition:
    """Tell how the last trade of a course is held during bar ``count``; bars are moved by start."""
    position, trade = course.position, course.trades[-1]
    assert position is not None, "of the last trade"
    held = slice(position.bar, count)
    prices = (book.candles.high if position.side > 0 else book.candles.low)[held]
    best = float(position.side * np.max(position.side * prices))
    limits = (position.setting.get("holding_bars"), book.risk.max_holding_bars)
    longest = min((limit for limit in limits if limit is not None), default=None)
    return OpenPosition(
        side=position.side,
        setup_bar=trade.setup_bar + start,
        signal_bar=trade.signal_bar + start,
        entry_bar=position.bar + start,
        entry=position.entry,
        stop=trade.stop,
        target=position.target,
        stop_in_force=reference.stop_in_force(position, best),
        best=best,
        leaves_at_open=0 <= position.exit_signal_bar < count,
        last_bar=None if longest is None else position.bar + int(longest) - 1 + start,
    )


def _entries(book: EventBook, batch: Batch, window: Window, start: int) -> Iterator[PossibleEntry]:
    """List what enters at the open after a window, in the order in which it is taken."""
    thresholds = batch.thresholds[0] * book.senses
    slippage, close = book.costs.slippage, float(book.candles.close[window.end])
    for row in np.flatnonzero(book.signal_bar == window.end - 1).tolist():
        if not reference.passes(book, thresholds, row):
            continue
        position = reference.position_of(book, row, 0)
        side, low, high = position.side, -np.inf, np.inf
        if "stop_offset" in position.setting:
            low, high = (position.stop, high) if side > 0 else (low, position.stop)
        if "target_reach" in position.setting and book.entries.target_level is not None:
            level = float(book.entries.target_level[book.entry[row]]) / (1.0 + side * slippage)
            low, high = (low, level) if side > 0 else (level, high)
        has_distance = "stop_distance" not in position.setting or position.distance > 0.0
        if not (has_distance and low < high):  # dropped wherever it opens, as of a NaN level
            continue
        yield PossibleEntry(
            side=side,
            setup_bar=int(book.setup_bar[row]) + start,
            signal_bar=int(book.signal_bar[row]) + start,
            atr=position.atr,
            entry=close * (1.0 + side * slippage),
            stop=reference.stop_in_force(position, np.nan),
            target=position.target,
            low=low,
            high=high,
        )
