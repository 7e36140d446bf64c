"""Compiled kernels: first passage of every entry, and the walk of every combination.

`walk_kernel` is the hot loop of the product. A unit's rows are filtered once and walked for each
window and exit setting, in O(1) memory a combination.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from gpu_engine.metrics import NO_DEVIATION
from gpu_engine.records import END, STOP, STOP_GAP, TARGET, TARGET_GAP, TIME, Float, Int32, Int64

# Division is the dearest step of a trade: a product decides whether a comparison can hold at all,
# with room for rounding, and only then the quotient of the spec is taken.
NEARLY = 1.0 + 1e-12


class Prices(NamedTuple):
    """Candles of the market, float64 of shape (n,) each."""

    open: Float
    high: Float
    low: Float
    close: Float


class Exits(NamedTuple):
    """Exit settings (`gpu_engine.records.ExitSettings`), float64 of shape (E,) each."""

    stop_distance: Float
    target_multiple: Float


class Rules(NamedTuple):
    """Costs and limits (fills rules §6, §9); a limit that is off is inf, or 0 for a count."""

    fee_rate: float
    slippage: float
    fraction: float
    max_daily_loss: float
    losses_limit: int
    max_holding_bars: int


class Events(NamedTuple):
    """Rows of all tables as in `EventBook`; ``day`` is the UTC day of the entry bar ``bar``."""

    row_start: Int64
    sweep: Int32
    bar: Int32
    day: Int32
    entry: Int32
    features: Float


class EntryOutcomes(NamedTuple):
    """Distinct entries, of shape (N,), and how each ends, of shape (E, N); ``day`` of the exit."""

    side: NDArray[np.int8]
    price: Float
    exit_bar: Int32
    exit_day: Int32
    ret: Float


class Rows(NamedTuple):
    """Rows that pass the thresholds of a unit, int32 of shape (rows,) each.

    ``number`` is the row's in `Events`; the others are its columns there.
    """

    number: Int32
    sweep: Int32
    bar: Int32
    day: Int32
    entry: Int32


class Units(NamedTuple):
    """A `gpu_engine.records.Batch`, its thresholds multiplied by the sense."""

    table: Int32
    thresholds: Float
    first_exit: Int32
    exits_per_unit: int


class Output(NamedTuple):
    """What a walk fills.

    ``metrics`` (`METRICS`) of shape (W, combinations); ``daily``, float64 of shape
    (combinations, D), when it is not empty, for a call with one window; ``taken``, int32 of shape
    (M,), the rows taken, when it is not empty, for a call with one window and one combination.
    """

    metrics: NDArray[np.void]
    daily: Float
    taken: Int32


def _can_cache() -> bool:
    """Say whether Numba can write compiled code; where it cannot, ``cache=True`` raises."""
    try:
        njit(cache=True)(_can_cache)
    except RuntimeError:
        return False
    return True


#: Whether compiled code is kept on disk. `numba_backend.prepare` sets it to False and loads
#: this module again where what is on disk cannot be read or written after all.
CACHE = globals().get("CACHE", True) and _can_cache()


@njit(cache=CACHE)
def net_return(side, entry, price, fee_rate):
    """Return the net return on notional of one trade (fills rules §7.8)."""
    return side * (price - entry) / entry - fee_rate * (1.0 + price / entry)


@njit(cache=CACHE)
def first_passage(prices, e, side, stop, target, worse, max_holding_bars):
    """Scan from bar ``e`` to the history's end: exit bar, reason and price (fills rules §7)."""
    opening, high, low, close = prices
    n = len(opening)
    for j in range(e, n):
        o = opening[j]
        if j > e:
            if side * o <= side * stop:  # §7.1
                return j, STOP_GAP, o * worse
            if side * o >= side * target:  # §7.2
                return j, TARGET_GAP, o
        adverse = low[j] if side > 0 else high[j]
        if side * adverse <= side * stop:  # §7.3
            return j, STOP, stop * worse
        favourable = high[j] if side > 0 else low[j]
        if side * favourable >= side * target:  # §7.4
            return j, TARGET, target
        if j - e + 1 == max_holding_bars:  # §7.5
            return j, TIME, close[j] * worse
    return n - 1, END, close[n - 1] * worse  # §7.6


