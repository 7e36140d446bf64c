"""One contract for all methods that ask for points, on discrete and continuous spaces."""

import importlib.util
import math

import numpy as np
import pytest
from optuna.samplers._tpe import _truncnorm

from pipeline.search import random
from pipeline.search.bayesian import BayesianSearch
from pipeline.search.random import RandomSearch
from support.parameters import DEPTH, LOOKBACK, REJECTION, SPREAD, STOP, TARGET
from support.spaces import small_space

BUDGET, BATCH = 25, 10

GRIDS = {
    DEPTH: (0.001, 0.004, 0.009),
    REJECTION: (1, 2, 5),
    LOOKBACK: (20, 50, 100),
    STOP: (0.5, 1.0),
    SPREAD: (None, 5.0),
}
RANGES = {
    DEPTH: (0.001, 0.01),
    REJECTION: (1, 5),
    LOOKBACK: (20, 200),
    STOP: (0.5, 2.0),
}


def make_random(space, budget, seed):
    return RandomSearch(space, budget, np.random.SeedSequence([seed]))


def make_bayesian(space, budget, seed):
    return BayesianSearch(space, budget, BATCH, np.random.SeedSequence([seed]))


@pytest.fixture(params=[make_random, make_bayesian], ids=["random", "bayesian"])
def make(request):
    return request.param


@pytest.fixture(params=["discrete", "continuous"])
def space(request):
    if request.param == "discrete":
        return small_space(**GRIDS)
    spread = {SPREAD: (None, 5.0)}
    return small_space(continuous=True, ranges=RANGES, **spread)


def fine(points):
    """More is better, smoothly."""
    return points[:, 0] * 100 - np.abs(points[:, 5] - 1.0)


def drive(method, score=fine):
    """Ask and tell until the budget is spent; every batch that was asked."""
    batches = []
    while len(points := method.ask()):
        method.tell(points, score(points))
        batches.append(points)
    return batches


def asked(method, score=fine):
    return np.concatenate(drive(method, score))


def test_budget_is_spent_exactly(make, space):
    method = make(space, BUDGET, 0)
    assert asked(method).shape == (BUDGET, 9)
    assert len(method.ask()) == 0


def test_same_seed_same_points(make, space):
    np.testing.assert_array_equal(asked(make(space, BUDGET, 3)), asked(make(space, BUDGET, 3)))


def test_another_seed_other_points(make, space):
    assert not np.array_equal(asked(make(space, BUDGET, 3)), asked(make(space, BUDGET, 4)))


def test_no_point_is_asked_twice(make, space):
    assert len(np.unique(asked(make(space, BUDGET, 0)), axis=0)) == BUDGET


def test_no_point_is_asked_twice_when_the_space_is_nearly_spent(make):
    space = small_space(**GRIDS)
    points = asked(make(space, space.size - 1, 0))
    assert space.size == 108
    assert len(np.unique(points, axis=0)) == 107


def test_points_lie_in_the_space(make, space):
    points = asked(make(space, BUDGET, 1))
    for dimension, column in zip(space.dimensions, points.T, strict=True):
        if dimension.choices is None:
            assert dimension.low <= column.min() <= column.max() <= dimension.high
        else:
            assert np.isin(column, dimension.choices).all()


def test_integers_are_whole_and_vary(make, space):
    points = asked(make(space, BUDGET, 1))
    for name in (REJECTION, LOOKBACK):
        column = points[:, [d.parameter.name for d in space.dimensions].index(name)]
        np.testing.assert_array_equal(column, np.rint(column))
        assert len(np.unique(column)) >= 3


SCORES = {
    "all NaN": lambda points: np.full(len(points), math.nan),
    "some NaN": lambda points: np.where(points[:, 0] > 0.003, fine(points), math.nan),
    "all inf": lambda points: np.full(len(points), math.inf),
    "some inf": lambda points: np.where(points[:, 0] > 0.003, math.inf, fine(points)),
    "inf and NaN": lambda points: np.where(points[:, 0] > 0.003, math.inf, math.nan),
    "all equal": lambda points: np.zeros(len(points)),
}


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES.keys())
def test_any_score_can_be_told(make, space, score):
    points = asked(make(space, 40, 0), score)
    assert len(np.unique(points, axis=0)) == 40
    np.testing.assert_array_equal(points, asked(make(space, 40, 0), score))


def test_random_on_a_grid_draws_without_replacement_until_all_are_drawn():
    space = small_space(**GRIDS)
    points = asked(make_random(space, 10 * space.size, 0))
    everything = space.points(np.arange(space.size))
    np.testing.assert_array_equal(np.unique(points, axis=0), np.unique(everything, axis=0))
    assert len(points) == space.size


def test_random_asks_in_batches(monkeypatch):
    monkeypatch.setattr(random, "BATCH", 10)
    assert [len(b) for b in drive(make_random(small_space(**GRIDS), 25, 0))] == [10, 10, 5]


def test_random_does_not_depend_on_scores_but_bayesian_does(space):
    def worse(points):
        return -fine(points)

    for make, alike in ((make_random, True), (make_bayesian, False)):
        points = asked(make(space, 40, 0)), asked(make(space, 40, 0), worse)
        assert np.array_equal(*points) is alike


def test_bayesian_asks_a_batch_before_it_hears_a_score():
    assert [len(b) for b in drive(make_bayesian(small_space(**GRIDS), 25, 0))] == [10, 10, 5]


@pytest.fixture
def optunas_own():
    """Optuna's module of the normal distribution as it is without this project."""
    spec = importlib.util.spec_from_file_location("truncnorm", _truncnorm.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_normal_distribution_is_optunas(optunas_own):
    rng = np.random.default_rng(0)
    at = np.sort(rng.normal(0.0, 8.0, (2, 20_000)), axis=0)
    some = np.concatenate(
        (at, [[-40.0, -1e-3, 0.0, 1e-3, 30.0], [-39.0, 1e-3, 1e-9, 2e-3, 45.0]]), 1
    )
    ours, theirs = (module._log_gauss_mass(*some) for module in (_truncnorm, optunas_own))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)
    for name in ("_ndtr", "_log_ndtr"):
        ours, theirs = (getattr(module, name)(some[0]) for module in (_truncnorm, optunas_own))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_bayesian_asks_what_optuna_alone_asks(space, optunas_own, monkeypatch, seed):
    def score(points):
        scores = np.sin(37 * np.nan_to_num(points, posinf=7.0, neginf=-3.0)).sum(axis=1)
        return np.where(scores < -2.0, math.nan, scores)

    points = asked(make_bayesian(space, 80, seed), score)
    for name in ("_ndtr", "_log_ndtr", "_log_gauss_mass"):
        monkeypatch.setattr(_truncnorm, name, getattr(optunas_own, name))
    expected = asked(make_bayesian(space, 80, seed), score)
    if space.discrete:
        np.testing.assert_array_equal(points, expected)
    else:
        np.testing.assert_allclose(points, expected, rtol=1e-9)


def test_bayesian_finds_more_than_random():
    ranges = {DEPTH: (0.0, 1.0), STOP: (0.5, 2.0), TARGET: (1.5, 4)}
    space = small_space(continuous=True, ranges=ranges)

    def bump(points):
        return -((points[:, 0] - 0.7) ** 2) - (points[:, 5] - 1.2) ** 2 - (points[:, 6] - 2) ** 2

    found = {
        make: np.median([bump(asked(make(space, 100, seed), bump)).max() for seed in range(3)])
        for make in (make_random, make_bayesian)
    }
    assert found[make_bayesian] > found[make_random]
