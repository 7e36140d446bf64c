"""Every backend against `reference` on random markets: same trades, same metrics."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import engine, numba_backend, numpy_backend
from gpu_engine.records import Window
from support.agreement import assert_same_metrics, assert_same_trades
from support.backends import ALL, COMPILED
from support.random_market import only, random_market

seeds = st.integers(0, 2**32 - 1)


def assert_agrees(world, backend):
    """Metrics and daily returns of the whole batch; trades of every combination; return trades."""
    expected, actual = world.load("reference"), world.load(backend)
    assert_same_metrics(
        engine.evaluate(actual, world.batch, world.windows),
        engine.evaluate(expected, world.batch, world.windows),
    )
    n_trades = 0
    for window in world.windows:
        daily = engine.daily_returns(actual, world.batch, window)
        of_reference = engine.daily_returns(expected, world.batch, window)
        assert daily.shape == of_reference.shape
        np.testing.assert_allclose(daily, of_reference, rtol=0, atol=1e-12)
        for i in range(len(world.batch)):
            trades = engine.trades(actual, only(world.batch, i), window)
            assert_same_trades(trades, engine.trades(expected, only(world.batch, i), window))
            n_trades += len(trades)
    return n_trades


@pytest.mark.parametrize("backend", COMPILED)
@settings(max_examples=60)
@given(seed=seeds, n_bars=st.integers(1, 60))
def test_short_histories(backend, seed, n_bars):
    assert_agrees(random_market(np.random.default_rng(seed), n_bars), backend)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", range(6))
def test_long_histories(backend, seed):
    world = random_market(np.random.default_rng(seed), 700, n_tables=4, n_units=8)
    assert assert_agrees(world, backend) > 300


@pytest.mark.slow
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", range(135, 147))
def test_long_histories_in_depth(backend, seed):
    rng = np.random.default_rng(seed)
    assert_agrees(random_market(rng, 2_000, n_tables=5, n_units=20, n_windows=4), backend)


def test_random_markets_reach_every_reason_and_ruin():
    """What the parity above is worth: nothing in the spec is left out by chance."""
    reasons, ruined, blocked = set(), 0, 0
    for seed in range(12):
        world = random_market(np.random.default_rng(seed), 400)
        market = world.load("numba")
        metrics = engine.evaluate(market, world.batch, world.windows)
        ruined += np.count_nonzero(metrics["net_profit"] <= -1)
        freed = world._replace(risk=type(world.risk)(1.0, None, None)).load("numba")
        blocked += np.count_nonzero(
            engine.evaluate(freed, world.batch, world.windows)["sample_size"]
            > metrics["sample_size"]
        )
        for i in range(len(world.batch)):
            reasons |= set(engine.trades(market, only(world.batch, i), world.windows[0])["reason"])
    assert reasons == set(range(6))
    assert ruined > 10
    assert blocked > 100


@settings(max_examples=40)
@given(seed=seeds, n_bars=st.integers(1, 80))
def test_days_compound_to_the_net_profit(seed, n_bars):
    world = random_market(np.random.default_rng(seed), n_bars)
    market = world.load("numba")
    for w, window in enumerate(world.windows):
        daily = engine.daily_returns(market, world.batch, window)
        metrics = engine.evaluate(market, world.batch, world.windows)[w]
        assert (metrics["n_days"] == daily.shape[1]).all()
        compound = np.prod(1.0 + daily, axis=1) - 1.0
        np.testing.assert_allclose(metrics["net_profit"], compound, rtol=1e-12, atol=1e-12)


@settings(max_examples=40)
@given(seed=seeds, n_bars=st.integers(2, 80))
def test_a_window_is_the_history_cut_there(seed, n_bars):
    """§8: what lies at or after a window's end changes nothing inside it."""
    world = random_market(np.random.default_rng(seed), n_bars)
    window = world.windows[0]
    short = world._replace(candles=world.candles.cut(0, window.end))
    whole, cut = (
        engine.evaluate(some.load("numba"), world.batch, [window]) for some in (world, short)
    )
    assert whole.tobytes() == cut.tobytes()


def answers(world, backend):
    """Everything a backend says, as bytes."""
    market = world.load(backend)
    daily = [engine.daily_returns(market, world.batch, window) for window in world.windows]
    parts = [engine.evaluate(market, world.batch, world.windows), *daily]
    return [part.tobytes() for part in parts]


@pytest.mark.parametrize("lanes", [1, 7, 64])
def test_numpy_does_not_depend_on_its_blocks(monkeypatch, lanes):
    world = random_market(np.random.default_rng(lanes), 300, n_units=20)
    expected = answers(world, "numpy")
    monkeypatch.setattr(numpy_backend, "LANES_PER_BLOCK", lanes)
    assert answers(world, "numpy") == expected


def test_numba_does_not_depend_on_its_threads():
    world = random_market(np.random.default_rng(3), 300, n_units=20)
    try:
        numba_backend.set_threads(1)
        assert numba.get_num_threads() == 1
        alone = answers(world, "numba")
    finally:
        numba_backend.set_threads(None)
    assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    assert answers(world, "numba") == alone


def test_more_threads_than_cores_are_all_cores():
    numba_backend.set_threads(10_000)
    assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS


@pytest.mark.parametrize("backend", ALL)
def test_a_batch_is_its_combinations(backend):
    """No state leaks from one combination, window or call to the next."""
    world = random_market(np.random.default_rng(11), 200)
    market = world.load(backend)
    together = engine.evaluate(market, world.batch, world.windows)
    for w, window in enumerate(world.windows):
        for i in range(len(world.batch)):
            alone = engine.evaluate(market, only(world.batch, i), [window])
            assert alone[0, 0].tobytes() == together[w, i].tobytes()


def test_units_may_share_exits_or_not():
    """The grid's way (one unit, all exits) and single points say the same, in the same order."""
    world = random_market(np.random.default_rng(2), 300)
    market = world.load("numba")
    points = [only(world.batch, i) for i in range(len(world.batch))]
    single = type(world.batch)(
        np.concatenate([p.table for p in points]),
        np.concatenate([p.thresholds for p in points]),
        np.concatenate([p.first_exit for p in points]),
        1,
    )
    windows = [Window(0, 300)]
    shared = engine.evaluate(market, world.batch, windows)
    assert world.batch.exits_per_unit > 1
    assert engine.evaluate(market, single, windows).tobytes() == shared.tobytes()