@njit(cache=CACHE)
def entry_outcomes(prices, entries, exits, rules, i, outcomes):
    """Fill column ``i`` of ``outcomes``: one entry under every exit setting."""
    side, entry, atr = float(entries.side[i]), entries.price[i], entries.atr[i]
    worse = 1.0 - side * rules.slippage
    for x in range(len(exits.stop_distance)):
        stop = entry - side * exits.stop_distance[x] * atr
        target = entry + side * exits.target_multiple[x] * exits.stop_distance[x] * atr
        j, reason, price = first_passage(
            prices, entries.bar[i], side, stop, target, worse, rules.max_holding_bars
        )
        outcomes.exit_bar[x, i] = j
        outcomes.reason[x, i] = reason
        outcomes.price[x, i] = price
        outcomes.ret[x, i] = net_return(side, entry, price, rules.fee_rate)


@njit(parallel=True, cache=CACHE)
def outcomes_kernel(prices, entries, exits, rules, outcomes):
    """Fill ``outcomes``, arrays of shape (E, N), for every exit setting and entry."""
    for i in prange(len(entries.bar)):
        # A call: Numba takes a write to a tuple's array for dead code in a parallel function.
        entry_outcomes(prices, entries, exits, rules, i, outcomes)


@njit(cache=CACHE)
def passing_rows(events, table, thresholds):
    """Return the rows of a table that pass every threshold, side by side in memory."""
    first, after = events.row_start[table], events.row_start[table + 1]
    number = np.empty(after - first, np.int32)
    count = 0
    for row in range(first, after):
        passes = True
        for k in range(len(thresholds)):
            if not events.features[k, row] >= thresholds[k]:  # NaN fails
                passes = False
                break
        if passes:
            number[count] = row
            count += 1
    sweep, bar, day, entry = np.empty((4, count), np.int32)
    for position in range(count):
        row = number[position]
        sweep[position] = events.sweep[row]
        bar[position] = events.bar[row]
        day[position] = events.day[row]
        entry[position] = events.entry[row]
    return Rows(number, sweep, bar, day, entry)


@njit(cache=CACHE)
def first_at_or_after(bars, bar):
    """Find the first of ascending ``bars`` at or after ``bar``; NumPy's takes longer to compile."""
    lo, hi = 0, len(bars)
    while lo < hi:
        middle = (lo + hi) // 2
        if bars[middle] < bar:
            lo = middle + 1
        else:
            hi = middle
    return lo


@njit(cache=CACHE)
def walk_unit(events, outcomes, rules, units, windows, u, output):
    """Walk unit ``u`` under each of its exit settings in each window."""
    passing = passing_rows(events, units.table[u], units.thresholds[u])
    for w in range(len(windows)):
        window = windows[w]
        lo = first_at_or_after(passing.bar, window.start + 1)
        hi = first_at_or_after(passing.bar, window.end)
        rows = Rows(
            passing.number[lo:hi],
            passing.sweep[lo:hi],
            passing.bar[lo:hi],
            passing.day[lo:hi],
            passing.entry[lo:hi],
        )
        for offset in range(units.exits_per_unit):
            setting = units.first_exit[u] + offset
            combination = u * units.exits_per_unit + offset
            walk(outcomes, rules, rows, window, setting, w, combination, output)


@njit(parallel=True, cache=CACHE)
def walk_kernel(events, outcomes, rules, units, windows, n_threads, output):
    """Walk all units in all ``windows``, dtype `gpu_engine.layouts.WINDOW` of shape (W,)."""
    # Every thread takes one stretch of `slot`: dealt out like cards, since the units of loose
    # thresholds, which trade most, lie together.
    n_units = len(units.table)
    stretch = (n_units + n_threads - 1) // n_threads
    for slot in prange(stretch * n_threads):
        u = slot % stretch * n_threads + slot // stretch
        if u < n_units:
            walk_unit(events, outcomes, rules, units, windows, u, output)


@njit(cache=CACHE)
def close_day(day_return, days):
    """Add the return of a day with exits to the running moments of such days.

    ``days`` is (their number, a shift, sum and sum of squares of the differences from the shift,
    sum of squares of the losses). The shift is the first day's return: squares of the returns
    themselves would cancel where all days are nearly equal.
    """
    count, shift, apart, apart_squares, downside_squares = days
    if count == 0:
        shift = day_return
    difference = day_return - shift
    return (
        count + 1,
        shift,
        apart + difference,
        apart_squares + difference * difference,
        downside_squares + min(day_return, 0.0) ** 2,
    )


