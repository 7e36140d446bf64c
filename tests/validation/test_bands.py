"""Value at risk and drawdown of paths without drift (validation rules §3)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.validation.bootstrap import Bands, zero_drift_bands


def generator(seed=0):
    return np.random.default_rng(seed)


def bands(daily, seed=0, **how):
    return zero_drift_bands(np.asarray(daily, float), generator(seed), **how)


def test_one_day_of_two_equally_likely_returns():
    assert bands([0.03, -0.01] * 50, horizon=1) == pytest.approx((0.02, 0.02), rel=1e-12)


def test_a_month_of_normal_returns():
    """The 5 % quantile of a log-normal month, 2 % a day."""
    deviation = 0.02 * np.sqrt(30)
    found = bands(generator(1).normal(0.0, 0.02, 5000))
    expected = 1 - np.exp(-1.645 * deviation - deviation**2 / 2)
    assert found.value_at_risk == pytest.approx(expected, abs=0.006)


def test_drawdown_of_a_brownian_month():
    """95 % of the largest distance from the peak of a Brownian motion is 2.241 deviations."""
    daily = generator(2).normal(0.0, 1e-4, 20_000)
    found = bands(daily, horizon=2000, n_paths=4000)
    assert found.drawdown / (1e-4 * np.sqrt(2000)) == pytest.approx(2.241, rel=0.05)


@given(st.integers(0, 1000), st.floats(-0.02, 0.05))
def test_drift_is_taken_out(seed, drift):
    daily = generator(seed).standard_t(4, 90) * 0.01
    assert bands(daily + drift, n_paths=200) == pytest.approx(bands(daily, n_paths=200), abs=1e-9)


def test_losses_that_come_in_a_row_weigh_more():
    """The same days, sorted into calm weeks of gains and of losses."""
    daily = generator(3).normal(0.0, 0.02, 400)
    rows = np.sort(daily).reshape(40, 10)[generator(4).permutation(40)].ravel()
    assert bands(rows).value_at_risk > 1.5 * bands(daily).value_at_risk


@given(st.integers(0, 1000), st.floats(1.0, 3.0))
def test_larger_bets_risk_more(seed, factor):
    daily = generator(seed).standard_t(4, 60) * 0.005
    small, large = bands(daily, n_paths=200), bands(factor * daily, n_paths=200)
    assert small.value_at_risk <= large.value_at_risk <= 1.0
    assert small.drawdown <= large.drawdown <= 1.0
    assert small.value_at_risk <= small.drawdown


def test_the_same_seed_gives_the_same_bands():
    daily = generator(5).normal(0.0, 0.02, 100)
    assert bands(daily, seed=1) == bands(daily, seed=1)
    assert bands(daily, seed=1) != bands(daily, seed=2)


def test_no_loss_in_95_percent_of_the_paths_is_no_value_at_risk():
    """One bad day in a thousand: most months have none, and gain what it costs."""
    daily = np.full(1000, 0.001)
    daily[500] = -0.2
    assert bands(daily) == Bands(0.0, 0.0)


def test_nothing_is_left_after_ruin():
    assert bands([1.0, -1.0, 0.5] * 30).drawdown == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("daily", [[], [0.01], [0.0] * 50, [0.01] * 50])
def test_undefined_without_variance_or_for_fewer_than_two_days(daily):
    assert bands(daily) == Bands(None, None)
