"""Compiled first passage: how every entry ends under every exit setting (exits rules §2 to §6)."""

import math
from typing import NamedTuple

from numba import prange

from gpu_engine.numba_cache import kernel
from gpu_engine.numba_lanes import LANES
from gpu_engine.outcomes import DROPPED
from gpu_engine.records import (
    END,
    LIQUIDATION,
    SIGNAL,
    STOP,
    STOP_GAP,
    TARGET,
    TARGET_GAP,
    TIME,
    Bool,
    Float,
    Int32,
)


class Prices(NamedTuple):
    """Prices as one side sees them, float64 of shape (n,) each.

    ``worst`` and ``best`` are the extremes with the open: a bar in which they reach no level of a
    position can be passed over.
    """

    open: Float
    adverse: Float
    favourable: Float
    worst: Float
    best: Float


class Bars(NamedTuple):
    """The rest of the candles, of shape (n,) each; ``funding`` is 0 on spot."""

    open: Float
    close: Float
    filled: Bool
    day: Int32
    funding: Float


class Exits(NamedTuple):
    """Exit settings as in `gpu_engine.exits.ExitSettings`, of shape (E,) each, NaN for none.

    ``holding`` is in bars, 0 for no limit.
    """

    stop_distance: Float
    stop_fraction: Float
    stop_offset: Float
    target_multiple: Float
    target_distance: Float
    target_fraction: Float
    target_reach: Float
    break_even_trigger: Float
    trail_activation: Float
    trail_distance: Float
    holding: Int32


class Rules(NamedTuple):
    """Costs and limits (fills rules §9, exits rules §6, §8); a limit that is off is inf.

    ``borrow`` is of a short, a bar; the last four are multiples of the entry, of `RiskLimits`.
    """

    fee_rate: float
    target_fee: float
    slippage: float
    exposure: float
    max_daily_loss: float
    losses_limit: float
    borrow: float
    long_liquidation: float
    short_liquidation: float
    long_bankruptcy: float
    short_bankruptcy: float


class Entries(NamedTuple):
    """Distinct entries, of shape (N,) each; a level that they have not is NaN.

    ``leave`` is the first bar at whose open a signal closes the position, n for never.
    """

    bar: Int32
    side: Float
    atr: Float
    price: Float
    stop_level: Float
    target_level: Float
    leave: Int32


class Level(NamedTuple):
    """Levels of one entry under one setting (`gpu_engine.levels.Levels`)."""

    stop: float
    target: float
    break_even: float
    trail: float
    trail_distance: float
    dropped: bool
    liquidation: float


@kernel(forceinline=True)
def level_of(exits, rules, x, entries, i, opening):
    """Compute the levels of entry ``i`` under setting ``x`` (exits rules §2, §3, §8)."""
    # All are read here, not in the branches, where Numba would count references to the arrays.
    side, atr, unsigned = entries.side[i], entries.atr[i], entries.price[i]
    stop_level, target_level = side * entries.stop_level[i], side * entries.target_level[i]
    in_atr, fraction, offset = exits.stop_distance[x], exits.stop_fraction[x], exits.stop_offset[x]
    multiple, target_atr = exits.target_multiple[x], exits.target_distance[x]
    target_fraction, reach = exits.target_fraction[x], exits.target_reach[x]
    trigger, activation = exits.break_even_trigger[x], exits.trail_activation[x]
    behind = exits.trail_distance[x] * atr
    price = side * unsigned
    stop, distance, dropped = -math.inf, math.nan, False
    if not math.isnan(in_atr):
        distance = in_atr * atr
        stop = price - distance
        dropped = not distance > 0.0
    elif not math.isnan(fraction):
        distance = fraction * unsigned
        stop = price - distance
        dropped = not distance > 0.0
    elif not math.isnan(offset):
        stop = stop_level - offset * atr
        distance = price - stop
        dropped = not (distance > 0.0 and side * opening > stop)
    target = math.inf
    if not math.isnan(multiple):
        target = price + multiple * distance
    elif not math.isnan(target_atr):
        target = price + target_atr * atr
    elif not math.isnan(target_fraction):
        target = price + target_fraction * unsigned
    elif not math.isnan(reach):
        target = price + reach * (target_level - price)
        dropped = dropped or not target_level > price
    break_even = math.inf if math.isnan(trigger) else price + trigger * distance
    trail = math.inf if math.isnan(behind) else price + activation * atr
    liquidation = price * (rules.long_liquidation if side > 0.0 else rules.short_liquidation)
    stop = max(stop, liquidation)
    return Level(stop, target, break_even, trail, behind, dropped, liquidation)


