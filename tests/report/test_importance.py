"""Main effects over a grid, against sums written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.report.importance import importance_of
from pipeline.results.artifacts.artifact_set import ScoreSurface
from pipeline.results.artifacts.drawn_trials import DrawnTrials

AXES = {"a": [1, 2], "b": [0.1, 0.2, 0.3], "c": [None, 5.0], "d": [7]}
SHAPE = (2, 3, 2, 1)


def surface(score, **metrics):
    made = {"score": score, **metrics}
    return ScoreSurface(AXES, {name: np.asarray(m, np.float32) for name, m in made.items()})


def test_an_additive_score_is_shared_out_whole():
    a, b = np.array([0.0, 3.0]), np.array([0.0, 1.0, 2.0])
    score = (a[:, None] + b)[:, :, None, None] + np.zeros(SHAPE)
    found = importance_of(surface(score))
    parts = {"a": a.var(), "b": b.var(), "c": 0.0}
    total = sum(parts.values())
    assert found.shares == pytest.approx({name: part / total for name, part in parts.items()})
    assert "0 % more" in found.told[1]


def test_what_two_do_together_is_of_neither():
    score = np.zeros(SHAPE)
    score[0, :, 0], score[1, :, 1] = 1.0, 1.0  # a and c agree, or they do not
    assert importance_of(surface(score)).shares == pytest.approx({"a": 0.0, "b": 0.0, "c": 0.0})


@given(arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, 1.0, 2.5, -3.0, np.nan, np.inf])))
def test_it_is_the_correlation_ratio_of_what_is_known(score):
    found = importance_of(surface(score))
    known = np.isfinite(score)
    values = score[known].astype(float)
    if not len(values) or values.var() == 0.0:
        assert found is None
        return
    places = np.argwhere(known)
    for axis, name in enumerate("abc"):
        groups = [values[places[:, axis] == i] for i in range(SHAPE[axis])]
        between = sum(len(g) * (g.mean() - values.mean()) ** 2 for g in groups if len(g))
        assert found.shares[name] == pytest.approx(between / (values.var() * len(values)), abs=1e-5)
    assert "d" not in found.shares


def test_another_metric_counts_where_the_score_is_admissible():
    score, trades = np.zeros(SHAPE), np.zeros(SHAPE)
    score[0, 0] = np.nan
    trades[0, 0], trades[1] = 1000.0, 1.0
    found = importance_of(surface(score, sample_size=trades), "sample_size")
    assert found.shares["a"] == pytest.approx(1.0)
    assert "2 of 12 combinations" in found.told[1]


def test_of_a_draw_the_parameter_that_decides_is_found():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 5, 400).astype(float), rng.uniform(0.0, 1.0, 400)
    trials = DrawnTrials({"a": a, "b": b}, {"score": a + 0.01 * b, "max_drawdown": b})
    found = importance_of(trials)
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.shares["a"] > 0.8
    assert importance_of(trials) == found
    assert importance_of(trials, "max_drawdown").shares["b"] > 0.8


def test_a_draw_that_is_too_small_has_none():
    few = np.arange(19.0)
    assert importance_of(DrawnTrials({"a": few, "b": few}, {"score": few})) is None
