"""Every backend against `reference` on random markets: same trades, same metrics.

NumPy, Numba and pytest are enough, so that this runs on a GPU host; `test_engine_properties.py`
looks for the market that breaks the rule.
"""

import numba
import numpy as np
import pytest

from gpu_engine import (
    METRICS,
    REASONS,
    Window,
    engine,
    numba_backend,
    numpy_backend,
    numpy_outcomes,
    numpy_walk,
)
from support.backends import ALL, COMPILED
from support.parity import assert_agrees
from support.random_market import only, random_market


def seeds(quick, every):
    """Seeds below ``every``; those from ``quick`` on are a longer repeat, and slow."""
    return [
        seed if seed < quick else pytest.param(seed, marks=pytest.mark.slow)
        for seed in range(every)
    ]


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", seeds(8, 30))
def test_short_histories(backend, seed):
    rng = np.random.default_rng(seed)
    assert_agrees(random_market(rng, int(rng.integers(1, 61))), backend)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", seeds(12, 60))
def test_short_histories_with_every_exit(backend, seed):
    rng = np.random.default_rng(seed)
    assert_agrees(random_market(rng, int(rng.integers(1, 61)), every_exit=True), backend)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("name", METRICS.names)
def test_a_metric_asked_for_alone_is_the_same(backend, name):
    world = random_market(np.random.default_rng(11), 300, every_exit=True)
    market = world.load(backend)
    alone = engine.evaluate(market, world.batch, world.windows, (name,))
    assert alone.dtype.names == (name,)
    every = engine.evaluate(market, world.batch, world.windows)
    np.testing.assert_array_equal(alone[name], every[name])


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", seeds(2, 6))
def test_long_histories(backend, seed):
    world = random_market(np.random.default_rng(seed), 700, n_tables=4, n_units=12)
    assert assert_agrees(world, backend) > 300


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", seeds(2, 6))
def test_long_histories_with_every_exit(backend, seed):
    rng = np.random.default_rng(seed)
    world = random_market(rng, 700, n_tables=4, n_units=16, every_exit=True)
    assert assert_agrees(world, backend) > 300


@pytest.mark.slow
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", range(135, 147))
def test_long_histories_in_depth(backend, seed):
    rng = np.random.default_rng(seed)
    assert_agrees(random_market(rng, 2_000, n_tables=5, n_units=20, n_windows=4), backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", range(147, 159))
def test_long_histories_with_every_exit_in_depth(backend, seed):
    rng = np.random.default_rng(seed)
    world = random_market(rng, 2_000, n_tables=5, n_units=20, n_windows=4, every_exit=True)
    assert_agrees(world, backend)


def test_random_markets_reach_every_reason_and_ruin():
    """What the parity above is worth: no rule is left out by chance."""
    reasons, ruined, blocked = set(), 0, 0
    for seed in range(24):
        world = random_market(np.random.default_rng(seed), 400, every_exit=True)
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
    assert reasons == set(range(len(REASONS)))
    assert ruined > 10
    assert blocked > 100


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
    monkeypatch.setattr(numpy_walk, "LANES_PER_BLOCK", lanes)
    monkeypatch.setattr(numpy_backend, "CELLS_PER_PART", lanes)
    monkeypatch.setattr(numpy_backend, "POSITIONS_PER_BLOCK", lanes)
    monkeypatch.setattr(numpy_outcomes, "POSITIONS_PER_BLOCK", lanes)
    monkeypatch.setattr(numpy_outcomes, "SCAN", lanes)
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
