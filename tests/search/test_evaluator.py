"""The evaluator: a grid streamed, points asked one by one, continuous points; all the same."""

import math
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import RiskLimits, Window, metrics_of, numba_backend
from pipeline.errors import UserError
from pipeline.search import evaluator as evaluators
from pipeline.search import space as spaces
from support.agreement import assert_same_metrics
from support.parameters import (
    DENSITY,
    DEPTH,
    LOOKBACK,
    REJECTION,
    SIZE,
    SPREAD,
    STOP,
    TARGET,
    VOLUME,
)
from support.spaces import assert_identical, coarse_market, small_space

N_BARS = 2000
WHOLE = Window(0, N_BARS)
WINDOWS = (WHOLE, Window(300, 900), Window(900, 1500))

GRIDS = {
    "exits fastest": {
        DEPTH: (0.001, 0.008),
        LOOKBACK: (20, 50, 100),
        STOP: (0.5, 1.0),
        TARGET: (1.5, 2.0, 3.0),
    },
    "density fastest": {
        SIZE: (0.25, 0.5),
        STOP: (0.5, 1.0, 2.0),
        TARGET: (1.5, 3.0),
        DENSITY: (0.0, 0.5, 0.75),
    },
    "density and spread fastest": {
        REJECTION: (1, 3),
        VOLUME: (1.0, 2.0),
        SIZE: (0.25, 0.75),
        TARGET: (1.5, 3.0),
        DENSITY: (0.0, 0.75),
        SPREAD: (None, 150.0),
    },
    "one combination": {},
}


def streamed(evaluator, windows):
    """The whole grid in the order of the indices, shape (W, size), and the order it came in."""
    indices, blocks = zip(*evaluator.stream(windows), strict=True)
    order = np.concatenate(indices)
    metrics = np.concatenate(blocks, axis=1)
    return metrics[:, np.argsort(order)], order


@pytest.mark.parametrize("grids", GRIDS.values(), ids=GRIDS.keys())
def test_grid_stream_is_every_index_once_and_equals_its_point(grids):
    space = small_space(**grids)
    evaluator = coarse_market(space, N_BARS)
    metrics, order = streamed(evaluator, WINDOWS)
    assert sorted(order.tolist()) == list(range(space.size))
    every_point = space.points(np.arange(space.size))
    assert_identical(metrics, evaluator.points(every_point, WINDOWS))
    # One by one, as a search with a batch of 1 would ask.
    alone = [evaluator.points(point[None], (WHOLE,))[0, 0] for point in every_point]
    assert_identical(metrics[0], np.array(alone))


def test_grid_of_the_test_trades_and_every_axis_matters():
    space = small_space(**GRIDS["density and spread fastest"])
    metrics, _ = streamed(coarse_market(space, N_BARS), (WHOLE,))
    trades = metrics["sample_size"].reshape(space.shape)
    profit = metrics["net_profit"].reshape(space.shape)
    assert trades.max() > 20
    for axis, size in enumerate(space.shape):
        if size > 1:
            assert np.abs(np.diff(profit, axis=axis)).max() > 1e-3, axis


@pytest.mark.parametrize("block", [1, 7, 24, 10**6])
def test_grid_does_not_depend_on_the_block(block):
    space = small_space(**GRIDS["density fastest"])
    expected, _ = streamed(coarse_market(space, N_BARS), WINDOWS)
    metrics, _ = streamed(coarse_market(space, N_BARS, block=block), WINDOWS)
    assert_identical(metrics, expected)


def test_windows_do_not_depend_on_their_company_or_order():
    space = small_space(**GRIDS["density fastest"])
    evaluator = coarse_market(space, N_BARS)
    together, _ = streamed(evaluator, WINDOWS)
    backwards, _ = streamed(evaluator, WINDOWS[::-1])
    assert_identical(backwards[::-1], together)
    for window, metrics in zip(WINDOWS, together, strict=True):
        assert_identical(streamed(evaluator, (window,))[0][0], metrics)


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_backends_answer_alike(backend):
    space = small_space(**GRIDS["density fastest"])
    expected, _ = streamed(coarse_market(space, N_BARS), WINDOWS)
    metrics, _ = streamed(coarse_market(space, N_BARS, backend=backend), WINDOWS)
    assert_same_metrics(metrics, expected)


RANGES = {
    DEPTH: (0.001, 0.01),
    LOOKBACK: (20, 100),
    SIZE: (0.25, 0.75),
    STOP: (0.5, 2.0),
    TARGET: (1.5, 3.0),
}


