"""Define what is correct, one combination and one bar at a time (fills rules, exits rules).

Nothing is shared, cached or vectorised. Other backends must give the same trades.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.exits import STOPS
from gpu_engine.metrics import metrics_of
from gpu_engine.records import (
    END,
    LIQUIDATION,
    METRICS,
    SIGNAL,
    STOP,
    STOP_GAP,
    TARGET,
    TARGET_GAP,
    TIME,
    TRADE,
    Batch,
    Candles,
    Float,
    Window,
)

name = "reference"


class Trade(NamedTuple):
    """One closed trade; the fields of `gpu_engine.records.TRADE`, in order."""

    side: int
    setup_bar: int
    signal_bar: int
    entry_bar: int
    exit_bar: int
    entry: float
    exit: float
    reason: int
    ret: float
    stop: float
    target: float


class Position(NamedTuple):
    """An entry at bar ``bar``, what its setting has, and its levels; NaN for no level."""

    side: int
    bar: int
    atr: float
    entry: float
    setting: dict[str, float]
    distance: float
    stop: float
    target: float
    liquidation: float
    exit_signal_bar: int


@dataclass(frozen=True)
class Loaded:
    """The book: there is nothing to prepare."""

    book: EventBook


def load(book: EventBook) -> Loaded:
    """Prepare ``book`` for evaluation."""
    return Loaded(book)


def evaluate(
    loaded: Loaded, batch: Batch, windows: tuple[Window, ...], fields: tuple[str, ...]
) -> NDArray[np.void]:
    """Compute all `METRICS`, whatever the ``fields``, in all windows, shape (W, len(batch))."""
    result = np.zeros((len(windows), len(batch)), METRICS)
    for w, window in enumerate(windows):
        for i in range(len(batch)):
            closed = simulate(loaded.book, batch, i, window)
            returns = np.array([loaded.book.risk.exposure * t.ret for t in closed])
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


class Progress(NamedTuple):
    """All that the trades so far mean for those that follow (fills rules §6.3, §9).

    ``last_exit`` is the bar of the last exit; ``day`` that of the last exit, ``day_open`` the
    equity before its first; ``streak`` the losses in a row; ``blocked_day`` the last day on which a
    breaker lets nothing in, and ``breaker`` its limit's name. -1 stands for no bar and no day.
    """

    equity: float = 1.0
    last_exit: int = -1
    day: int = -1
    day_open: float = 1.0
    streak: int = 0
    blocked_day: int = -1
    breaker: str | None = None


class Course(NamedTuple):
    """What one combination came to in a window; a trade closed by END alone is open in truth.

    ``position`` is that of the last trade, None before the first; ``progress`` is that after the
    last trade that did not end with the window.
    """

    trades: list[Trade]
    position: Position | None
    progress: Progress


def simulate(book: EventBook, batch: Batch, index: int, window: Window) -> list[Trade]:
    """Trade one combination through ``window``; return its trades in order of entry."""
    return course(book, batch, index, window).trades


def course(
    book: EventBook, batch: Batch, index: int, window: Window, before: Progress | None = None
) -> Course:
    """Trade one combination through ``window``; return its trades and where it stands then.

    With the progress ``before`` the rows of the book, the trades are those that follow it.
    """
    unit, offset = divmod(index, batch.exits_per_unit)
    setting = int(batch.first_exit[unit]) + offset
    table = int(batch.table[unit])
    thresholds = batch.thresholds[unit] * book.senses
    risk, day = book.risk, book.candles.day
    closed: list[Trade] = []
    position = None
    equity, last_exit, current_day, day_open, streak, blocked_day, breaker = before or Progress()
    for row in range(int(book.row_start[table]), int(book.row_start[table + 1])):
        if not passes(book, thresholds, row):
            continue
        t, e = int(book.setup_bar[row]), int(book.signal_bar[row]) + 1
        if t < window.start or e >= window.end:  # §8
            continue
        if e <= last_exit:  # §6.3: not after the bar at which the last position was closed
            continue
        if day[e] <= blocked_day or equity <= 0.0:  # §9
            continue
        entered = position_of(book, row, setting)
        if _dropped(book, entered, row):
            continue
        position = entered
        j, price, reason = _hold(book, position, window.end)
        ret = _net_return(book, position, j, price, reason)
        side, entry, target = position.side, position.entry, position.target
        stop = stop_in_force(position, np.nan)
        closed.append(Trade(side, t, e - 1, e, j, entry, price, reason, ret, stop, target))
        if reason == END:  # no row enters after the last bar
            break

        if day[j] != current_day:
            current_day, day_open = int(day[j]), equity
        equity *= 1.0 + risk.exposure * ret
        streak = streak + 1 if risk.exposure * ret < 0.0 else 0
        last_exit = j
        opened = _breaker(book, equity / day_open - 1.0, streak)
        if opened is not None:
            # §9: the streak is 0 when the breaker clears
            blocked_day, streak, breaker = current_day, 0, opened
    progress = Progress(equity, last_exit, current_day, day_open, streak, blocked_day, breaker)
    return Course(closed, position, progress)


def passes(book: EventBook, thresholds: Float, row: int) -> bool:
    """Say whether a row's features pass thresholds times their senses; NaN fails."""
    return all(book.features[k, row] >= thresholds[k] for k in range(len(thresholds)))


