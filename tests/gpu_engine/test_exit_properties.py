"""Properties of exits of every kind (exits rules §3 to §5); hypothesis looks for a market that
breaks them.
"""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import REASONS, Batch, EventTable, ExitSettings, RiskLimits, Tables, Window, engine
from support.backends import ALL
from support.random_market import random_exits, random_market

seeds = st.integers(0, 2**32 - 1)
MARKET_ORDERS = [REASONS.index(name) for name in ("stop_gap", "signal", "stop")]


def trades_of(world, backend, setting, candles=None):
    """Trades of every row of the first table under one setting, in the whole history."""
    changed = world if candles is None else world._replace(candles=candles)
    off = -np.inf * np.array(world.tables.senses, np.float64)
    batch = Batch(np.zeros(1, np.int32), off[None], np.array([setting], np.int32), 1)
    window = Window(0, len(changed.candles))
    return engine.trades(changed.load(backend), batch, window)


def moving(world, rng):
    """The same market, with a break-even, a trail or both in every setting, and no target."""
    count = len(world.exits)
    either = rng.integers(0, 3, count)  # break even, trail, both
    trigger = np.where(either == 1, np.nan, rng.choice([0.5, 1.0, 2.0], count))
    activation = np.where(either == 0, np.nan, rng.choice([0.0, 0.5, 1.0], count))
    distance = np.where(either == 0, np.nan, rng.choice([0.5, 1.0, 2.0], count))
    exits = ExitSettings(
        stop_distance=rng.choice([0.5, 1.0, 2.0], count),
        break_even_trigger=trigger,
        trail_activation=activation,
        trail_distance=distance,
    )
    return world._replace(exits=exits)


@pytest.mark.parametrize("backend", ALL)
@settings(max_examples=25)
@given(seed=seeds, n_bars=st.integers(2, 120))
def test_what_ended_before_a_cut_is_unchanged(backend, seed, n_bars):
    """Later candles, there or not, move no stop of an earlier trade (exits rules §4.5)."""
    rng = np.random.default_rng(seed)
    world = moving(random_market(rng, n_bars, every_exit=True), rng)
    other = random_market(rng, n_bars, every_exit=True).candles
    cut = int(rng.integers(1, n_bars))
    later = {
        name: np.concatenate((getattr(world.candles, name)[:cut], getattr(other, name)[cut:]))
        for name in ("open", "high", "low", "close", "volume", "filled")
    }
    for setting in range(len(world.exits)):
        whole = trades_of(world, backend, setting)
        ended = whole[whole["exit_bar"] < cut]
        short = trades_of(world, backend, setting, world.candles.cut(0, cut))
        assert short[: len(ended)].tobytes() == ended.tobytes()
        assert [REASONS[reason] for reason in short["reason"][len(ended) :]] in ([], ["end"])
        scrambled = trades_of(world, backend, setting, replace(world.candles, **later))
        assert scrambled[: len(ended)].tobytes() == ended.tobytes()


@pytest.mark.parametrize("backend", ALL)
@settings(max_examples=25)
@given(seed=seeds, n_bars=st.integers(2, 80))
def test_a_bar_does_not_move_its_own_stop(backend, seed, n_bars):
    """A better extreme of the exit bar changes nothing where there is no target (§4.5)."""
    rng = np.random.default_rng(seed)
    world = moving(random_market(rng, n_bars, every_exit=True), rng)
    for setting in range(len(world.exits)):
        trades = trades_of(world, backend, setting)
        for trade in trades[np.isin(trades["reason"], MARKET_ORDERS)][:3]:
            bar, side = trade["exit_bar"], int(trade["side"])
            name = "high" if side > 0 else "low"
            extreme = getattr(world.candles, name).copy()
            extreme[bar] += 50.0 * side
            candles = replace(world.candles, **{name: extreme})
            again = trades_of(world, backend, setting, candles)
            (same,) = again[again["entry_bar"] == trade["entry_bar"]]
            assert same.tobytes() == trade.tobytes()


def dropped(world, setting):
    """Which rows of the first table a setting drops, row by row as exits rules §3 says."""
    table, candles, slippage = world.tables.tables[0], world.candles, world.costs.slippage
    of = {
        field.name: np.nan if column is None else column[setting]
        for field in fields(world.exits)
        for column in [getattr(world.exits, field.name)]
    }
    drops = np.zeros(len(table), bool)
    for row in range(len(table)):
        if table.signal_bar[row] + 1 >= len(candles):
            continue
        side, atr = int(table.side[row]), table.atr[row]
        opening = candles.open[table.signal_bar[row] + 1]
        entry = opening * (1.0 + side * slippage)
        if not np.isnan(of["stop_distance"]):
            drops[row] |= not of["stop_distance"] * atr > 0
        if not np.isnan(of["stop_offset"]):
            stop = table.stop_level[row] - side * of["stop_offset"] * atr
            drops[row] |= not side * (entry - stop) > 0
            drops[row] |= not side * (opening - stop) > 0
        if not np.isnan(of["target_reach"]):
            drops[row] |= not side * (table.target_level[row] - entry) > 0
    return drops


@pytest.mark.parametrize("backend", ALL)
@settings(max_examples=25)
@given(seed=seeds, n_bars=st.integers(2, 120))
def test_a_dropped_row_is_as_if_it_were_not_there(backend, seed, n_bars):
    world = random_market(np.random.default_rng(seed), n_bars, every_exit=True)
    table = world.tables.tables[0]
    for setting in range(len(world.exits)):
        kept = ~dropped(world, setting)
        columns = {field.name: getattr(table, field.name) for field in fields(table)}
        less = EventTable(**{n: None if c is None else c[kept] for n, c in columns.items()})
        others = world._replace(tables=Tables((less,), world.tables.senses))
        expected = trades_of(others, backend, setting)
        assert trades_of(world, backend, setting).tobytes() == expected.tobytes()


def test_random_settings_are_of_every_kind():
    """What the properties are worth: no part of a setting is left out by chance."""
    rng = np.random.default_rng(0)
    drawn = [random_exits(rng) for _ in range(40)]
    missing = {f.name for f in fields(ExitSettings)}
    for exits in drawn:
        missing -= {f.name for f in fields(exits) if getattr(exits, f.name) is not None}
    assert missing == set()


def test_random_rows_are_dropped_for_every_reason():
    reasons = np.zeros(4, int)
    for seed in range(30):
        world = random_market(np.random.default_rng(seed), 200, every_exit=True)
        for setting in range(len(world.exits)):
            share = dropped(world, setting).mean()
            reasons += [share == 0, 0 < share < 0.1, 0.1 <= share < 1, share == 1]
    assert (reasons[:3] > 5).all(), reasons


@pytest.mark.parametrize("side", [+1, -1])
def test_stops_move_in_random_markets(side):
    """A trade that a stop ended better than its first stop: break even or a trail moved it."""
    moved = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        world = moving(random_market(rng, 200, every_exit=True), rng)
        world = world._replace(risk=RiskLimits(1.0, None, None))
        for setting in range(len(world.exits)):
            trades = trades_of(world, "reference", setting)
            trades = trades[(trades["side"] == side) & (trades["reason"] == REASONS.index("stop"))]
            moved += np.count_nonzero(side * trades["exit"] > side * trades["stop"])
    assert moved > 50
