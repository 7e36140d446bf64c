"""Beside holding the market: what a day of it returns, beta, alpha, and how alpha is tested."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gpu_engine import DAY_MS, Candles
from pipeline.validation.holding import (
    Regression,
    hold_returns,
    holding_figures,
    lags,
    regression,
)
from pipeline.validation.statistics import sharpe_test

UNDEFINED = Regression(None, None, None)


def candles_of(closes, first_open=100.0, per_day=2, first_bar=0):
    """Candles of which the closes matter; ``first_bar`` bars of the first day are missing."""
    close, n = np.array(closes, float), len(closes)
    step, opening = DAY_MS // per_day, np.full(n, first_open)
    time = 19_000 * DAY_MS + step * (first_bar + np.arange(n))
    return Candles(time, opening, close, close, close, np.ones(n), np.zeros(n, bool), step)


def days(*numbers):
    return np.array([19_000 + number for number in numbers], np.int32)


def test_a_day_is_from_close_to_close():
    candles = candles_of([1.0, 100.0, 3.0, 110.0, 5.0, 55.0, 7.0, 66.0])
    np.testing.assert_allclose(hold_returns(candles, days(1, 2, 3)), [0.1, -0.5, 0.2], rtol=1e-14)


def test_days_may_have_gaps_between_them():
    candles = candles_of([1.0, 100.0, 3.0, 110.0, 5.0, 55.0, 7.0, 66.0])
    np.testing.assert_allclose(hold_returns(candles, days(1, 3)), [0.1, 0.2], rtol=1e-14)


def test_the_first_day_of_the_candles_starts_at_their_open():
    candles = candles_of([1.0, 90.0, 3.0, 99.0], first_open=60.0)
    np.testing.assert_allclose(hold_returns(candles, days(0, 1)), [0.5, 0.1], rtol=1e-14)


def test_a_part_day_before_is_the_day_before():
    candles = candles_of([80.0, 3.0, 100.0], first_bar=1)
    np.testing.assert_allclose(hold_returns(candles, days(1)), [0.25], rtol=1e-14)


def test_holding_figures_are_those_of_the_same_days():
    candles = candles_of([1.0, 100.0, 3.0, 110.0, 5.0, 55.0, 7.0, 66.0, 9.0, 99.0, 8.0, 99.0])
    daily = np.array([0.0, 0.1, 0.0, 0.1, 0.05])
    figures = holding_figures(candles, days(1, 2, 3, 4, 5), daily, 1.0)
    hold = np.array([0.1, -0.5, 0.2, 0.5, 0.0])
    assert figures["hold"]["net_profit"] == pytest.approx(-0.01)
    assert figures["hold"]["max_drawdown"] == pytest.approx(0.5)
    ratio = hold.mean() / hold.std(ddof=1) * np.sqrt(365)
    assert figures["hold"]["sharpe_ratio"] == pytest.approx(ratio)
    assert figures["excess_net_profit"] == pytest.approx(1.1 * 1.1 * 1.05 - 0.99)
    line = regression(daily, hold)
    assert figures["beta"] == pytest.approx(line.beta)
    assert figures["alpha"] == pytest.approx(365.0 * line.alpha)
    assert figures["alpha_p"] == pytest.approx(line.alpha_p)


def test_beta_is_that_of_a_whole_position():
    """A gate asks for it: half a position would be half as much a ride, and pass."""
    candles = candles_of([1.0, 100.0, 3.0, 110.0, 5.0, 55.0, 7.0, 66.0, 9.0, 99.0, 8.0, 99.0])
    daily = np.array([0.0, 0.1, 0.0, 0.1, 0.05])
    whole, half = (
        holding_figures(candles, days(1, 2, 3, 4, 5), fraction * daily, fraction)
        for fraction in (1.0, 0.5)
    )
    assert half["beta"] == pytest.approx(whole["beta"], rel=1e-12)
    assert half["alpha_p"] == pytest.approx(whole["alpha_p"], rel=1e-9)
    assert half["alpha"] == pytest.approx(whole["alpha"] / 2.0, rel=1e-9)


@pytest.mark.parametrize(
    ("days", "expected"), [(3, 1), (4, 1), (30, 3), (100, 4), (240, 4), (273, 5), (1000, 6)]
)
def test_lags_are_those_of_the_rule_of_thumb(days, expected):
    assert lags(days) == expected


@pytest.mark.parametrize("days", [5, 12, 30, 240, 1470])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_statsmodels_says(days, seed):
    from statsmodels.api import OLS, add_constant  # a second to import

    rng = np.random.default_rng(seed)
    hold = 0.001 + 0.03 * rng.standard_t(4, days)
    noise = np.convolve(rng.standard_normal(days + 4), [0.4, 0.3, 0.2, 0.1, 0.1], "valid")
    daily = rng.normal(0.0, 0.001) + rng.uniform(-0.5, 1.0) * hold + 0.02 * noise * (1 + 9 * hold)
    options = {"maxlags": lags(days), "use_correction": True}
    fit = OLS(daily, add_constant(hold)).fit(cov_type="HAC", cov_kwds=options, use_t=True)
    line = regression(daily, hold)
    assert line.beta == pytest.approx(fit.params[1], rel=1e-9)
    assert line.alpha == pytest.approx(fit.params[0], rel=1e-9)
    assert line.alpha_p == pytest.approx(stats.t.sf(fit.tvalues[0], days - 2), rel=1e-9)


def test_a_planted_alpha_on_a_rising_market_is_found():
    """The market triples; the strategy holds it half of the time and adds 25 % a year."""
    rng = np.random.default_rng(3)
    hold = 0.0011 + 0.02 * rng.standard_normal(1000)
    daily = 0.5 * hold + 0.25 / 365 + 0.004 * rng.standard_normal(1000)
    line = regression(daily, hold)
    assert line.beta == pytest.approx(0.5, abs=0.05)
    assert line.alpha_a_year == pytest.approx(0.25, abs=0.1)
    assert line.alpha_p < 0.001


def random_holding(rng, days, enter=0.1, leave=0.1):
    """A long position at random times on a rising market with fat tails: beta and no alpha."""
    hold = 0.003 + 0.02 * rng.standard_t(4, days)
    draws, inside, held = rng.random(days).tolist(), False, []
    for draw in draws:
        inside = draw < enter if not inside else draw >= leave
        held.append(inside)
    return np.array(held) * hold, hold


def test_pure_beta_is_rejected_about_as_often_as_promised():
    rng = np.random.default_rng(14)
    pairs = [random_holding(rng, 500) for _ in range(800)]
    rejected = sum(regression(daily, hold).alpha_p < 0.05 for daily, hold in pairs)
    low, high = stats.binom.interval(0.99, len(pairs), 0.05)
    assert low <= rejected <= high
    # The test of the Sharpe ratio calls more than half of the same series an edge.
    assert np.mean([sharpe_test(daily).p_value < 0.05 for daily, _ in pairs]) > 0.5


def test_shorting_a_falling_market_is_beta_too():
    rng = np.random.default_rng(15)
    daily, hold = random_holding(rng, 1000)
    line, mirrored = regression(daily, hold), regression(-daily, -hold)
    assert mirrored.beta == pytest.approx(line.beta)
    assert mirrored.alpha_p == pytest.approx(1.0 - line.alpha_p)


def test_too_few_days_have_no_regression():
    rng = np.random.default_rng(0)
    assert regression(*rng.normal(size=(2, 3))) == UNDEFINED
    assert None not in regression(*rng.normal(size=(2, 4)))
    assert regression(np.empty(0), np.empty(0)) == UNDEFINED


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_a_value_that_is_not_finite_leaves_nothing(poison, which):
    series = np.random.default_rng(0).normal(size=(2, 50))
    series[which, 7] = poison
    assert regression(*series) == UNDEFINED


@pytest.mark.parametrize("drift", [0.0, 1e-14])
@pytest.mark.parametrize("value", [0.0, 0.01])
def test_a_series_that_does_not_vary_leaves_nothing(value, drift):
    constant = value * (1.0 + drift * np.arange(50))
    other = np.random.default_rng(0).normal(size=50)
    assert regression(constant, other) == UNDEFINED
    assert regression(other, constant) == UNDEFINED


def test_where_nothing_is_left_beside_the_market_there_is_no_test():
    hold = np.random.default_rng(0).normal(0.001, 0.03, 300)
    beta, alpha, p = regression(0.5 * hold, hold)
    assert (beta, alpha) == (pytest.approx(0.5), pytest.approx(0.0, abs=1e-15))
    assert p is None


SERIES = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).normal(size=(2, 120)))


@settings(deadline=None)
@given(SERIES, st.floats(1e-6, 1e6))
def test_the_unit_of_returns_changes_no_p(series, scale):
    daily, hold = 0.01 * series
    line, scaled = regression(daily, hold), regression(scale * daily, scale * hold)
    assert scaled.beta == pytest.approx(line.beta, rel=1e-9)
    assert scaled.alpha == pytest.approx(scale * line.alpha, rel=1e-9, abs=1e-15 * scale)
    assert scaled.alpha_p == pytest.approx(line.alpha_p, rel=1e-9)


@settings(deadline=None)
@given(SERIES)
def test_holding_has_a_beta_of_one_and_no_alpha(series):
    hold = 0.01 * series[0]
    beta, alpha, _ = regression(hold, hold)
    assert (beta, alpha) == (pytest.approx(1.0, rel=1e-12), pytest.approx(0.0, abs=1e-15))


@settings(deadline=None)
@given(SERIES, st.floats(-3.0, 3.0))
def test_more_of_the_market_moves_beta_and_nothing_else(series, more):
    daily, hold = 0.01 * series
    line, added = regression(daily, hold), regression(daily + more * hold, hold)
    assert added.beta == pytest.approx(line.beta + more, abs=1e-9)
    assert added.alpha_p == pytest.approx(line.alpha_p, abs=1e-9)
