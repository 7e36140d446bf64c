"""Walk every combination through its windows, compiled: the hot loop of the product.

A unit's rows are found once, by bit masks, for all windows and exit settings. Eight exit settings
are walked side by side (`gpu_engine.numba_lanes`); a unit of few settings is walked one by one, by
the same text. Memory is O(1) a combination.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from gpu_engine.metrics import NO_DEVIATION
from gpu_engine.numba_kernels import CACHE
from gpu_engine.numba_lanes import LANES, any_of, eight, fill, lane, load, lowest_bit, where
from gpu_engine.records import Float, Int32, Int64

#: Floats of one block of an entry's outcomes: exit bar, exit day and return of `LANES` settings.
BLOCK = 3 * LANES
#: A product decides whether a comparison can hold at all, with room for rounding; only then is the
#: quotient of the rules computed, since division is the dearest step of a trade.
NEARLY = 1.0 + 1e-12


class Rows(NamedTuple):
    """Rows of all tables, or those that pass the thresholds of a unit; shape (rows,) each.

    ``number`` is the row's in `EventBook`; ``bar`` and ``day`` are the entry's, as float64, which
    lanes compare; ``last`` is the last exit bar of any setting; ``outcome`` is where the entry's
    outcomes begin.
    """

    number: Int32
    setup: Int32
    bar: Float
    day: Float
    entry: Int32
    last: Int32
    outcome: Int64


class Masks(NamedTuple):
    """One bit a row for every threshold value: uint64 ``words`` of shape (values, words).

    Rows of table ``t`` begin at word ``first_word[t]``, whose bit 0 is row ``first_row[t]``; a
    table ends where the next begins.
    """

    words: NDArray[np.uint64]
    first_word: Int64
    first_row: Int64


class Market(NamedTuple):
    """What a trade that the window's end closes needs of its entry, of shape (N,) each.

    ``funding`` is of shape (n,), one a bar of the market, and empty on spot.
    """

    side: Float
    price: Float
    bar: Int32
    funding: Float


class Units(NamedTuple):
    """A `gpu_engine.records.Batch`; ``mask`` of shape (U, K) numbers the rows of `Masks.words`.

    ``wide``: exit settings are walked eight at a time, from a multiple of eight on.
    """

    table: Int32
    mask: Int32
    first_exit: Int32
    exits_per_unit: int
    wide: bool


class Output(NamedTuple):
    """What a walk fills.

    ``metrics`` (`METRICS`) of shape (W, combinations); ``daily``, float64 of shape
    (combinations, D), when it is not empty, for a call with one window; ``taken``, int32 of shape
    (M,), the rows taken, when it is not empty, for a call with one window and one combination.
    """

    metrics: NDArray[np.void]
    daily: Float
    taken: Int32


@njit(cache=CACHE)
def passing_rows(rows, masks, units, u):
    """Copy the rows of a unit's table that pass all its thresholds, side by side in memory."""
    table = units.table[u]
    first, after = masks.first_word[table], masks.first_word[table + 1]
    row0 = masks.first_row[table] - first * 64
    most = masks.first_row[table + 1] - masks.first_row[table]
    number = np.empty(most, np.int32)
    count = 0
    for word in range(first, after):
        bits = masks.words[units.mask[u, 0], word]
        for k in range(1, units.mask.shape[1]):
            bits &= masks.words[units.mask[u, k], word]
        while bits != np.uint64(0):
            number[count] = row0 + word * 64 + lowest_bit(bits)
            count += 1
            bits &= bits - np.uint64(1)
    setup, entry, last = np.empty((3, count), np.int32)
    bar, day = np.empty((2, count))
    outcome = np.empty(count, np.int64)
    for position in range(count):
        row = number[position]
        setup[position], entry[position], last[position] = (
            rows.setup[row],
            rows.entry[row],
            rows.last[row],
        )
        bar[position], day[position], outcome[position] = (
            rows.bar[row],
            rows.day[row],
            rows.outcome[row],
        )
    return Rows(number[:count], setup, bar, day, entry, last, outcome)


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


