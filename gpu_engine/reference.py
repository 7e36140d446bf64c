"""Define what is correct, one combination and one bar at a time (fills rules §6 to §10).

Nothing is shared, cached or vectorised. Other backends must give the same trades.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.metrics import metrics_of
from gpu_engine.records import (
    END,
    METRICS,
    STOP,
    STOP_GAP,
    TARGET,
    TARGET_GAP,
    TIME,
    TRADE,
    Batch,
    Float,
    Window,
)

name = "reference"


class Trade(NamedTuple):
    """One closed trade; the fields of `gpu_engine.records.TRADE`, in order."""

    side: int
    sweep_bar: int
    signal_bar: int
    entry_bar: int
    exit_bar: int
    entry: float
    exit: float
    reason: int
    ret: float


@dataclass(frozen=True)
class Loaded:
    """The book: there is nothing to prepare."""

    book: EventBook


def load(book: EventBook) -> Loaded:
    """Prepare ``book`` for evaluation."""
    return Loaded(book)


def evaluate(loaded: Loaded, batch: Batch, windows: tuple[Window, ...]) -> NDArray[np.void]:
    """Compute metrics (`METRICS`) of all combinations in all windows, shape (W, len(batch))."""
    result = np.zeros((len(windows), len(batch)), METRICS)
    for w, window in enumerate(windows):
        for i in range(len(batch)):
            closed = simulate(loaded.book, batch, i, window)
            returns = np.array([loaded.book.risk.position_fraction * t.ret for t in closed])
            result[w, i] = metrics_of(returns, _daily(loaded.book, closed, window))
    return result


def daily_returns(loaded: Loaded, batch: Batch, window: Window) -> Float:
    """Compute daily equity returns (fills rules §10), float64 of shape (len(batch), D)."""
    book = loaded.book
    result = np.zeros((len(batch), book.candles.days_of(window)))
    for i in range(len(batch)):
        result[i] = _daily(book, simulate(book, batch, i, window), window)
    return result


def trades(loaded: Loaded, batch: Batch, window: Window) -> NDArray[np.void]:
    """List the trades (`TRADE`) of a batch of one combination, in order of entry."""
    return np.array(simulate(loaded.book, batch, 0, window), TRADE)


def simulate(book: EventBook, batch: Batch, index: int, window: Window) -> list[Trade]:
    """Trade one combination through ``window``; return its trades in order of entry."""
    unit, offset = divmod(index, batch.exits_per_unit)
    setting = int(batch.first_exit[unit]) + offset
    table = int(batch.table[unit])
    thresholds = batch.thresholds[unit] * book.senses
    risk, day = book.risk, book.candles.day
    closed: list[Trade] = []
    equity, last_exit, blocked_day, streak = 1.0, -1, -1, 0
    current_day, day_open = -1, 1.0
    for row in range(int(book.row_start[table]), int(book.row_start[table + 1])):
        if not all(book.features[k, row] >= thresholds[k] for k in range(len(thresholds))):
            continue
        t, r = int(book.sweep_bar[row]), int(book.signal_bar[row])
        e = r + 1
        if t < window.start or e >= window.end:  # §8
            continue
        if e <= last_exit:  # §6: not after the bar at which the last position was closed
            continue
        if day[e] <= blocked_day or equity <= 0.0:  # §9
            continue
        side = int(book.entries.side[book.entry[row]])
        atr = float(book.entries.atr[book.entry[row]])
        entry, j, price, reason = _hold(book, e, side, atr, setting, window.end)
        ret = net_return(side, entry, price, book.costs.fee_rate)
        closed.append(Trade(side, t, r, e, j, entry, price, reason, ret))

        if day[j] != current_day:
            current_day, day_open = int(day[j]), equity
        equity *= 1.0 + risk.position_fraction * ret
        streak = streak + 1 if risk.position_fraction * ret < 0.0 else 0
        last_exit = j
        if _breaker_opens(book, equity / day_open - 1.0, streak):
            blocked_day, streak = current_day, 0  # §9: the streak is 0 when the breaker clears
    return closed


def _breaker_opens(book: EventBook, day_return: float, streak: int) -> bool:
    """Say whether a circuit breaker of fills rules §9 opens at an exit."""
    risk = book.risk
    if risk.max_daily_loss is not None and day_return <= -risk.max_daily_loss:
        return True
    limit = risk.consecutive_losses_limit
    return limit is not None and streak >= limit


def _hold(
    book: EventBook, e: int, side: int, atr: float, setting: int, end: int
) -> tuple[float, int, float, int]:
    """Enter at bar ``e`` and hold to the exit: entry price, exit bar and price, reason (§6, §7)."""
    candles, slippage = book.candles, book.costs.slippage
    stop_distance = float(book.exits.stop_distance[setting])
    multiple = float(book.exits.target_multiple[setting])
    entry = float(candles.open[e]) * (1.0 + side * slippage)
    stop = entry - side * stop_distance * atr
    target = entry + side * multiple * stop_distance * atr
    worse = 1.0 - side * slippage  # a market order out
    for j in range(e, end):
        opening, close = float(candles.open[j]), float(candles.close[j])
        adverse = float(candles.low[j] if side > 0 else candles.high[j])
        favourable = float(candles.high[j] if side > 0 else candles.low[j])
        if j > e and side * opening <= side * stop:  # §7.1
            return entry, j, opening * worse, STOP_GAP
        if j > e and side * opening >= side * target:  # §7.2
            return entry, j, opening, TARGET_GAP
        if side * adverse <= side * stop:  # §7.3
            return entry, j, stop * worse, STOP
        if side * favourable >= side * target:  # §7.4
            return entry, j, target, TARGET
        if j - e + 1 == book.risk.max_holding_bars:
            return entry, j, close * worse, TIME  # §7.5
        if j == end - 1:
            return entry, j, close * worse, END  # §7.6
    raise AssertionError("a window holds its entry bar")


def net_return(side: int, entry: float, price: float, fee_rate: float) -> float:
    """Return the net return on notional of one trade (fills rules §7.8)."""
    return side * (price - entry) / entry - fee_rate * (1.0 + price / entry)


def _daily(book: EventBook, closed: list[Trade], window: Window) -> Float:
    """Compute daily equity returns over every UTC calendar day of the window (fills rules §10)."""
    day = book.candles.day
    first = int(day[window.start])
    result = np.zeros(book.candles.days_of(window))
    equity, current, day_open = 1.0, -1, 1.0
    for trade in closed:
        index = int(day[trade.exit_bar]) - first
        if index != current:
            current, day_open = index, equity
        equity *= 1.0 + book.risk.position_fraction * trade.ret
        result[index] = equity / day_open - 1.0
    return result
