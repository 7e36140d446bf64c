"""Walk every combination through its windows, compiled: the hot loop of the product.

A unit's rows are found once, by bit masks, for all windows and exit settings. Eight exit settings
are walked side by side (`gpu_engine.numba_lanes`); a unit of few settings is walked one by one, by
the same text. Memory is O(1) a combination.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from gpu_engine.metrics import NO_DEVIATION
from gpu_engine.numba_cache import kernel
from gpu_engine.numba_kernels import fill
from gpu_engine.numba_lanes import LANES, any_of, eight, full_like, lane, load, lowest_bit, where
from gpu_engine.records import END, Float, Int32, Int64

#: Floats of one block of an entry's outcomes: exit bar, exit day and return of `LANES` settings.
BLOCK = 3 * LANES
#: A product decides whether the daily loss can be breached at all, with room for rounding; only
#: then is the quotient of the rules computed. The quotient rounds by parts of itself, 1 minus it by
#: parts of 1.
NEARLY, ROUNDING = 1.0 + 1e-12, 1e-15


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
    """What a trade that the window's end closes needs.

    ``entry`` of every row, of shape (M,); the others of every entry, of shape (N,); ``funding``
    of every bar, of shape (n,).
    """

    entry: Int32
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


@kernel()
def room_for_rows(masks):
    """Make `Rows` with room for the longest table."""
    most = 0
    for table in range(len(masks.first_row) - 1):
        most = max(most, masks.first_row[table + 1] - masks.first_row[table])
    number, setup, last = np.empty((3, most), np.int32)
    bar, day = np.empty((2, most))
    return Rows(number, setup, bar, day, last, np.empty(most, np.int64))


@kernel()
def find_passing(all_rows, masks, units, u, rows):
    """Copy the rows of a unit's table that pass all its thresholds to ``rows``; return how many."""
    table, words, mask, number = units.table[u], masks.words, units.mask, rows.number
    first, after = masks.first_word[table], masks.first_word[table + 1]
    row0 = masks.first_row[table] - first * 64
    count = 0
    for word in range(first, after):
        bits = words[mask[u, 0], word]
        for k in range(1, mask.shape[1]):
            bits &= words[mask[u, k], word]
        while bits != np.uint64(0):
            number[count] = row0 + word * 64 + lowest_bit(bits)
            count += 1
            bits &= bits - np.uint64(1)
    for position in range(count):
        row = number[position]
        rows.setup[position] = all_rows.setup[row]
        rows.bar[position] = all_rows.bar[row]
        rows.day[position] = all_rows.day[row]
        rows.last[position] = all_rows.last[row]
        rows.outcome[position] = all_rows.outcome[row]
    return count


@kernel()
def first_at_or_after(bars, count, bar):
    """Find the first of ``count`` ascending bars at or after ``bar``."""
    lo, hi = 0, count
    while lo < hi:
        middle = (lo + hi) // 2
        if bars[middle] < bar:
            lo = middle + 1
        else:
            hi = middle
    return lo


@kernel(error_model="numpy")
def walk(like, outcomes, market, rules, rows, lo, hi, base, window, first, count, needs, output):
    """Trade ``count`` exit settings from ``base`` on through rows ``lo .. hi - 1`` of a window.

    The combinations are ``first`` and on (fills rules §6 to §9). Returns the totals that
    `write_metrics` makes metrics of; each is like ``like``.
    """
    none, one = full_like(like, 0.0), full_like(like, 1.0)
    equity, peak, day_open = one, one, one
    drawdown, won, lost, wins, trades, streak = none, none, none, none, none, none
    days, shift, apart, squares, downside, largest = none, none, none, none, none, none
    last_exit, blocked, day = full_like(like, -1.0), full_like(like, -1.0), full_like(like, -1.0)
    end, last_day = float(window.end), float(window.first_day + window.n_days - 1)
    breach = (1.0 - rules.max_daily_loss) * NEARLY + ROUNDING
    n_taken = 0
    for p in range(lo, hi):
        if rows.setup[p] < window.start:
            continue
        at = rows.outcome[p] + base
        exit_bar = load(like, outcomes, at)
        take = (exit_bar >= 0.0) & (blocked < rows.day[p]) & (last_exit < rows.bar[p])
        exit_day = load(like, outcomes, at + LANES)
        ret = load(like, outcomes, at + 2 * LANES)
        if rows.last[p] >= window.end:  # exits rules §7: what ends beyond the window becomes §5.7
            cut = exit_bar >= end
            exit_bar = where(cut, end - 1.0, exit_bar)
            exit_day = where(cut, last_day, exit_day)
            ret = where(cut, return_at_end(market, rules, rows.number[p], window), ret)
        ret = ret * rules.exposure

        turns = take & (exit_day > day)
        if needs.moments:
            day_return = equity / day_open - 1.0  # of the day before; 0 where there was none
            if len(output.daily) > 0:
                keep_days(day_return, day, turns, window, first, count, output)
            shift = where(turns & (days == 1.0), day_return, shift)
            difference, square = day_return - shift, day_return * day_return
            apart = where(turns, apart + difference, apart)
            squares = where(turns, squares + difference * difference, squares)
            downside = where(turns & (day_return < 0.0), downside + square, downside)
            largest = where(turns, where(square > largest, square, largest), largest)
            days = where(turns, days + 1.0, days)
        day_open = where(turns, equity, day_open)
        day = where(turns, exit_day, day)
        equity = where(take, equity * (ret + 1.0), equity)
        if needs.drawdown:
            peak = where(equity > peak, equity, peak)
            down = one - equity / peak
            drawdown = where(down > drawdown, down, drawdown)
        trades = where(take, trades + 1.0, trades)
        loses = take & (ret < 0.0)
        if needs.gains:
            gains = take & (ret > 0.0)
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
        ruined = equity <= 0.0
        if any_of(ruined):  # fills rules §9.3
            last_exit = where(ruined, math.inf, last_exit)
        if len(output.taken) > 0 and any_of(take):
            output.taken[n_taken] = rows.number[p]
            n_taken += 1
    day_return = equity / day_open - 1.0
    if len(output.daily) > 0:
        keep_days(day_return, day, day >= 0.0, window, first, count, output)
    shift = where(days == 1.0, day_return, shift)
    difference, square = day_return - shift, day_return * day_return
    apart, squares = apart + difference, squares + difference * difference
    downside = where(day_return < 0.0, downside + square, downside)
    largest = where(square > largest, square, largest)
    return (
        (equity, drawdown, trades, wins, won, lost),
        (days, shift, apart, squares, downside, largest),
    )


