"""How long a record must be: MinTRL and MinBTL."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.validation.statistics import (
    implied_trials,
    minimum_backtest_length,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)

NORMAL = (0.0, 3.0)
FUND = (-2.448, 10.164)
MONTHLY = 1.585 / math.sqrt(12)


@pytest.mark.parametrize(
    ("sharpe", "benchmark", "per_year", "moments", "years"),
    [
        # Bailey & Lopez de Prado (2012): annual Sharpe ratios seen daily, weekly and monthly.
        (2, 1, 250, NORMAL, 2.7311878),
        (2, 1, 52, NORMAL, 2.8288336),
        (2, 1, 12, (-0.72, 5.78), 4.9912582),
        (3, 2.5, 12, (-0.72, 5.78), 27.3529202),
    ],
)
def test_minimum_track_record_length_in_years(sharpe, benchmark, per_year, moments, years):
    scale = math.sqrt(per_year)
    found = minimum_track_record_length(sharpe / scale, *moments, benchmark / scale, 0.05)
    assert found / per_year == pytest.approx(years, rel=2e-8)


@pytest.mark.parametrize(
    ("sharpe", "moments", "benchmark", "expected", "digits"),
    [
        (MONTHLY, FUND, 0.0, 34.5971, 5e-5),
        (MONTHLY, NORMAL, 0.0, 15.2762, 5e-5),
        (1 / math.sqrt(365), NORMAL, 0.0, 989.9, 0.05),
        (2 / math.sqrt(365), NORMAL, 0.0, 249.2, 0.05),
        (3 / math.sqrt(365), NORMAL, 0.0, 112.1, 0.05),
        (1.14, NORMAL, 1.0, 228.734979, 5e-7),
    ],
)
def test_minimum_track_record_length_in_observations(sharpe, moments, benchmark, expected, digits):
    found = minimum_track_record_length(sharpe, *moments, benchmark, 0.05)
    assert found == pytest.approx(expected, abs=digits)


@given(st.floats(0.01, 0.5), st.floats(-1, 1), st.floats(3, 12), st.floats(0.001, 0.2))
def test_after_it_the_probability_is_one_minus_alpha(sharpe, skew, kurtosis, alpha):
    n = minimum_track_record_length(sharpe, skew, kurtosis, 0.0, alpha)
    assert probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis) == pytest.approx(1 - alpha)


@pytest.mark.parametrize("sharpe", [0.1, 0.05, -0.2])
def test_a_sharpe_ratio_not_above_the_benchmark_never_gets_there(sharpe):
    assert minimum_track_record_length(sharpe, *NORMAL, 0.1, 0.05) == math.inf


def test_impossible_moments_have_no_length():
    assert math.isnan(minimum_track_record_length(2.0, 2.0, 1.0, 0.0, 0.05))
    assert math.isnan(minimum_track_record_length(math.nan, *NORMAL, 0.0, 0.05))


def test_45_trials_need_five_years():
    """The published example: no more than 45 variants on 5 years of data."""
    assert minimum_backtest_length(45, 1.0) == pytest.approx(4.9980870, abs=5e-8)


def test_200000_trials_need_twenty_years():
    years = minimum_backtest_length(200_000, 1.0)
    assert years == pytest.approx(20.6, abs=0.05)
    assert years < 2 * math.log(200_000)
    assert 2 * math.log(200_000) == pytest.approx(24.4, abs=0.05)


@pytest.mark.parametrize(("years", "most"), [(1, 3), (2, 7), (5, 45)])
def test_most_trials_for_a_history(years, most):
    assert math.floor(implied_trials(math.sqrt(years))) == most


@given(st.floats(1.5, 1e9), st.floats(0.1, 5), st.floats(1.01, 3))
def test_longer_with_more_trials_and_shorter_for_a_higher_bar(n_trials, sharpe, factor):
    years = minimum_backtest_length(n_trials, sharpe)
    assert minimum_backtest_length(n_trials * factor, sharpe) > years
    assert minimum_backtest_length(n_trials, sharpe * factor) == pytest.approx(years / factor**2)


def test_some_trial_always_shows_a_sharpe_ratio_of_zero():
    assert minimum_backtest_length(10, 0.0) == math.inf
    assert minimum_backtest_length(10, -1.0) == math.inf
