"""Compiled first passage: how every entry ends under every exit setting (exits rules §2 to §6)."""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from gpu_engine.numba_lanes import LANES
from gpu_engine.records import (
    END,
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


class Bars(NamedTuple):
    """Candles of the market, of shape (n,) each; ``minus_`` are prices times -1.

    ``funding`` is empty on spot.
    """

    open: Float
    high: Float
    low: Float
    close: Float
    minus_open: Float
    minus_high: Float
    minus_low: Float
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
    """Costs and limits (fills rules §9, exits rules §6); a limit that is off is inf."""

    fee_rate: float
    target_fee: float
    slippage: float
    fraction: float
    max_daily_loss: float
    losses_limit: float


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
def level_of(exits, x, entries, i, opening):
    """Compute the levels of entry ``i`` under setting ``x`` (exits rules §2, §3)."""
    side, atr, unsigned = entries.side[i], entries.atr[i], entries.price[i]
    price = side * unsigned
    stop, distance, dropped = -np.inf, np.nan, False
    if not np.isnan(exits.stop_distance[x]):
        distance = exits.stop_distance[x] * atr
        stop = price - distance
        dropped = not distance > 0.0
    elif not np.isnan(exits.stop_fraction[x]):
        distance = exits.stop_fraction[x] * unsigned
        stop = price - distance
        dropped = not distance > 0.0
    elif not np.isnan(exits.stop_offset[x]):
        stop = side * entries.stop_level[i] - exits.stop_offset[x] * atr
        distance = price - stop
        dropped = not (distance > 0.0 and side * opening > stop)
    target = np.inf
    if not np.isnan(exits.target_multiple[x]):
        target = price + exits.target_multiple[x] * distance
    elif not np.isnan(exits.target_distance[x]):
        target = price + exits.target_distance[x] * atr
    elif not np.isnan(exits.target_fraction[x]):
        target = price + exits.target_fraction[x] * unsigned
    elif not np.isnan(exits.target_reach[x]):
        level = side * entries.target_level[i]
        target = price + exits.target_reach[x] * (level - price)
        dropped = dropped or not level > price
    break_even, trail = np.inf, np.inf
    if not np.isnan(exits.break_even_trigger[x]):
        break_even = price + exits.break_even_trigger[x] * distance
    if not np.isnan(exits.trail_distance[x]):
        trail = price + exits.trail_activation[x] * atr
    return Level(stop, target, break_even, trail, exits.trail_distance[x] * atr, dropped)


@njit(cache=CACHE)
def first_passage(opening, adverse, favourable, filled, level, e, entry, leave, holding):
    """Scan from bar ``e`` to the history's end: exit bar, reason and price (§4, §5).

    Prices are signed (`gpu_engine.levels`); that of a market order is before slippage.
    """
    n = len(opening)
    best = -np.inf
    for j in range(e, n):
        if not filled[j]:  # in a filled bar nothing traded
            stop = level.stop
            if best >= level.break_even:
                stop = max(stop, entry)
            if best >= level.trail:
                stop = max(stop, best - level.trail_distance)
            if j > e:
                if opening[j] <= stop:  # §5.1
                    return j, STOP_GAP, opening[j]
                if opening[j] >= level.target:  # §5.2
                    return j, TARGET_GAP, level.target
                if j >= leave:  # §5.3
                    return j, SIGNAL, opening[j]
            if adverse[j] <= stop:  # §5.4
                return j, STOP, min(stop, opening[j]) if j == e else stop
            if favourable[j] >= level.target:  # §5.5
                return j, TARGET, level.target
        if j - e + 1 == holding:  # §5.6
            return j, TIME, np.nan
        best = max(best, favourable[j])
    return n - 1, END, np.nan  # §5.7


@njit(cache=CACHE)
def outcome_of(bars, entries, exits, rules, x, i):
    """Say how entry ``i`` ends under setting ``x``: exit bar, reason, price and net return."""
    e, side, paid = entries.bar[i], entries.side[i], entries.price[i]
    level = level_of(exits, x, entries, i, bars.open[e])
    if level.dropped:
        return -1, END, np.nan, 0.0
    if side > 0.0:
        opening, adverse, favourable = bars.open, bars.low, bars.high
    else:
        opening, adverse, favourable = bars.minus_open, bars.minus_high, bars.minus_low
    j, reason, signed = first_passage(
        opening,
        adverse,
        favourable,
        bars.filled,
        level,
        e,
        side * paid,
        entries.leave[i],
        exits.holding[x],
    )
    fee = rules.fee_rate
    if reason in (TARGET, TARGET_GAP):
        price = side * signed
        fee = rules.target_fee
    elif reason in (TIME, END):
        price = bars.close[j] * (1.0 - side * rules.slippage)
    else:
        price = side * signed * (1.0 - side * rules.slippage)
    ret = side * (price - paid) / paid - (rules.fee_rate + fee * price / paid)
    if len(bars.funding) > 0:
        ret -= side * (bars.funding[j] - bars.funding[e])
    return j, reason, price, ret


@njit(cache=CACHE)
def entry_outcomes(bars, entries, exits, rules, i, outcomes, last):
    """Fill row ``i`` of ``outcomes`` and ``last``: one entry under every exit setting."""
    latest = -1
    for x in range(len(exits.holding)):
        j, _, _, ret = outcome_of(bars, entries, exits, rules, x, i)
        block, lane = x // LANES, x % LANES
        outcomes[i, block, 0, lane] = j
        outcomes[i, block, 1, lane] = bars.day[j]
        outcomes[i, block, 2, lane] = ret
        latest = max(latest, j)
    last[i] = latest


@njit(parallel=True, cache=CACHE)
def outcomes_kernel(bars, entries, exits, rules, outcomes, last):
    """Fill ``outcomes``, shape (N, blocks, 3, LANES), and the last exit bar of every entry (N,).

    A block holds exit bar, exit day and return of `LANES` settings as float64; the exit bar of a
    row that its setting drops is -1, and so is that of what stands for no setting.
    """
    for i in prange(len(entries.bar)):
        # A call: Numba takes a write to a tuple's array for dead code in a parallel function.
        entry_outcomes(bars, entries, exits, rules, i, outcomes, last)


@njit(cache=CACHE)
def outcomes_of_rows(bars, entries, exits, rules, x, which, exit_bar, reason, price):
    """Fill exit bar, reason and price of some entries under one setting, of shape (m,) each."""
    for k in range(len(which)):
        exit_bar[k], reason[k], price[k], _ = outcome_of(bars, entries, exits, rules, x, which[k])