def _breaker(book: EventBook, day_return: float, streak: int) -> str | None:
    """Name the circuit breaker of fills rules §9 that opens at an exit; None for none."""
    risk = book.risk
    if risk.max_daily_loss is not None and day_return <= -risk.max_daily_loss:
        return "max_daily_loss"
    limit = risk.consecutive_losses_limit
    return "consecutive_losses_limit" if limit is not None and streak >= limit else None


def position_of(book: EventBook, row: int, number: int) -> Position:
    """Enter a row under one setting: price (fills rules §6.2) and levels (exits rules §2)."""
    entries, i = book.entries, int(book.entry[row])
    columns = book.exits.columns().items()
    setting = {name: float(c[number]) for name, c in columns if not np.isnan(c[number])}
    side, atr = int(entries.side[i]), float(entries.atr[i])
    entry = float(book.candles.open[entries.bar[i]]) * (1.0 + side * book.costs.slippage)
    stop = distance = target = np.nan
    if "stop_distance" in setting:
        distance = setting["stop_distance"] * atr
        stop = entry - side * distance
    elif "stop_fraction" in setting:
        distance = setting["stop_fraction"] * entry
        stop = entry - side * distance
    elif "stop_offset" in setting:
        assert entries.stop_level is not None, "engine.load has checked it"
        stop = float(entries.stop_level[i]) - side * setting["stop_offset"] * atr
        distance = side * (entry - stop)
    if "target_multiple" in setting:
        target = entry + side * setting["target_multiple"] * distance
    elif "target_distance" in setting:
        target = entry + side * setting["target_distance"] * atr
    elif "target_fraction" in setting:
        target = entry + side * setting["target_fraction"] * entry
    elif "target_reach" in setting:
        assert entries.target_level is not None, "engine.load has checked it"
        target = entry + setting["target_reach"] * (float(entries.target_level[i]) - entry)
    signal = -1 if entries.exit_signal_bar is None else int(entries.exit_signal_bar[i])
    liquidation = np.nan
    if book.risk.leverage is not None:  # exits rules §8.2
        liquidation = entry * book.risk.liquidation(side)
    bar = int(entries.bar[i])
    return Position(side, bar, atr, entry, setting, distance, stop, target, liquidation, signal)


def _dropped(book: EventBook, position: Position, row: int) -> bool:
    """Say whether the setting drops the row (exits rules §3)."""
    side, entry, setting = position.side, position.entry, position.setting
    opening = float(book.candles.open[position.bar])
    if any(name in setting for name in STOPS) and not position.distance > 0.0:
        return True
    if "stop_offset" in setting and not side * (opening - position.stop) > 0.0:
        return True
    if "target_reach" not in setting or book.entries.target_level is None:
        return False
    return not side * (float(book.entries.target_level[book.entry[row]]) - entry) > 0.0