@kernel(forceinline=True)
def first_passage(prices, filled, side, level, e, entry, leave, holding):
    """Scan from bar ``e`` to the history's end: exit bar, reason and price (exits rules §4, §5).

    ``entry`` and the price are signed (`gpu_engine.levels`); that of a market order is before
    slippage, and NaN for a close.
    """
    stop, target = level.stop, level.target
    moving = level.break_even < math.inf or level.trail < math.inf
    last = len(filled) - 1
    due = min(last, e + holding - 1 if holding > 0 else last)
    best = -math.inf
    j = e
    while True:
        if not moving:
            quiet = min(due, leave)
            while j < quiet and not (
                side * prices.worst[j] <= stop or side * prices.best[j] >= target
            ):
                j += 1
        if not filled[j]:  # in a filled bar nothing traded
            opening = side * prices.open[j]
            if moving:
                stop = stop_in_force(level, entry, best)
            if j > e:
                if opening <= stop:  # §5.1
                    return j, STOP_GAP, opening
                if opening >= target:  # §5.2
                    return j, TARGET_GAP, target
                if j >= leave:  # §5.3
                    return j, SIGNAL, opening
            if side * prices.adverse[j] <= stop:  # §5.4
                return j, STOP, min(stop, opening) if j == e else stop
            if side * prices.favourable[j] >= target:  # §5.5
                return j, TARGET, target
        if j == due:  # §5.6, §5.7
            return j, TIME if j - e + 1 == holding else END, math.nan
        best = max(best, side * prices.favourable[j])
        j += 1


@kernel(forceinline=True)
def stop_in_force(level, entry, best):
    """Return the tightest stop after ``best``, which is -inf in the entry bar (exits rules §4)."""
    stop = level.stop
    if best >= level.break_even:
        stop = max(stop, entry)
    if best >= level.trail:
        stop = max(stop, best - level.trail_distance)
    return stop


@kernel(forceinline=True)
def passage_of(bars, prices, entries, exits, rules, x, i):
    """Say how entry ``i`` ends under setting ``x``: exit bar, reason and price as above."""
    e, side = entries.bar[i], entries.side[i]
    entry, leave, holding = side * entries.price[i], entries.leave[i], exits.holding[x]
    level = level_of(exits, rules, x, entries, i, bars.open[e])
    if level.dropped:
        return DROPPED, END, math.nan
    j, reason, signed = first_passage(prices, bars.filled, side, level, e, entry, leave, holding)
    if reason in (STOP, STOP_GAP) and signed <= level.liquidation:  # §8.4
        gone = rules.long_bankruptcy if side > 0.0 else rules.short_bankruptcy
        return j, LIQUIDATION, entry * gone
    return j, reason, signed


@kernel(forceinline=True, error_model="numpy")
def fill(rules, side, paid, reason, signed, close, funding, bars_held):
    """Return price and net return of an exit (exits rules §5, §6).

    ``funding`` is the sum of the rates since the entry, ``close`` that of the exit bar;
    ``bars_held`` counts both ends.
    """
    worse, fee = 1.0 - side * rules.slippage, rules.fee_rate
    price = side * signed * worse
    if reason in (TARGET, TARGET_GAP):
        price, fee = side * signed, rules.target_fee
    elif reason == LIQUIDATION:
        price = side * signed
    elif reason in (TIME, END):
        price = close * worse
    ret = side * (price - paid) / paid - (rules.fee_rate + fee * price / paid)
    ret -= side * funding
    if side < 0.0:
        ret -= rules.borrow * bars_held  # §6.4
    return price, ret


@kernel(error_model="numpy")
def entry_outcomes(bars, prices, entries, exits, rules, i, outcomes, last):
    """Fill row ``i`` of ``outcomes`` and ``last``: one entry under every exit setting."""
    side, paid = entries.side[i], entries.price[i]
    # Taken out of the loop, in which Numba would count references to them.
    close, day, funding = bars.close, bars.day, bars.funding
    e, latest = entries.bar[i], DROPPED
    funding_paid = funding[e]
    for x in range(len(exits.holding)):
        j, reason, signed = passage_of(bars, prices, entries, exits, rules, x, i)
        rates, held = funding[j] - funding_paid, j + 1 - e
        _, ret = fill(rules, side, paid, reason, signed, close[j], rates, held)
        block, lane = x // LANES, x % LANES
        outcomes[i, block, 0, lane] = j
        outcomes[i, block, 1, lane] = day[j]
        outcomes[i, block, 2, lane] = ret
        latest = max(latest, j)
    last[i] = latest


@kernel(parallel=True)
def outcomes_kernel(bars, long, short, entries, exits, rules, outcomes, last):
    """Fill ``outcomes``, shape (N, blocks, 3, LANES), and the last exit bar of every entry (N,).

    A block holds exit bar, exit day and return of `LANES` settings as float64; the exit bar of a
    row that its setting drops is -1, and so is that of what stands for no setting.
    """
    for i in prange(len(entries.bar)):
        # A call: Numba takes a write to a tuple's array for dead code in a parallel function.
        prices = long if entries.side[i] > 0.0 else short
        entry_outcomes(bars, prices, entries, exits, rules, i, outcomes, last)


@kernel(error_model="numpy")
def outcomes_of_rows(bars, long, short, entries, exits, rules, x, which, exit_bar, reason, price):
    """Fill exit bar, reason and price of some entries under one setting, of shape (m,) each."""
    for k in range(len(which)):
        i = which[k]
        side, paid, e = entries.side[i], entries.price[i], entries.bar[i]
        prices = long if side > 0.0 else short
        j, reason[k], signed = passage_of(bars, prices, entries, exits, rules, x, i)
        rates, held = bars.funding[j] - bars.funding[e], j + 1 - e
        price[k], _ = fill(rules, side, paid, reason[k], signed, bars.close[j], rates, held)
        exit_bar[k] = j
