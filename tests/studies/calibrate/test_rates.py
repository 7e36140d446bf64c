"""Intervals and false discoveries against published and exact values."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from scipy.stats import binom

from pipeline.studies.calibrate.rates import Rate, clopper_pearson, false_discovery_rate


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(20, 400, 0.031, 0.076), (50, 1000, 0.037, 0.065), (0, 400, 0.0, 0.009), (25, 25, 0.863, 1.0)],
)
def test_clopper_pearson(count, total, low, high):
    assert clopper_pearson(count, total) == pytest.approx((low, high), abs=5e-4)


def test_no_cases_leave_all_open():
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert Rate(0, 0).share is None


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_each_end_leaves_a_fortieth(counts):
    count, total = counts
    low, high = clopper_pearson(count, total)
    assert low <= count / total <= high
    if count:
        assert binom.sf(count - 1, total, low) == pytest.approx(0.025)
    if count < total:
        assert binom.cdf(count, total, high) == pytest.approx(0.025)


def test_false_discoveries_as_published():
    """Size 5 %, power 1 - 0.315 and 5 % true strategies (Lopez de Prado et al. 2025): 0.581."""
    assert false_discovery_rate(0.05, 0.05, 1 - 0.315) == pytest.approx(0.58104, abs=1e-5)


def test_no_false_discovery_where_nothing_is_found():
    assert false_discovery_rate(0.1, 0.0, 0.0) is None
    assert false_discovery_rate(0.1, 0.0, 0.5) == 0.0
    assert false_discovery_rate(0.1, 0.05, 0.0) == 1.0
