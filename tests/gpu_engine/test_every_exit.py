"""Every backend against `reference` on random markets with every kind of exit, cost and level."""

import numpy as np
import pytest

from gpu_engine import Axis, Grid, ScoreRule, Window, engine, exhaustive
from support.backends import COMPILED, CUDA, CUDA_ON_HOST
from support.parity import assert_agrees
from support.random_exits import with_every_exit
from support.random_market import only, random_market


def drawn(seed, n_bars, **size):
    rng = np.random.default_rng(seed)
    return with_every_exit(rng, random_market(rng, n_bars, **size))


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", range(40))
def test_short_histories(backend, seed):
    assert_agrees(drawn(seed, 1 + seed % 37 * 2), backend)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", range(6))
def test_long_histories(backend, seed):
    assert assert_agrees(drawn(seed, 500, n_tables=3, n_units=8), backend) > 50


@pytest.mark.slow
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", range(200, 260))
def test_long_histories_in_depth(backend, seed):
    assert_agrees(drawn(seed, 1_000, n_tables=3, n_units=12), backend)


def test_every_reason_and_dropped_rows_are_reached():
    """What the parity above is worth: no rule is left out by chance."""
    reasons, rows = set(), []
    for seed in range(12):
        world = drawn(seed, 300)
        market = world.load("numba")
        for i in range(len(world.batch)):
            trades = engine.trades(market, only(world.batch, i), Window(0, 300))
            reasons |= set(trades["reason"].tolist())
            rows.append(len(trades))
    assert reasons == set(range(7))
    assert sum(rows) > 500


@pytest.mark.parametrize("backend", ["numpy", CUDA_ON_HOST, CUDA])
@pytest.mark.parametrize("n_settings", [1, 16, 17, 40])
def test_grids_of_any_number_of_exit_settings(backend, n_settings):
    """Few settings share a warp among units; many fill warps of their own."""
    rng = np.random.default_rng(n_settings)
    world = with_every_exit(rng, random_market(rng, 400, n_tables=3), n_settings)
    grid = Grid(
        (
            Axis("threshold", np.array([0.0, 2.0]), 0),
            Axis("exit", np.arange(float(n_settings))),
            Axis("structural", np.arange(3.0)),
            Axis("threshold", np.array([1.0, 2.0, np.inf]), 1),
        )
    )
    windows = (Window(0, 400), Window(37, 301), Window(390, 391))
    for objective in ("net_profit", "sharpe_ratio", "profit_factor", "win_rate"):
        rule = ScoreRule(objective, 1)
        actual, expected = (
            exhaustive.score(world.load(b), grid, windows, rule, lambda n: None)
            for b in (backend, "numba")
        )
        np.testing.assert_array_equal(actual, expected)