@njit(cache=CACHE, error_model="numpy")
def walk(like, outcomes, market, rules, rows, base, window, first, count, output):
    """Trade the ``count`` exit settings from ``base`` on in one window (fills rules §6 to §9).

    Combinations ``first`` and on. Returns the totals that `write_metrics` makes metrics of; each is
    like ``like``.
    """
    none, one = fill(like, 0.0), fill(like, 1.0)
    equity, peak, day_open = one, one, one
    drawdown, won, lost, wins, trades, streak = none, none, none, none, none, none
    days, shift, apart, squares, downside, largest = none, none, none, none, none, none
    last_exit, blocked, day = fill(like, -1.0), fill(like, -1.0), fill(like, -1.0)
    end, last_day = float(window.end), float(window.first_day + window.n_days - 1)
    breach = (1.0 - rules.max_daily_loss) * NEARLY
    n_taken = 0
    for p in range(
        first_at_or_after(rows.bar, window.start + 1), first_at_or_after(rows.bar, window.end)
    ):
        take = (last_exit < rows.bar[p]) & (blocked < rows.day[p])
        if rows.setup[p] < window.start or not any_of(take):
            continue
        at = rows.outcome[p] + base
        exit_bar = load(like, outcomes, at)
        take = take & (exit_bar >= 0.0)  # exits rules §3
        exit_day = load(like, outcomes, at + LANES)
        ret = load(like, outcomes, at + 2 * LANES)
        if rows.last[p] >= window.end:  # exits rules §7: what ends beyond the window becomes §5.7
            cut = exit_bar >= end
            exit_bar = where(cut, end - 1.0, exit_bar)
            exit_day = where(cut, last_day, exit_day)
            ret = where(cut, return_at_end(market, rules, rows.entry[p], window), ret)
        ret = ret * rules.fraction

        turns = take & (exit_day > day)
        if any_of(turns):
            day_return = equity / day_open - 1.0  # of the day before; 0 where there was none
            if len(output.daily) > 0:
                keep_days(day_return, day, turns, window, first, count, output)
            shift = where(turns & (days == 1.0), day_return, shift)
            apart_from = day_return - shift
            apart = where(turns, apart + apart_from, apart)
            squares = where(turns, squares + apart_from * apart_from, squares)
            downside = where(
                turns & (day_return < 0.0), downside + day_return * day_return, downside
            )
            size = where(day_return < 0.0, none - day_return, day_return)
            largest = where(turns & (size > largest), size, largest)
            days = where(turns, days + 1.0, days)
            day_open = where(turns, equity, day_open)
            day = where(turns, exit_day, day)
        equity = where(take, equity * (ret + 1.0), equity)
        peak = where(equity > peak, equity, peak)
        if any_of(equity < peak * (one - drawdown) * NEARLY):
            down = one - equity / peak
            drawdown = where(down > drawdown, down, drawdown)
        trades = where(take, trades + 1.0, trades)
        gains, loses = take & (ret > 0.0), take & (ret < 0.0)
        wins = where(gains, wins + 1.0, wins)
        won = where(gains, won + ret, won)
        lost = where(loses, lost - ret, lost)
        streak = where(take, where(loses, streak + 1.0, none), streak)
        breaks = take & (streak >= rules.losses_limit)
        near = equity <= day_open * breach
        if any_of(near):
            breaks = breaks | (take & (equity / day_open - 1.0 <= -rules.max_daily_loss))
        if any_of(breaks):
            blocked = where(breaks, day, blocked)
            streak = where(breaks, none, streak)  # fills rules §9: 0 when the breaker clears
        last_exit = where(take, exit_bar, last_exit)
        last_exit = where(equity <= 0.0, math.inf, last_exit)  # fills rules §9.3: ruin
        if len(output.taken) > 0 and any_of(take):
            output.taken[n_taken] = rows.number[p]
            n_taken += 1
    day_return = equity / day_open - 1.0
    if len(output.daily) > 0:
        keep_days(day_return, day, day >= 0.0, window, first, count, output)
    shift = where(days == 1.0, day_return, shift)
    apart_from = day_return - shift
    apart, squares = apart + apart_from, squares + apart_from * apart_from
    downside = where(day_return < 0.0, downside + day_return * day_return, downside)
    size = where(day_return < 0.0, none - day_return, day_return)
    largest = where(size > largest, size, largest)
    return (
        (equity, drawdown, trades, wins, won, lost),
        (days, shift, apart, squares, downside, largest),
    )


