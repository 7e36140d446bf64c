"""The max-Sharpe reality check (validation rules §4)."""

import numpy as np
import pytest
from arch.bootstrap import SPA, StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.validation import reality_check
from pipeline.validation.bootstrap import stationary_indices
from pipeline.validation.reality_check import MaxSharpe, max_sharpe_reality_check

DAYS = 120


def noise(n=30, days=DAYS, seed=0):
    return np.random.default_rng(seed).standard_normal((days, n)) * 0.02


def drawn(n_resamples, days=DAYS, block=5, seed=3):
    bootstrap = StationaryBootstrap(block, np.arange(days), seed=seed)
    return np.array([data[0][0] for data in bootstrap.bootstrap(n_resamples)])


def of_indices(returns, indices):
    with MaxSharpe(indices, 5.0) as check:
        check.add(returns.T)
        return check.result()


def naive(returns, indices):
    """The definition, in float64 and one column at a time."""
    own = returns.mean(0) / returns.std(0, ddof=1)
    maxima = []
    for index in indices:
        resampled = returns[index]
        maxima.append(np.max(resampled.mean(0) / resampled.std(0, ddof=1) - own))
    maxima = np.array(maxima)
    return own.max(), maxima, (1 + np.count_nonzero(maxima >= own.max())) / (len(indices) + 1)


def test_it_is_the_definition_in_matrix_products():
    returns, indices = noise(), drawn(99)
    statistic, maxima, p_value = naive(returns, indices)
    found = of_indices(returns, indices)
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.maxima == pytest.approx(maxima, abs=2e-6)
    assert found.p_value == p_value


def test_its_resamples_make_the_mean_test_of_arch():
    """White's check of means over the same resamples is arch's, p-value for p-value (N = 200)."""
    returns, block = noise(200), 5
    spa = SPA(np.zeros(DAYS), -returns, block_size=block, reps=200, seed=11)
    spa.compute()
    bootstrap = StationaryBootstrap(block, np.arange(DAYS), seed=11)
    indices = np.array([data[0][0] for data in bootstrap.bootstrap(200)])
    weights = np.asarray(MaxSharpe(indices, block)._weights, np.float64)
    own = returns.mean(0)
    maxima = (weights @ returns - own).max(1)
    assert 0.1 < spa.pvalues["upper"] == (maxima > own.max()).mean() < 0.9


@given(st.integers(1, 1600), st.integers(1, 700), st.integers(1, 3))
@settings(max_examples=20)
def test_how_columns_arrive_and_threads_change_nothing(first, width, threads):
    returns = noise(1600)
    whole = max_sharpe_reality_check(returns, 99, 5.0, seed=1)
    indices = stationary_indices(DAYS, DAYS, 99, 5.0, np.random.default_rng(1))
    with MaxSharpe(indices, 5.0, threads) as check:
        check.add(returns[:, :first].T)
        for start in range(first, 1600, width):
            check.add(returns[:, start : start + width].T)
        parts = check.result()
    assert parts.maxima.tobytes() == whole.maxima.tobytes()
    assert (parts.p_value, parts.statistic) == (whole.p_value, whole.statistic)


def test_the_width_of_a_product_changes_rounding_only(monkeypatch):
    returns = noise(40)
    whole = max_sharpe_reality_check(returns, 99, 5.0)
    monkeypatch.setattr(reality_check, "COLUMNS", 7)
    narrow = max_sharpe_reality_check(returns, 99, 5.0)
    assert narrow.maxima == pytest.approx(whole.maxima, abs=1e-6)


@given(st.permutations(range(12)), st.floats(1e-4, 1e4))
@settings(max_examples=20)
def test_order_and_scale_of_columns_do_not_matter(order, scale):
    returns = noise(12)
    whole = max_sharpe_reality_check(returns, 99, 3.0)
    other = max_sharpe_reality_check(returns[:, order] * scale, 99, 3.0)
    assert other.p_value == whole.p_value
    assert other.maxima == pytest.approx(whole.maxima, abs=1e-6)


def test_copies_do_not_change_p():
    returns = noise(12)
    doubled = max_sharpe_reality_check(np.hstack([returns, returns]), 199, 3.0)
    assert doubled.p_value == max_sharpe_reality_check(returns, 199, 3.0).p_value


def test_a_hopeless_column_never_lowers_p():
    returns = noise(12)
    hopeless = -np.abs(noise(1, seed=9))
    more = max_sharpe_reality_check(np.hstack([returns, hopeless]), 199, 3.0)
    assert more.p_value >= max_sharpe_reality_check(returns, 199, 3.0).p_value


def test_columns_without_variance_are_left_out():
    flat = np.hstack([noise(5), np.zeros((DAYS, 2)), np.full((DAYS, 1), 0.3)])
    found = max_sharpe_reality_check(flat, 99, 2.0)
    assert found.n_columns == 5
    assert found.p_value == max_sharpe_reality_check(noise(5), 99, 2.0).p_value


def test_nothing_to_test_is_undefined():
    found = max_sharpe_reality_check(np.zeros((DAYS, 3)), 99, 2.0)
    assert (found.p_value, found.statistic, found.n_columns) == (None, None, 0)


def test_a_column_that_is_flat_in_a_resample_is_left_out_of_that_maximum():
    """One active day: resamples without it have no variance, and no Sharpe ratio of millions."""
    once = np.zeros((DAYS, 1))
    once[40] = 0.05
    steady = noise(1)
    both = max_sharpe_reality_check(np.hstack([steady, once]), 199, 1.0)
    assert np.isfinite(both.maxima).all()
    assert both.maxima.max() < 1.0
    assert (both.maxima >= max_sharpe_reality_check(steady, 199, 1.0).maxima - 1e-6).all()


def test_an_edge_is_found_among_noise():
    returns = noise(200, days=365)
    returns[:, 7] += 0.02 * 0.25  # 4.8 a year
    found = max_sharpe_reality_check(returns, 999, 1.0)
    assert found.p_value == 1 / 1000
    own = returns[:, 7].mean() / returns[:, 7].std(ddof=1)
    assert found.statistic == pytest.approx(own, rel=1e-12)


def test_the_best_of_noise_is_not():
    p_values = [max_sharpe_reality_check(noise(100, seed=s), 99, 1.0).p_value for s in range(60)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.1
    assert 0.3 < np.median(p_values) < 0.8


def test_a_seed_is_a_result():
    one, same, other = (max_sharpe_reality_check(noise(), 99, 4.0, seed) for seed in (1, 1, 2))
    assert one.maxima.tobytes() == same.maxima.tobytes()
    assert one.maxima.tobytes() != other.maxima.tobytes()
