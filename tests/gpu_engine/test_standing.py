"""Where a combination stands after every candle is what the backtest of more candles does next."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import (
    REASONS,
    TRADE,
    Batch,
    ExitSettings,
    Tables,
    Window,
    compare_trades,
    engine,
)
from gpu_engine.standing import Combination, levels_of, standing_of
from support.backends import named
from support.backtest import FREE, NO_BREAKERS, Signal, make_candles, make_table
from support.random_market import only, random_market

GAP, TARGET_GAP, SIGNAL, STOP, TARGET, TIME, END, LIQUIDATION = range(len(REASONS))


def cut_table(table, bars):
    """The rows that are known when ``bars`` candles have closed, and of the exits what is known."""
    rows = table.at(table.signal_bar < bars)
    if rows.exit_signal_bar is None:
        return rows
    known = np.where(rows.exit_signal_bar < bars, rows.exit_signal_bar, -1)
    return replace(rows, exit_signal_bar=known.astype(np.int32))


def one_exit(exits, setting):
    columns = {name: column[setting : setting + 1] for name, column in exits.columns().items()}
    return type(exits)(**columns)


def case(seed, n_bars):
    """A random market with one combination of it, and a start."""
    rng = np.random.default_rng(seed)
    world = random_market(rng, n_bars, n_units=1, every_exit=True, row_share=0.8)
    unit = only(world.batch, 0)
    world = world._replace(
        tables=Tables((world.tables.tables[unit.table[0]],), world.tables.senses),
        exits=one_exit(world.exits, int(unit.first_exit[0])),
    )
    unit = replace(unit, table=np.zeros(1, np.int32), first_exit=np.zeros(1, np.int32))
    return world, unit, int(rng.integers(0, n_bars // 2))


def standing(world, unit, start, bars, before=None):
    """Where it stands after some of the candles, told nothing of the others."""
    funded = replace(world.candles, funding=world.costs.funding)
    candles = funded.cut(0, bars)
    table = cut_table(world.tables.tables[0], bars)
    combination = Combination(table, unit.thresholds[0], world.tables.senses, world.exits)
    if before is not None:
        table = table.at(table.signal_bar >= before.open_bar)
        combination = replace(combination, table=table)
    costs = replace(world.costs, funding=candles.funding)
    return standing_of(candles, combination, costs, world.risk, start, before)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_bars=st.integers(4, 60))
def test_every_candle_continues_as_the_backtest_does(seed, n_bars):
    world, unit, start = case(seed, n_bars)
    trades = engine.trades(world.load("reference"), unit, Window(start, n_bars))
    for bars in range(start + 1, n_bars + 1):
        now = standing(world, unit, start, bars)
        before = trades[(trades["exit_bar"] < bars) & (trades["reason"] != END)]
        assert compare_trades(before, now.trades) == []
        check_position(now, trades, bars)
        check_next(now, trades, bars, world)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_bars=st.integers(4, 60),
    looks=st.lists(st.integers(1, 60), min_size=1, max_size=8),
)
def test_it_goes_on_from_where_it_stood(seed, n_bars, looks):
    """After any earlier look the rows that were open then are enough for all that follows.

    Funding is left out: what it rounds to depends on the number of payments (`Funding.sums`).
    """
    world, unit, start = case(seed, n_bars)
    world = world._replace(costs=replace(world.costs, funding=None))
    before = None
    for bars in sorted({min(start + look, n_bars) for look in looks}):
        before = standing(world, unit, start, bars, before)
        whole = standing(world, unit, start, bars)
        np.testing.assert_equal(plain(before), plain(whole))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_bars=st.integers(8, 60))
def test_it_goes_on_with_funding_to_the_rounding_of_its_sums(seed, n_bars):
    world, unit, start = case(seed, n_bars)
    before = None
    for bars in range(start + 1, n_bars + 1):
        before = standing(world, unit, start, bars, before)
        whole = standing(world, unit, start, bars)
        assert compare_trades(whole.marks, before.marks) == []
        assert before.equity == pytest.approx(whole.equity, rel=1e-12)
        for name in ("position", "entries", "breaker", "blocked_until"):
            np.testing.assert_equal(plain(before).get(name), plain(whole).get(name))


def plain(now):
    """Its fields, whose NaN equals NaN."""
    values = asdict(now)
    return values | {name: values[name].tolist() for name in ("trades", "marks")}


def check_position(now, trades, bars):
    """It holds the trade that the backtest has open, as it was entered."""
    ends = (trades["exit_bar"] >= bars) | (trades["reason"] == END)
    held = trades[(trades["entry_bar"] < bars) & ends]
    if not len(held):
        assert now.position is None
        return
    (trade,) = held
    same = ("side", "setup_bar", "signal_bar", "entry_bar", "entry", "stop", "target")
    for name in same:
        np.testing.assert_equal(getattr(now.position, name), trade[name])
    assert now.entries == ()


def check_next(now, trades, bars, world):
    """At the next candle the backtest does what was said of it."""
    candles = world.candles
    if bars == len(candles):
        return
    opening = candles.open[bars]
    entered = trades[trades["entry_bar"] == bars]
    taken = [one for one in now.entries if one.low < opening < one.high]
    if candles.filled[bars]:
        assert not len(entered)
    elif len(entered):
        assert (taken[0].side, taken[0].setup_bar) == (entered[0]["side"], entered[0]["setup_bar"])
        assert now.breaker is None
    elif now.position is None:
        assert not taken
    for trade in trades[(trades["exit_bar"] == bars) & (trades["entry_bar"] < bars)]:
        reason, position = trade["reason"], now.position
        worse = 1.0 - trade["side"] * world.costs.slippage
        if reason == STOP:
            assert trade["exit"] == position.stop_in_force * worse
        if reason == SIGNAL:
            assert position.leaves_at_open
        if reason == TIME:
            assert position.last_bar == bars
        if position.leaves_at_open and not candles.filled[bars]:
            assert reason in (GAP, TARGET_GAP, SIGNAL, LIQUIDATION)


@pytest.mark.parametrize("bars", [1, 2])
def test_nothing_is_held_before_the_series_begins(bars):
    world, unit, _ = case(3, 10)
    now = standing(world, unit, bars, bars)
    assert (now.position, now.breaker, now.equity) == (None, None, 1.0)
    assert len(now.trades) == 0
    assert now.trades.dtype == TRADE


def test_a_breaker_says_until_when():
    """Two losses of two close the day; the next open of another day is free."""
    found = 0
    for seed in range(80):
        world, unit, start = case(seed, 60)
        risk = replace(world.risk, max_daily_loss=None, consecutive_losses_limit=1)
        world = world._replace(risk=risk)
        for bars in range(start + 1, 61):
            now = standing(world, unit, start, bars)
            if now.breaker is None:
                assert now.blocked_until is None
                continue
            found += 1
            day = 86_400_000
            following = world.candles.timestamp[bars - 1] + world.candles.step_ms
            assert now.breaker == "consecutive_losses_limit"
            assert now.entries == ()
            assert now.blocked_until == (now_day := following // day * day) + day > now_day
            assert world.candles.timestamp[now.trades[-1]["exit_bar"]] // day == now_day // day
    assert found > 20


def test_the_reference_is_what_it_follows():
    """Backtests on other backends agree with it, as with the reference (exits rules §5)."""
    world, unit, start = case(11, 60)
    now = standing(world, unit, start, 60)
    trades = engine.trades(world.load(named("numpy")), unit, Window(start, 60))
    closed = trades[trades["reason"] != END]
    assert compare_trades(closed, now.trades) == []


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_bars=st.integers(4, 60))
def test_the_levels_of_a_trade_are_those_that_ended_it(seed, n_bars):
    world, unit, _ = case(seed, n_bars)
    costs, risk = world.costs, world.risk
    table, exits = world.tables.tables[0], world.exits
    combination = Combination(table, unit.thresholds[0], world.tables.senses, exits)
    market = engine.load(world.candles, world.tables, exits, costs, risk, named("reference"))
    for trade in engine.trades(market, unit, Window(0, n_bars)):
        made = levels_of(world.candles, combination, costs, risk, trade)
        assert len(made.stop) == trade["exit_bar"] - trade["entry_bar"] + 1
        np.testing.assert_array_equal(made.stop[0], trade["stop"])
        np.testing.assert_array_equal(made.target, trade["target"])
        improved = trade["side"] * np.diff(made.stop)
        assert (improved[~np.isnan(improved)] >= 0.0).all()  # it never loosens
        if trade["reason"] == STOP and trade["exit_bar"] > trade["entry_bar"]:
            assert trade["exit"] == made.stop[-1] * (1.0 - trade["side"] * costs.slippage)


def test_a_trailing_stop_follows_the_best_price_of_the_bars_before():
    bars = [(10, 11, 9, 10), (10, 14, 10, 13), (13, 18, 13, 17), (17, 17, 15, 16), (16, 16, 9, 10)]
    candles = make_candles(bars)
    exits = ExitSettings(
        stop_distance=np.array([1.0]),
        trail_activation=np.array([1.0]),
        trail_distance=np.array([1.5]),
    )
    combination = Combination(make_table([Signal(0)]), np.empty(0), (), exits)
    tables = Tables((combination.table,), ())
    market = engine.load(candles, tables, exits, FREE, NO_BREAKERS, named("reference"))
    batch = Batch(np.zeros(1, np.int32), np.empty((1, 0)), np.zeros(1, np.int32), 1)
    (trade,) = engine.trades(market, batch, Window(0, 5))
    made = levels_of(candles, combination, FREE, NO_BREAKERS, trade)
    assert made.stop.tolist() == [8.0, 11.0, 15.0]  # entry 10, ATR 2: best price less 3
    assert (REASONS[trade["reason"]], trade["exit"]) == ("stop", 15.0)
    other = trade.copy()
    other["signal_bar"] = 1
    assert levels_of(candles, combination, FREE, NO_BREAKERS, other) is None