@kernel()
def keep_days(day_return, day, mask, window, first, count, output):
    """Write the return of the day that ended in every lane of ``mask`` that has begun one."""
    for x in range(count):
        if lane(mask, x) and lane(day, x) >= 0.0:
            output.daily[first + x, int(lane(day, x)) - window.first_day] = lane(day_return, x)


@kernel(error_model="numpy")
def return_at_end(market, rules, row, window):
    """Return the net return of a row's entry that the window's end closes (exits rules §5.7)."""
    entry = market.entry[row]
    e = market.bar[entry]
    funding, held = market.funding[window.end - 1] - market.funding[e], window.end - e
    side, paid = market.side[entry], market.price[entry]
    return fill(rules, side, paid, END, math.nan, window.last_close, funding, held)[1]


@kernel(error_model="numpy")
def write_metrics(totals, x, n_days, growth, out):
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
    least = NO_DEVIATION * math.sqrt(largest)
    year = math.sqrt(365.0)
    sortino = mean / below * year if below > least else 0.0
    calmar = math.nan
    if growth:
        calmar = (equity ** (365.0 / n_days) if equity > 0.0 else 0.0) - 1.0
        calmar /= drawdown
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


@kernel()
def walk_unit(like, step, outcomes, market, rules, rows, n_rows, units, windows, u, needs, output):
    """Walk unit ``u``, whose rows have been found, in each window.

    ``step`` exit settings are walked side by side: as many as ``like`` has lanes.
    """
    n_exits = units.exits_per_unit
    for w in range(len(windows)):
        window = windows[w]
        lo = first_at_or_after(rows.bar, n_rows, window.start + 1)
        hi = first_at_or_after(rows.bar, n_rows, window.end)
        for offset in range(0, n_exits, step):
            first, setting = u * n_exits + offset, units.first_exit[u] + offset
            base = setting // LANES * BLOCK + setting % LANES
            count = min(step, n_exits - offset)
            totals = walk(
                like,
                outcomes,
                market,
                rules,
                rows,
                lo,
                hi,
                base,
                window,
                first,
                count,
                needs,
                output,
            )
            out = output.metrics[w, first : first + count]
            for x in range(count):
                write_metrics(totals, x, window.n_days, needs.growth, out[x])


@kernel()
def walk_share(
    outcomes, market, rules, all_rows, masks, units, windows, thread, threads, needs, output
):
    """Walk every ``threads``-th unit, from unit ``thread`` on."""
    rows = room_for_rows(masks)
    for u in range(thread, len(units.table), threads):
        n = find_passing(all_rows, masks, units, u, rows)
        if units.wide:
            walk_unit(
                eight(), LANES, outcomes, market, rules, rows, n, units, windows, u, needs, output
            )
        else:
            walk_unit(0.0, 1, outcomes, market, rules, rows, n, units, windows, u, needs, output)


@kernel(parallel=True)
def walk_kernel(outcomes, market, rules, rows, masks, units, windows, threads, needs, output):
    """Walk all units in all ``windows``, dtype `gpu_engine.layouts.WINDOW` of shape (W,).

    Units are dealt out to threads like cards, since those of loose thresholds, which trade most,
    lie together.
    """
    for thread in prange(threads):
        walk_share(
            outcomes, market, rules, rows, masks, units, windows, thread, threads, needs, output
        )
