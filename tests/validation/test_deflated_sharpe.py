"""Expected maximum and deflated Sharpe ratio against published numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from pipeline.validation.statistics import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    implied_trials,
    probabilistic_sharpe_ratio,
)

EXPECTED = {
    10: 1.574598,
    45: 2.235640,
    100: 2.530603,
    1_000: 3.255122,
    10_000: 3.860665,
    200_000: 4.539299,
    1_000_000: 4.867860,
}

#: Bailey & Lopez de Prado (2014), the numerical example: an annual Sharpe ratio of 2.5 over 1,250
#: days of 250 a year, a variance of 0.5 among the trials' annual ones, skew -3, kurtosis 10.
SHARPE, DAYS, VARIANCE = 2.5 / math.sqrt(250), 1250, 0.5 / 250


@pytest.mark.parametrize(("n_trials", "expected"), EXPECTED.items())
def test_expected_maximum_reference(n_trials, expected):
    assert expected_maximum_sharpe(n_trials) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(
    ("n_trials", "exact"),
    [
        (10, 1.538753),
        (45, 2.207720),
        (100, 2.507594),
        (1_000, 3.241436),
        (10_000, 3.851616),
        (200_000, 4.533331),
        (1_000_000, 4.862897),
    ],
)
def test_expected_maximum_is_a_little_above_the_exact_integral(n_trials, exact):
    """Of the largest of N standard normals: the integral of 1 - Φᴺ above 0, less Φᴺ below."""
    above, _ = integrate.quad(lambda x: -math.expm1(n_trials * stats.norm.logcdf(x)), 0, 12)
    below, _ = integrate.quad(lambda x: stats.norm.cdf(x) ** n_trials, -12, 0)
    assert above - below == pytest.approx(exact, abs=1e-6)
    assert 1.0 < expected_maximum_sharpe(n_trials) / exact < 1.024


def test_expected_maximum_of_two_is_too_low():
    assert expected_maximum_sharpe(2) == pytest.approx(0.5198, abs=5e-5)  # exactly: 0.5642


@pytest.mark.parametrize(("n_trials", "expected"), [(100, 2.53), (10_000, 3.87), (200_000, 4.55)])
def test_best_annual_sharpe_that_a_year_of_luck_shows(n_trials, expected):
    year = math.sqrt(365 / 364)
    assert year * expected_maximum_sharpe(n_trials) == pytest.approx(expected, abs=0.006)


def test_one_trial_has_no_selection():
    assert expected_maximum_sharpe(1) == 0.0
    assert expected_maximum_sharpe(1.2) == 0.0  # the approximation itself: -0.117


@pytest.mark.parametrize("n_trials", [0.5, 0, -3, math.nan])
def test_less_than_one_trial_is_none(n_trials):
    assert math.isnan(expected_maximum_sharpe(n_trials))


@given(st.floats(1, 1e12), st.floats(1, 1e12))
def test_expected_maximum_grows_with_the_trials(one, other):
    fewer, more = sorted((one, other))
    assert expected_maximum_sharpe(fewer) <= expected_maximum_sharpe(more)


@given(st.floats(1.5, 9e11))
def test_implied_trials_invert_the_expected_maximum(n_trials):
    found = implied_trials(expected_maximum_sharpe(n_trials))
    assert found == pytest.approx(n_trials, rel=1e-9)


@pytest.mark.parametrize(("maximum", "expected"), [(-1.0, 1), (0.0, 1), (7.2, 1e12), (99, 1e12)])
def test_implied_trials_stay_between_one_and_a_million_millions(maximum, expected):
    assert implied_trials(maximum) == expected


def test_implied_trials_of_an_undefined_maximum():
    assert math.isnan(implied_trials(math.nan))


@pytest.mark.parametrize(
    ("n_trials", "skew", "kurtosis", "expected"),
    [
        (100, -3.0, 10.0, 0.9003968344),
        (46, -3.0, 10.0, 0.9505017),  # printed in the paper: 0.9505
        (88, -3.0, 10.0, 0.9101530),
        (88, 0.0, 3.0, 0.9504908),  # printed in the paper: 0.9505
        (100, 0.0, 3.0, 0.9427706),
    ],
)
def test_deflated_sharpe_ratio_reference(n_trials, skew, kurtosis, expected):
    found = deflated_sharpe_ratio(SHARPE, DAYS, skew, kurtosis, n_trials, VARIANCE)
    assert found == pytest.approx(expected, rel=1e-7)


def test_the_best_that_luck_shows_in_the_paper():
    benchmark = math.sqrt(VARIANCE) * expected_maximum_sharpe(100)
    assert benchmark == pytest.approx(0.11317200, abs=5e-9)
    assert benchmark * math.sqrt(250) == pytest.approx(1.7894, abs=5e-5)


def test_observations_less_one_is_the_2014_form():
    one_more = deflated_sharpe_ratio(SHARPE, DAYS + 1, -3.0, 10.0, 100, VARIANCE)
    assert one_more == pytest.approx(0.9004867, rel=1e-7)


def test_at_95_percent_a_grid_of_200000_must_show_a_z_of_6():
    z = 6.184  # expected maximum 4.539 + 1.645; kurtosis 1 makes the variance of the ratio 1
    found = deflated_sharpe_ratio(z / math.sqrt(364), 365, 0.0, 1.0, 200_000, 1 / 364)
    assert found == pytest.approx(0.95, abs=1e-4)


def test_one_trial_deflates_nothing():
    assert deflated_sharpe_ratio(0.1, 365, -1.0, 8.0, 1, 0.01) == probabilistic_sharpe_ratio(
        0.1, 365, -1.0, 8.0
    )


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(-0.2, 0.3))
def test_more_trials_deflate_more(one, other, sharpe):
    fewer, more = sorted((one, other))
    arguments = (sharpe, 365, -0.5, 6.0)
    assert deflated_sharpe_ratio(*arguments, more, 1 / 364) <= deflated_sharpe_ratio(
        *arguments, fewer, 1 / 364
    )


@given(st.integers(2, 5000), st.integers(2, 5000))
def test_more_days_make_a_sharpe_ratio_above_luck_surer(one, other):
    shorter, longer = sorted((one, other))
    early, late = (
        deflated_sharpe_ratio(0.2, days, -0.5, 6.0, 100, 0.002) for days in (shorter, longer)
    )
    assert early <= late


def test_undefined_where_its_parts_are():
    assert math.isnan(deflated_sharpe_ratio(0.1, 1, 0.0, 3.0, 10, 0.01))
    assert math.isnan(deflated_sharpe_ratio(0.1, 365, 0.0, 3.0, 0, 0.01))
    assert math.isnan(deflated_sharpe_ratio(np.nan, 365, 0.0, 3.0, 10, 0.01))