def stop_in_force(position: Position, best: float) -> float:
    """Return the tightest stop in a bar that opens after ``best``; NaN for none (exits rules §4).

    ``best`` is the best price since the entry, NaN in the entry bar. The level of liquidation is a
    stop as well (exits rules §8.3).
    """
    side, entry, setting = position.side, position.entry, position.setting
    stops = [price for price in (position.stop, position.liquidation) if not np.isnan(price)]
    if "break_even_trigger" in setting:
        trigger = entry + side * setting["break_even_trigger"] * position.distance
        if side * best >= side * trigger:
            stops.append(entry)
    if "trail_distance" in setting:
        trigger = entry + side * setting["trail_activation"] * position.atr
        if side * best >= side * trigger:
            stops.append(best - side * setting["trail_distance"] * position.atr)
    return max(stops, key=lambda price: side * price, default=np.nan)


def stops_in_force(candles: Candles, position: Position, last: int) -> Float:
    """Return the stop in every bar from the entry to ``last``; NaN for none (exits rules §4).

    float64 of shape (last - position.bar + 1,). The high and the low of a bar count from the next
    one on (exits rules §4.5).
    """
    side, held = position.side, slice(position.bar, last)
    favourable = side * (candles.high if side > 0 else candles.low)[held]
    best = side * np.maximum.accumulate(favourable) if len(favourable) else favourable
    return np.array([stop_in_force(position, price) for price in (np.nan, *best)])


def _hold(book: EventBook, position: Position, end: int) -> tuple[int, float, int]:
    """Hold to the exit: bar, price and reason (exits rules §5). NaN compares as false."""
    candles, side, e = book.candles, position.side, position.bar
    target, signal = position.target, position.exit_signal_bar
    worse = 1.0 - side * book.costs.slippage  # a market order out
    limits = (position.setting.get("holding_bars"), book.risk.max_holding_bars)
    longest = min((limit for limit in limits if limit is not None), default=np.inf)
    best, stop = np.nan, stop_in_force(position, np.nan)
    moves = "break_even_trigger" in position.setting or "trail_distance" in position.setting
    for j in range(e, end):
        opening, close = float(candles.open[j]), float(candles.close[j])
        adverse = float(candles.low[j] if side > 0 else candles.high[j])
        favourable = float(candles.high[j] if side > 0 else candles.low[j])
        if not candles.filled[j]:  # in a filled bar nothing traded
            if moves:
                stop = stop_in_force(position, best)
            if j > e and side * opening <= side * stop:  # exits rules §5.1
                return _stopped(book, position, j, opening, STOP_GAP)
            if j > e and side * opening >= side * target:  # exits rules §5.2
                return j, target, TARGET_GAP
            if j > signal >= 0:  # exits rules §5.3
                return j, opening * worse, SIGNAL
            if side * adverse <= side * stop:  # exits rules §5.4
                worst = min(stop, opening, key=lambda price: side * price) if j == e else stop
                return _stopped(book, position, j, worst, STOP)
            if side * favourable >= side * target:  # exits rules §5.5
                return j, target, TARGET
        if j - e + 1 == longest:
            return j, close * worse, TIME  # exits rules §5.6
        if j == end - 1:
            return j, close * worse, END  # exits rules §5.7
        best = favourable if j == e else side * max(side * best, side * favourable)
    raise AssertionError("a window holds its entry bar")


def _stopped(
    book: EventBook, position: Position, j: int, price: float, reason: int
) -> tuple[int, float, int]:
    """Fill a stop from ``price``, or liquidate: bar, price and reason (exits rules §8.4)."""
    side = position.side
    if side * price <= side * position.liquidation:
        return j, position.entry * book.risk.bankruptcy(side), LIQUIDATION
    return j, price * (1.0 - side * book.costs.slippage), reason


def _net_return(book: EventBook, position: Position, j: int, price: float, reason: int) -> float:
    """Return the net return on notional of one trade (exits rules §6)."""
    side, entry, costs = position.side, position.entry, book.costs
    fee = costs.target_fee if reason in (TARGET, TARGET_GAP) else costs.fee_rate
    ret = side * (price - entry) / entry - (costs.fee_rate + fee * price / entry)
    if book.funding is not None:
        ret -= side * float(book.funding[j] - book.funding[position.bar])
    if side < 0:  # exits rules §6.4
        ret -= costs.borrow(book.candles.step_ms) * (j + 1 - position.bar)
    return ret


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
        equity *= 1.0 + book.risk.exposure * trade.ret
        result[index] = equity / day_open - 1.0
    return result
