"""NaN, infinities and days that are equal up to rounding: no statistic makes a small p of them."""

import numpy as np
import pytest

from gpu_engine import deviation_of, metrics_of
from pipeline.search.ranking import best, plateau, positive_share
from pipeline.validation.bootstrap import generator, mean_block, zero_drift_bands
from pipeline.validation.multiple_testing import adjusted
from pipeline.validation.overfitting import probability_of_backtest_overfitting
from pipeline.validation.reality_check import max_sharpe_reality_check
from pipeline.validation.statistics import moments, sharpe_test
from pipeline.validation.surrogates import sequential_p
from pipeline.validation.whole_history import top_sharpe

DAYS = 120
POISON = (np.nan, np.inf, -np.inf, 1e200)
#: Equal days as they come out of a computation: apart by a few of their last bits.
EQUAL = 0.1 + np.tile([0.0, 1.0, -1.0], DAYS // 3) * np.spacing(0.1)


def noise(columns, seed=0):
    return np.random.default_rng(seed).normal(0.0, 0.01, (DAYS, columns))


def poisoned(value):
    series = noise(1, seed=4)[:, 0] + 0.01
    series[37] = value
    return series


@pytest.mark.parametrize("value", POISON)
def test_a_poisoned_series_has_no_statistic(value):
    series = poisoned(value)
    assert np.isnan(deviation_of(series))
    assert np.isnan(moments(series)).all()
    assert sharpe_test(series) == (None, None)
    assert zero_drift_bands(series, generator(0, 2)) == (None, None)
    assert mean_block(series) == 1.0


def test_equal_days_have_no_statistic():
    assert EQUAL.std(ddof=1) > 0.0
    assert deviation_of(EQUAL) == 0.0
    assert np.isnan(moments(EQUAL)).all()
    assert sharpe_test(EQUAL) == (None, None)
    assert zero_drift_bands(EQUAL, generator(0, 2)) == (None, None)
    assert mean_block(EQUAL) == 1.0
    assert metrics_of(np.zeros(0), EQUAL)["sharpe_ratio"] == 0.0


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_the_floor_is_a_share_of_the_largest_day(scale):
    days = np.ones(DAYS)
    days[0] += 1e-10
    assert deviation_of(scale * days) > 0.0
    days[0] = 1.0 + 1e-12
    assert deviation_of(scale * days) == 0.0


def test_deviation_is_numpys_of_every_series():
    returns = noise(6).T.reshape(2, 3, DAYS)
    np.testing.assert_array_equal(deviation_of(returns), returns.std(axis=-1, ddof=1))
    assert deviation_of(np.ones((2, 1))).tolist() == [0.0, 0.0]
    assert deviation_of(np.full(DAYS, 0.1, np.float32)) == 0.0


@pytest.mark.parametrize("value", [*POISON, "equal"])
@pytest.mark.parametrize("place", [0, 7, 20])
def test_such_a_column_is_left_out_of_the_tests_of_many(value, place):
    clean, column = noise(20), EQUAL if value == "equal" else poisoned(value)
    mixed = np.insert(clean, place, column, axis=1)
    expected, check = (max_sharpe_reality_check(m, 199, 2.0) for m in (clean, mixed))
    assert (check.p_value, check.statistic, check.n_columns) == (
        expected.p_value,
        expected.statistic,
        20,
    )
    np.testing.assert_allclose(check.maxima, expected.maxima, atol=1e-6)
    overfit = probability_of_backtest_overfitting(mixed)
    assert overfit == pytest.approx(probability_of_backtest_overfitting(clean), rel=1e-9)


@pytest.mark.parametrize("value", POISON)
def test_nothing_but_poison_is_undefined(value):
    columns = np.stack([poisoned(value), poisoned(np.nan)], axis=1)
    check = max_sharpe_reality_check(columns, 99, 2.0)
    assert (check.p_value, check.statistic, check.n_columns) == (None, None, 0)
    assert probability_of_backtest_overfitting(columns) == (None, None, None, 0)


def test_a_resample_in_which_nothing_varies_counts_as_luck():
    """A third of the resamples miss the one day that earned: they prove nothing."""
    once = np.zeros((DAYS, 1))
    once[40] = 0.05
    check = max_sharpe_reality_check(once, 999, 1.0)
    missed = np.isneginf(check.maxima).mean()
    assert 0.3 < missed < 0.45
    assert check.p_value > missed


@pytest.mark.parametrize("method", ["bh", "by", "holm"])
def test_a_p_that_is_no_number_is_no_test(method):
    q = adjusted([0.01, None, 0.04, np.nan, np.inf, -np.inf], method)
    np.testing.assert_array_equal(q[[0, 2]], adjusted([0.01, 0.04], method))
    assert np.isnan(q[[1, 3, 4, 5]]).all()


def test_ranking_passes_over_nan_and_keeps_infinities():
    scores = np.array([1.0, np.nan, 3.0, np.inf, 2.0, np.nan])
    assert best(scores) == 3
    assert best(np.full(3, np.nan)) is None
    ranked = plateau(scores, (6,))
    np.testing.assert_array_equal(ranked, [1.0, np.nan, 3.0, np.inf, 2.0, np.nan])
    assert positive_share(scores) == 1.0


@pytest.mark.parametrize(
    ("observed", "draws"),
    [(2.0, [np.nan] * 9), (np.nan, [1.0] * 9), (2.0, [1.0, np.inf, np.nan, np.nan, 3.0])],
)
def test_a_surrogate_that_is_no_number_counts_as_luck(observed, draws):
    assert sequential_p(observed, draws, 99).p_value >= 0.8


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_ratio_that_is_no_number_is_not_among_the_best(value):
    sharpe, trades = np.arange(250.0), np.full(250, 90.0)
    more = np.insert(sharpe, [0, 100, 250], value), np.full(253, 90.0)
    assert top_sharpe(*more, 365) == top_sharpe(sharpe, trades, 365)
    assert top_sharpe(np.full(3, value), np.full(3, 90.0), 365) is None
