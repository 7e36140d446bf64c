"""The Sharpe ratio's test against published numbers and scipy (validation rules §3)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.validation.statistics import (
    SharpeTest,
    moments,
    probabilistic_sharpe_ratio,
    sharpe_test,
)

MONTHLY = 1.585 / math.sqrt(12)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # Bailey & Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier: the hedge fund
        # example, with its moments and with those of a normal distribution.
        ((MONTHLY, 24, -2.448, 10.164), 0.9132343069),
        ((MONTHLY, 24, 0.0, 3.0), 0.9815912361),
        # A benchmark other than 0 (the test of an early mlfinlab).
        ((1.14, 250, 0.0, 3.0, 1.0), 0.9572778803),
        # Kurtosis is not excess: 7.164 is what a library that subtracts 3 would make of 10.164.
        ((0.456, 24, -2.448, 10.164), 0.9127957),
        ((0.456, 24, -2.448, 7.164), 0.9193872),
    ],
)
def test_probabilistic_sharpe_ratio_reference(arguments, expected):
    assert probabilistic_sharpe_ratio(*arguments) == pytest.approx(expected, rel=1e-7)


def test_probabilistic_sharpe_ratio_is_half_at_its_benchmark():
    assert probabilistic_sharpe_ratio(0.1, 100, -1.0, 8.0, benchmark=0.1) == 0.5


@pytest.mark.parametrize(
    "arguments", [(0.1, 1, 0.0, 3.0), (0.1, 0, 0.0, 3.0), (2.0, 100, 2.0, 1.0)]
)
def test_probabilistic_sharpe_ratio_undefined(arguments):
    assert math.isnan(probabilistic_sharpe_ratio(*arguments))


DAILY = st.integers(0, 10_000).map(
    lambda seed: (
        (rng := np.random.default_rng(seed)).standard_t(4, 120) * 0.01 + rng.normal(0, 0.002)
    )
)


@given(DAILY)
def test_moments_are_those_of_scipy(daily):
    sharpe, skew, kurtosis = moments(daily)
    assert sharpe == pytest.approx(daily.mean() / daily.std(ddof=1), rel=1e-12)
    assert skew == pytest.approx(stats.skew(daily), rel=1e-9)
    assert kurtosis == pytest.approx(stats.kurtosis(daily, fisher=False), rel=1e-12)


@given(DAILY)
def test_p_value_is_one_minus_psr_of_the_population_moments(daily):
    sharpe = daily.mean() / daily.std(ddof=1)
    psr = probabilistic_sharpe_ratio(
        sharpe, len(daily), stats.skew(daily), stats.kurtosis(daily, fisher=False)
    )
    z, p = sharpe_test(daily)
    assert p == pytest.approx(1.0 - psr, rel=1e-9, abs=1e-14)
    assert p == pytest.approx(stats.norm.sf(z), rel=1e-12)


@given(DAILY, st.floats(0.01, 100))
def test_z_score_does_not_depend_on_the_size_of_the_bet(daily, scale):
    assert sharpe_test(scale * daily).z_score == pytest.approx(sharpe_test(daily).z_score, rel=1e-9)


@given(DAILY)
def test_p_of_the_opposite_series_is_the_complement(daily):
    assert sharpe_test(-daily).p_value == pytest.approx(1.0 - sharpe_test(daily).p_value)


def test_a_small_series_by_hand():
    # Mean 0.01, population variance 0.0002, ddof 1 variance 0.0003, skew 1/sqrt(2), kurtosis 1.5.
    daily = np.array([0.0, 0.0, 0.03])
    sharpe = 0.01 / math.sqrt(0.0003)
    spread = 1 - sharpe / math.sqrt(2) + 0.5 / 4 * sharpe**2
    z, p = sharpe_test(daily)
    assert z == pytest.approx(sharpe * math.sqrt(2) / math.sqrt(spread), rel=1e-12)
    assert p == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=1e-12)


@pytest.mark.parametrize(
    "daily", [[], [0.01], [0.0] * 30, [0.01] * 30], ids=["none", "one", "zeros", "constant"]
)
def test_undefined_without_variance_or_for_fewer_than_two_days(daily):
    assert sharpe_test(np.array(daily)) == SharpeTest(None, None)
    assert np.isnan(moments(np.array(daily))).all()


def test_tiny_p_values_do_not_underflow():
    daily = 0.01 + 0.005 * np.tile([1.0, -1.0], 150)  # Sharpe 2 a day
    z, p = sharpe_test(daily)
    assert 30 < z < 37
    assert 0.0 < p < 1e-200  # 1 - Φ(z) is 0 from z = 8.3 on