@njit(cache=CACHE)
def keep_days(day_return, day, mask, window, first, count, output):
    """Write the return of the day that ended in every lane of ``mask`` that has begun one."""
    for x in range(count):
        if lane(mask, x) and lane(day, x) >= 0.0:
            output.daily[first + x, int(lane(day, x)) - window.first_day] = lane(day_return, x)


@njit(cache=CACHE)
def return_at_end(market, rules, entry, window):
    """Return the net return of an entry that the window's end closes (exits rules §6)."""
    side, paid = market.side[entry], market.price[entry]
    price = window.last_close * (1.0 - side * rules.slippage)
    ret = side * (price - paid) / paid - (rules.fee_rate + rules.fee_rate * price / paid)
    if len(market.funding) > 0:
        ret -= side * (market.funding[window.end - 1] - market.funding[market.bar[entry]])
    return ret


@njit(cache=CACHE, error_model="numpy")
def write_metrics(totals, x, n_days, out):
    """Write the metrics of lane ``x`` (fills rules §10)."""
    account, moments = totals
    equity, drawdown = lane(account[0], x), lane(account[1], x)
    trades, wins, won, lost = (
        lane(account[2], x),
        lane(account[3], x),
        lane(account[4], x),
        lane(account[5], x),
    )
    days, shift, apart = lane(moments[0], x), lane(moments[1], x), lane(moments[2], x)
    squares, downside, largest = lane(moments[3], x), lane(moments[4], x), lane(moments[5], x)
    mean = (days * shift + apart) / n_days
    idle_days = n_days - days
    apart -= idle_days * shift
    squares += idle_days * shift * shift
    spread = max(squares - apart * apart / n_days, 0.0)  # of one day: 0
    deviation = math.sqrt(spread / max(n_days - 1, 1))
    below = math.sqrt(downside / n_days) if n_days > 1 else 0.0
    least = NO_DEVIATION * largest
    year = math.sqrt(365.0)
    sortino = mean / below * year if below > least else 0.0
    growth = equity ** (365.0 / n_days) - 1.0 if equity > 0.0 else -1.0
    calmar = growth / drawdown
    out.net_profit = equity - 1.0
    out.sharpe_ratio = mean / deviation * year if deviation > least else 0.0
    out.sortino_ratio = sortino if downside > 0.0 else math.nan
    out.max_drawdown = drawdown
    out.calmar_ratio = calmar if math.isfinite(calmar) else math.nan
    out.sample_size = int(trades)
    out.win_rate = wins / trades if trades > 0.0 else 0.0
    out.avg_win = won / wins if wins > 0.0 else 0.0
    out.avg_loss = -lost / (trades - wins) if trades > wins else 0.0
    out.profit_factor = won / lost if lost > 0.0 else math.nan
    out.n_days = n_days


@njit(cache=CACHE)
def walk_unit(outcomes, market, rules, all_rows, masks, units, windows, u, output):
    """Walk unit ``u`` under each of its exit settings in each window."""
    rows = passing_rows(all_rows, masks, units, u)
    n_exits = units.exits_per_unit
    for w in range(len(windows)):
        window = windows[w]
        for offset in range(0, n_exits, LANES if units.wide else 1):
            first, setting = u * n_exits + offset, units.first_exit[u] + offset
            base = setting // LANES * BLOCK + setting % LANES
            out = output.metrics[w, first : first + LANES]
            if units.wide:
                count = min(LANES, n_exits - offset)
                totals = walk(
                    eight(), outcomes, market, rules, rows, base, window, first, count, output
                )
                for x in range(count):
                    write_metrics(totals, x, window.n_days, out[x])
            else:
                totals = walk(0.0, outcomes, market, rules, rows, base, window, first, 1, output)
                write_metrics(totals, 0, window.n_days, out[0])


@njit(parallel=True, cache=CACHE)
def walk_kernel(outcomes, market, rules, rows, masks, units, windows, n_threads, output):
    """Walk all units in all ``windows``, dtype `gpu_engine.layouts.WINDOW` of shape (W,)."""
    # Every thread takes one stretch of `slot`: dealt out like cards, since the units of loose
    # thresholds, which trade most, lie together.
    n_units = len(units.table)
    stretch = (n_units + n_threads - 1) // n_threads
    for slot in prange(stretch * n_threads):
        u = slot % stretch * n_threads + slot // stretch
        if u < n_units:
            walk_unit(outcomes, market, rules, rows, masks, units, windows, u, output)