@njit(cache=CACHE, error_model="numpy")
def walk(outcomes, rules, rows, window, setting, w, combination, output):
    """Trade one combination in window ``w`` (fills rules §6 to §9); write its metrics (§10)."""
    exit_bar, exit_day = outcomes.exit_bar[setting], outcomes.exit_day[setting]
    ret = outcomes.ret[setting]
    daily, taken = output.daily, output.taken
    n_days = window.n_days
    equity, peak, drawdown = 1.0, 1.0, 0.0
    last_exit, blocked_day, streak = -1, -1, 0
    current_day, day_open = -1, 1.0
    days = (0, 0.0, 0.0, 0.0, 0.0)
    n_trades, wins = 0, 0
    won, lost = 0.0, 0.0
    for position in range(len(rows.bar)):
        if (
            rows.bar[position] <= last_exit
            or rows.sweep[position] < window.start
            or rows.day[position] <= blocked_day
        ):
            continue
        i = rows.entry[position]
        j, j_day = exit_bar[i], exit_day[i]
        trade_return = ret[i]
        if j >= window.end:  # §8: an outcome that ends beyond the window becomes §7.6
            j, j_day = window.end - 1, window.first_day + n_days - 1
            side = float(outcomes.side[i])
            price = window.last_close * (1.0 - side * rules.slippage)
            trade_return = net_return(side, outcomes.price[i], price, rules.fee_rate)
        trade_return *= rules.fraction
        last_exit = j
        if len(taken) > 0:
            taken[n_trades] = rows.number[position]

        if j_day != current_day:
            if current_day >= 0:
                days = close_day(equity / day_open - 1.0, days)
            current_day, day_open = j_day, equity
        equity *= 1.0 + trade_return
        if len(daily) > 0:
            daily[combination, current_day - window.first_day] = equity / day_open - 1.0
        if equity > peak:
            peak = equity
        elif equity < peak * (1.0 - drawdown) * NEARLY:
            drawdown = max(drawdown, 1.0 - equity / peak)

        n_trades += 1
        wins += trade_return > 0.0
        won += trade_return if trade_return > 0.0 else 0.0
        lost -= trade_return if trade_return < 0.0 else 0.0
        streak = streak + 1 if trade_return < 0.0 else 0
        breaks = 0 < rules.losses_limit <= streak
        if equity <= day_open * (1.0 - rules.max_daily_loss) * NEARLY:
            breaks |= equity / day_open - 1.0 <= -rules.max_daily_loss
        if breaks:
            blocked_day, streak = current_day, 0  # §9: the streak is 0 when the breaker clears
        if equity <= 0.0:  # §9: ruin
            break
    if current_day >= 0:
        days = close_day(equity / day_open - 1.0, days)

    traded_days, shift, apart, apart_squares, downside_squares = days
    mean = (traded_days * shift + apart) / n_days
    idle_days = n_days - traded_days
    apart -= idle_days * shift
    apart_squares += idle_days * shift * shift
    spread = max(apart_squares - apart * apart / n_days, 0.0)  # of one day: 0
    deviation = math.sqrt(spread / max(n_days - 1, 1))
    downside = math.sqrt(downside_squares / n_days)
    growth = equity ** (365.0 / n_days) - 1.0 if equity > 0.0 else -1.0
    year = math.sqrt(365.0)
    out = output.metrics[w, combination]
    out.net_profit = equity - 1.0
    out.sharpe_ratio = mean / deviation * year if deviation > NO_DEVIATION else 0.0
    out.sortino_ratio = mean / downside * year if downside > 0.0 else 0.0
    out.max_drawdown = drawdown
    out.calmar_ratio = growth / drawdown if drawdown > 0.0 else 0.0
    out.sample_size = n_trades
    out.win_rate = wins / n_trades if n_trades > 0 else 0.0
    out.avg_win = won / wins if wins > 0 else 0.0
    out.avg_loss = -lost / (n_trades - wins) if n_trades > wins else 0.0
    out.profit_factor = won / lost if lost > 0.0 else math.nan
    out.n_days = n_days
