"""Compiled kernels: first passage of every entry, and the walk of every combination.

`walk_kernel` is the hot loop of the product. A unit's rows are filtered once and walked for each
window and exit setting, in O(1) memory a combination.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from gpu_engine.metrics import NO_DEVIATION
from gpu_engine.records import END, STOP, STOP_GAP, TARGET, TARGET_GAP, TIME

# Division is the dearest step of a trade: a product decides whether a comparison can hold at all,
# with room for rounding, and only then the quotient of the rules is taken.
NEARLY = 1.0 + 1e-12


@njit(cache=True)
def net_return(side, entry, price, fee_rate):
    """Net return on notional of one trade (fills rules §7.8)."""
    return side * (price - entry) / entry - fee_rate * (1.0 + price / entry)


@njit(cache=True)
def first_passage(opening, high, low, close, e, side, entry, stop, target, worse, max_holding_bars):
    """Exit bar, reason and price of one entry, to the end of the history (fills rules §7)."""
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


@njit(parallel=True, cache=True)
def outcomes_kernel(
    opening, high, low, close,
    entry_bar, entry_side, entry_atr, entry_price,
    stop_distance, target_multiple,
    fee_rate, slippage, max_holding_bars,
    exit_bar, reason, price, ret,
):  # fmt: skip
    """Fill ``exit_bar``, ``reason``, ``price`` and ``ret``, each of shape (E, N)."""
    for i in prange(len(entry_bar)):
        side = float(entry_side[i])
        entry = entry_price[i]
        worse = 1.0 - side * slippage
        for x in range(len(stop_distance)):
            stop = entry - side * stop_distance[x] * entry_atr[i]
            target = entry + side * target_multiple[x] * stop_distance[x] * entry_atr[i]
            j, why, out = first_passage(
                opening, high, low, close, entry_bar[i], side, entry, stop, target, worse,
                max_holding_bars,
            )  # fmt: skip
            exit_bar[x, i] = j
            reason[x, i] = why
            price[x, i] = out
            ret[x, i] = net_return(side, entry, out, fee_rate)


@njit(cache=True)
def passing_rows(features, thresholds, first, after, passing):
    """Write the rows of ``[first, after)`` that pass every threshold; return how many."""
    count = 0
    for row in range(first, after):
        passes = True
        for k in range(len(thresholds)):
            if not features[k, row] >= thresholds[k]:  # NaN fails
                passes = False
                break
        if passes:
            passing[count] = row
            count += 1
    return count


@njit(cache=True)
def first_at_or_after(bars, bar):
    """Position of the first of the ascending ``bars`` at or after ``bar``."""
    lo, hi = 0, len(bars)
    while lo < hi:
        middle = (lo + hi) // 2
        if bars[middle] < bar:
            lo = middle + 1
        else:
            hi = middle
    return lo


@njit(parallel=True, cache=True, error_model="numpy")
def walk_kernel(
    close, day, row_start, sweep_bar, signal_bar, features, row_entry,
    entry_side, entry_price, exit_bar, exit_day, ret,
    unit_table, unit_thresholds, unit_first_exit, exits_per_unit, windows,
    fee_rate, slippage, fraction, max_daily_loss, losses_limit, n_threads,
    metrics, daily, taken,
):  # fmt: skip
    """Walk every (unit, window, exit setting); fill ``metrics`` of shape (W, U * exits_per_unit).

    ``daily`` of shape (combinations, D) and ``taken`` of shape (M,) are filled when not empty,
    for a call with one window (and, for ``taken``, one combination).
    """
    # Every thread takes one stretch of `slot`: dealt out like cards, since the units of loose
    # thresholds, which trade most, lie together.
    n_units = len(unit_table)
    stretch = (n_units + n_threads - 1) // n_threads
    for slot in prange(stretch * n_threads):
        u = slot % stretch * n_threads + slot // stretch
        if u >= n_units:
            continue
        first, after = row_start[unit_table[u]], row_start[unit_table[u] + 1]
        passing = np.empty(after - first, np.int32)
        passing = passing[: passing_rows(features, unit_thresholds[u], first, after, passing)]
        # Side by side once, read in order by every window and exit setting.
        bar, bar_day, sweep, entry = np.empty((4, len(passing)), np.int32)
        for position in range(len(passing)):
            row = passing[position]
            bar[position] = signal_bar[row] + 1
            bar_day[position] = day[signal_bar[row] + 1]
            sweep[position] = sweep_bar[row]
            entry[position] = row_entry[row]
        for w in range(len(windows)):
            start, end = windows[w, 0], windows[w, 1]
            lo = first_at_or_after(bar, start + 1)
            hi = first_at_or_after(bar, end)
            for offset in range(exits_per_unit):
                x = unit_first_exit[u] + offset
                combination = u * exits_per_unit + offset
                walk(
                    close, day, bar, bar_day, sweep, entry, entry_side, entry_price,
                    exit_bar[x], exit_day[x], ret[x], passing, lo, hi, start, end,
                    fee_rate, slippage, fraction, max_daily_loss, losses_limit,
                    metrics[w, combination : combination + 1],
                    daily[combination : combination + 1], taken,
                )  # fmt: skip


@njit(cache=True)
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


@njit(cache=True, error_model="numpy")
def walk(
    close, day, bar, bar_day, sweep, entry, entry_side, entry_price,
    exit_bar, exit_day, ret, passing, lo, hi, start, end,
    fee_rate, slippage, fraction, max_daily_loss, losses_limit,
    metrics, daily, taken,
):  # fmt: skip
    """Trade one combination through one window (fills rules §6 to §9); write its metrics (§10)."""
    equity, peak, drawdown = 1.0, 1.0, 0.0
    last_exit, blocked_day, streak = -1, -1, 0
    first_day = day[start]
    n_days = day[end - 1] - first_day + 1
    current_day, day_open = -1, 1.0
    days = (0, 0.0, 0.0, 0.0, 0.0)
    n_trades, wins = 0, 0
    won, lost = 0.0, 0.0
    for position in range(lo, hi):
        if (
            bar[position] <= last_exit
            or sweep[position] < start
            or bar_day[position] <= blocked_day
        ):
            continue
        i = entry[position]
        j, j_day = exit_bar[i], exit_day[i]
        trade_return = ret[i]
        if j >= end:  # §8: an outcome that ends beyond the window becomes §7.6
            j, j_day = end - 1, day[end - 1]
            side = float(entry_side[i])
            price = close[j] * (1.0 - side * slippage)
            trade_return = net_return(side, entry_price[i], price, fee_rate)
        trade_return *= fraction
        last_exit = j
        if len(taken) > 0:
            taken[n_trades] = passing[position]

        if j_day != current_day:
            if current_day >= 0:
                days = close_day(equity / day_open - 1.0, days)
            current_day, day_open = j_day, equity
        equity *= 1.0 + trade_return
        if len(daily) > 0:
            daily[0, current_day - first_day] = equity / day_open - 1.0
        if equity > peak:
            peak = equity
        elif equity < peak * (1.0 - drawdown) * NEARLY:
            drawdown = max(drawdown, 1.0 - equity / peak)

        n_trades += 1
        wins += trade_return > 0.0
        won += trade_return if trade_return > 0.0 else 0.0
        lost -= trade_return if trade_return < 0.0 else 0.0
        streak = streak + 1 if trade_return < 0.0 else 0
        breaks = 0 < losses_limit <= streak
        if equity <= day_open * (1.0 - max_daily_loss) * NEARLY:
            breaks |= equity / day_open - 1.0 <= -max_daily_loss
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
    out = metrics[0]
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