def test_continuous_points_equal_the_same_points_on_a_grid():
    discrete = small_space(**RANGES)
    continuous = small_space(continuous=True, ranges=RANGES)
    assert not continuous.discrete
    points = discrete.points(np.arange(discrete.size))[::-1]
    assert_identical(
        coarse_market(continuous, N_BARS).points(points, WINDOWS),
        coarse_market(discrete, N_BARS).points(points, WINDOWS),
    )


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_continuous_points_do_not_depend_on_their_company(seed):
    space = small_space(continuous=True, ranges=RANGES)
    evaluator = coarse_market(space, 600)
    rng = np.random.default_rng(seed)
    low, high = np.array([(d.low, d.high) for d in space.dimensions]).T
    high = np.where(np.isinf(high), low, high)
    with np.errstate(invalid="ignore"):  # off is an infinity, and stays one
        points = np.where(np.isinf(low), low, low + (high - low) * rng.random((6, len(low))))
    points[:, [1, 4]] = np.rint(points[:, [1, 4]])
    points[1::2, [3, 4]] = points[0, [3, 4]]  # some share a table
    together = evaluator.points(points, (Window(0, 600),))[0]
    alone = [evaluator.points(point[None], (Window(0, 600),))[0, 0] for point in points]
    assert_identical(together, np.array(alone))


@pytest.mark.parametrize("continuous", [False, True])
def test_daily_returns_and_trades_give_the_metrics(continuous):
    space = small_space(continuous=continuous, ranges=RANGES if continuous else None)
    risk = RiskLimits(position_fraction=0.5, max_daily_loss=0.05, consecutive_losses_limit=4)
    evaluator = coarse_market(space, N_BARS, risk=risk)
    point = small_space().points(np.zeros(1, np.int64))[0]
    for window in WINDOWS:
        trades = evaluator.trades(point, window)
        daily = evaluator.daily_returns(point, window)
        metrics = evaluator.points(point[None], (window,))[0, 0]
        assert metrics["sample_size"] == len(trades) >= 5
        assert math.isclose(np.prod(1.0 + daily) - 1.0, metrics["net_profit"], abs_tol=1e-12)
        assert_same_metrics(metrics, metrics_of(0.5 * trades["ret"], daily))


def test_no_points_no_metrics():
    for continuous in (False, True):
        space = small_space(continuous=continuous, ranges=RANGES if continuous else None)
        none = np.empty((0, len(space.dimensions)))
        assert coarse_market(space, 600).points(none, (Window(0, 600),)).shape == (1, 0)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("grids", GRIDS.values(), ids=GRIDS.keys())
def test_points_of_a_space_too_large_to_hold_are_those_of_the_whole(monkeypatch, grids, backend):
    space = small_space(**grids)
    whole = coarse_market(space, N_BARS, backend=backend)
    points = space.points(np.random.default_rng(0).permutation(space.size)[:7])
    expected, daily = whole.points(points, WINDOWS), whole.daily_of(points, WHOLE)
    trades = whole.trades(points[0], WHOLE)
    for module, bound in ((evaluators, "HELD_BYTES"), (spaces, "MOST_TABLES")):
        monkeypatch.setattr(module, bound, -1)
        small = coarse_market(space, N_BARS, backend=backend)
        assert_identical(small.points(points, WINDOWS), expected)
        assert np.array_equal(small.daily_of(points, WHOLE), daily)
        assert np.array_equal(small.trades(points[0], WHOLE), trades)
        assert "market" not in vars(small)
    assert "tables" not in vars(small)


def test_a_grid_that_memory_does_not_hold_is_refused_before_it_is_loaded(monkeypatch):
    space = small_space(**GRIDS["exits fastest"])
    evaluator = coarse_market(space, N_BARS)
    entries = len(evaluator.market.loaded.book.entries.bar)
    n_exits = evaluator.grid.n_exits
    assert 1 <= evaluator.outcome_bytes / (24 * n_exits * entries) < 1.1  # one or other is filled
    assert evaluator.whole_fits
    monkeypatch.setattr(evaluators, "HELD_BYTES", 0)
    for free, fits in ((evaluator.outcome_bytes, True), (evaluator.outcome_bytes - 1, False)):
        monkeypatch.setattr(
            psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free)
        )
        small = coarse_market(space, N_BARS)
        assert small.whole_fits, "no verdict depends on the memory that is free"
        assert (small.shortage is None) == fits
    with pytest.raises(
        UserError, match=rf"{n_exits} exit settings .* \({space.size} combin.*coarser range"
    ):
        next(small.stream(WINDOWS))
    assert "_exit_settings" not in vars(small)
    assert np.isfinite(small.points(space.points(np.arange(2)), WINDOWS)["net_profit"]).all()


def test_outcomes_computed_in_pieces_are_those_of_one_call(monkeypatch):
    space = small_space(**GRIDS["exits fastest"])
    outcomes = coarse_market(space, N_BARS).market.loaded.outcomes
    monkeypatch.setattr(numba_backend, "PIECE", 1)
    assert np.array_equal(coarse_market(space, N_BARS).market.loaded.outcomes, outcomes)
