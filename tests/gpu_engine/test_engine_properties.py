"""Properties of every random market; hypothesis looks for one that breaks them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import engine
from support.backends import COMPILED
from support.parity import assert_agrees
from support.random_market import random_market

seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(1, 60)


@pytest.mark.parametrize("backend", COMPILED)
@settings(max_examples=20)
@given(seed=seeds, n_bars=lengths)
def test_no_short_history_breaks_parity(backend, seed, n_bars):
    assert_agrees(random_market(np.random.default_rng(seed), n_bars), backend)


@pytest.mark.parametrize("backend", COMPILED)
@settings(max_examples=40)
@given(seed=seeds, n_bars=lengths)
def test_no_short_history_with_every_exit_breaks_parity(backend, seed, n_bars):
    world = random_market(np.random.default_rng(seed), n_bars, every_exit=True)
    assert_agrees(world, backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("every_exit", [False, True])
@settings(max_examples=400)
@given(seed=seeds, n_bars=lengths)
def test_no_short_history_breaks_parity_in_depth(backend, every_exit, seed, n_bars):
    world = random_market(np.random.default_rng(seed), n_bars, every_exit=every_exit)
    assert_agrees(world, backend)


@settings(max_examples=40)
@given(seed=seeds, n_bars=st.integers(1, 80))
def test_days_compound_to_the_net_profit(seed, n_bars):
    world = random_market(np.random.default_rng(seed), n_bars, every_exit=True)
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
    """fills rules §8: what lies at or after a window's end changes nothing inside it."""
    world = random_market(np.random.default_rng(seed), n_bars, every_exit=True)
    window = world.windows[0]
    short = world._replace(candles=world.candles.cut(0, window.end))
    whole, cut = (
        engine.evaluate(some.load("numba"), world.batch, [window]) for some in (world, short)
    )
    assert whole.tobytes() == cut.tobytes()
