"""Scores, their rounding, their order and their neighbourhoods (validation rules §2)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gpu_engine import METRICS, ScoreRule, round_significant, scores_of
from pipeline.search.ranking import best, plateau, stability

NAN, INF = math.nan, math.inf


def metrics(**columns):
    """Records of `METRICS` with 20 trades each unless given."""
    result = np.zeros(len(next(iter(columns.values()))), METRICS)
    result["sample_size"] = 20
    for name, values in columns.items():
        result[name] = values
    return result


def test_fewer_trades_than_the_minimum_are_inadmissible():
    given_metrics = metrics(net_profit=[0.5, 0.1, 0.2], sample_size=[9, 10, 11])
    scores = scores_of(given_metrics, ScoreRule("net_profit", 10))
    np.testing.assert_array_equal(scores, [NAN, 0.1, 0.2])
    assert best(scores) == 2


def test_max_drawdown_is_minimised():
    scores = scores_of(metrics(max_drawdown=[0.3, 0.1, 0.2]), ScoreRule("max_drawdown", 10))
    np.testing.assert_array_equal(scores, [-0.3, -0.1, -0.2])
    assert best(scores) == 1


@pytest.mark.parametrize("objective", ["sortino_ratio", "calmar_ratio", "profit_factor"])
def test_where_nothing_was_lost_a_profit_is_best_and_anything_else_is_nothing(objective):
    """Validation rules §2.2: all three are undefined there, and rank alike."""
    given_metrics = metrics(
        **{objective: [3.0, NAN, NAN, NAN, -1.0]}, net_profit=[0.5, 0.1, 0.0, -0.1, -0.2]
    )
    scores = scores_of(given_metrics, ScoreRule(objective, 10))
    np.testing.assert_array_equal(scores, [3.0, INF, 0.0, 0.0, -1.0])
    assert best(scores) == 1


def test_shape_of_the_scores_is_that_of_the_metrics():
    table = metrics(net_profit=[1.0, 2.0, 3.0, 4.0]).reshape(2, 2)
    np.testing.assert_array_equal(
        scores_of(table, ScoreRule("net_profit", 1)), [[1.0, 2.0], [3.0, 4.0]]
    )


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (0.1234567890123456, 0.123456789012),
        (123456.7890123456, 123456.789012),
        (-9.99999999999951e-7, -1e-6),
        (1e300, 1e300),
        (0.0, 0.0),
        (INF, INF),
        (-INF, -INF),
        (NAN, NAN),
    ],
)
def test_twelve_significant_digits(value, rounded):
    np.testing.assert_array_equal(round_significant(np.array([value])), [rounded])


@given(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-9))
def test_rounding_stays_within_half_a_unit_of_the_twelfth_digit(value):
    rounded = float(round_significant(np.array([value]))[0])
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 11)
    assert abs(rounded - value) <= 0.5000001 * unit
    assert float(f"{rounded:.12g}") == pytest.approx(rounded, rel=1e-15)


def test_backends_that_differ_in_the_last_bits_rank_alike():
    scores = np.array([0.1 + 0.2, 0.3])  # 0.30000000000000004, 0.3
    assert best(scores) == 0
    assert best(round_significant(scores[::-1].copy())) == 0


def test_ties_go_to_the_first():
    assert best(np.array([1.0, 3.0, 3.0, 2.0])) == 1
    assert best(np.array([INF, INF])) == 0
    assert best(np.array([-INF, -INF])) == 0


def test_nan_never_ranks():
    assert best(np.array([NAN, -5.0, NAN])) == 1
    assert best(np.array([NAN, -INF])) == 1
    assert best(np.array([NAN, NAN])) is None
    assert best(np.array([])) is None


def test_plateau_of_a_line_by_hand():
    # One step each way; the ends have one neighbour; NaN neighbours do not count.
    scores = np.array([1.0, 2.0, 6.0, NAN, 4.0])
    np.testing.assert_allclose(plateau(scores, (5,)), [1.5, 3.0, 4.0, NAN, 4.0], rtol=1e-12)


def test_plateau_prefers_a_neighbourhood_to_a_needle():
    scores = np.array([9.0, -9.0, 4.0, 5.0, 4.0])
    assert best(scores) == 0
    assert best(plateau(scores, (5,))) == 4  # (5 + 4) / 2


def plain_plateau(scores, shape):
    """Mean over each combination and its admissible axis neighbours, one at a time."""
    grid = scores.reshape(shape)
    result = np.full(shape, np.nan)
    for at in np.ndindex(shape):
        if np.isnan(grid[at]):
            continue
        some = [grid[at]]
        for axis in range(len(shape)):
            for step in (-1, 1):
                near = list(at)
                near[axis] += step
                if 0 <= near[axis] < shape[axis] and not np.isnan(grid[tuple(near)]):
                    some.append(grid[tuple(near)])
        result[at] = sum(some) / len(some)
    return result.ravel()


SCORES = st.floats(-10, 10, width=32, allow_subnormal=False) | st.just(NAN)
SHAPES = npst.array_shapes(min_dims=1, max_dims=4, max_side=4)
GRIDS = SHAPES.flatmap(
    lambda shape: npst.arrays(np.float64, shape, elements=SCORES, fill=st.nothing())
)


@given(GRIDS)
def test_plateau_is_the_plain_loop(grid):
    fast = plateau(grid.ravel(), grid.shape)
    np.testing.assert_allclose(fast, plain_plateau(grid.ravel(), grid.shape), 1e-11, 1e-11)


def plain_stability(grid, at):
    neighbours = []
    for axis in range(grid.ndim):
        for step in (-1, 1):
            near = list(at)
            near[axis] += step
            if 0 <= near[axis] < grid.shape[axis]:
                neighbours.append(grid[tuple(near)])
    known = [score for score in neighbours if not math.isnan(score)]
    return sum(score > 0 for score in known) / len(known) if known else None


@given(GRIDS, st.data())
def test_stability_is_the_share_of_admissible_neighbours_above_zero(grid, data):
    winner = data.draw(st.integers(0, grid.size - 1))
    expected = plain_stability(grid, np.unravel_index(winner, grid.shape))
    assert stability(grid.ravel(), grid.shape, winner) == expected


def test_stability_by_hand():
    scores = np.array([[1.0, -1.0, NAN], [2.0, 5.0, 3.0], [NAN, 0.0, 1.0]])
    assert stability(scores.ravel(), (3, 3), 4) == 0.5  # 2, 3 positive; -1, 0 not
    assert stability(scores.ravel(), (3, 3), 0) == 0.5  # -1 and 2
    assert stability(np.array([1.0]), (1,), 0) is None
    assert stability(np.array([1.0, NAN]), (2,), 0) is None


def test_an_infinite_score_does_not_lift_its_neighbours():
    scores = np.array([1.0, np.inf, np.nan, 5.0, 9.0])
    np.testing.assert_array_equal(plateau(scores, (5,)), [1.0, np.inf, np.nan, 7.0, 7.0])
    assert best(plateau(scores, (5,))) == 1
