"""Stationary bootstrap against arch, and what its draws must look like (validation rules §4.4)."""

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.validation.bootstrap import (
    mean_block,
    resample_counts,
    stationary_indices,
)


def generator(seed=0):
    return np.random.default_rng(seed)


def autoregression(rho, n_days, seed=0):
    series = generator(seed).standard_normal(n_days)
    for day in range(1, n_days):
        series[day] += rho * series[day - 1]
    return series


# ---- Block length ----


def test_mean_block_is_that_of_arch():
    series = autoregression(0.5, 2000)
    expected = optimal_block_length(series)["stationary"].iloc[0]
    assert 10 < expected < 20
    assert mean_block(series) == pytest.approx(expected, rel=1e-12)


def test_mean_block_of_many_autoregressions():
    found = [mean_block(autoregression(0.5, 2000, seed)) for seed in range(20)]
    assert np.median(found) == pytest.approx(14.2, abs=1.0)


@pytest.mark.parametrize(("rho", "expected"), [(0.0, 1.0), (0.95, 20.0)])
def test_mean_block_stays_between_one_and_twenty_days(rho, expected):
    series = autoregression(rho, 2000, seed=1)
    unclipped = optimal_block_length(series)["stationary"].iloc[0]
    assert not 1.0 <= unclipped <= 20.0
    assert mean_block(series) == expected


@pytest.mark.parametrize(
    "series",
    [[], [0.1], [0.1, 0.2, 0.3] * 2, [0.0] * 100, [0.01] * 100, [np.nan] * 50, [0.1, np.nan] * 20],
    ids=["none", "one", "six", "zeros", "constant", "NaN", "a NaN"],
)
def test_mean_block_without_an_answer_is_one_day(series):
    assert mean_block(np.array(series)) == 1.0


@given(st.integers(0, 10_000), st.integers(8, 400), st.floats(-0.8, 0.95), st.booleans())
def test_mean_block_is_that_of_arch_on_any_series(seed, n_days, rho, rare):
    series = autoregression(rho, n_days, seed)
    if rare:
        series *= generator(seed).random(n_days) < 0.3
    assume(np.ptp(series) > 0.0)
    with np.errstate(all="ignore"):
        expected = np.nan_to_num(optimal_block_length(series)["stationary"].iloc[0], nan=1.0)
    assert mean_block(series) == pytest.approx(np.clip(expected, 1.0, 20.0), rel=1e-9)


@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(0, 40))
def test_mean_block_of_rare_trades(seed, n_days, quiet):
    """Mostly zeros, quiet at the end: a warning would fail the test."""
    series = generator(seed).choice([0.0, 0.0, 0.0, 0.01, -0.02], n_days)
    assert 1.0 <= mean_block(np.append(series, np.zeros(quiet))) <= 20.0


# ---- Resamples ----


@pytest.mark.parametrize("block", [1, 2, 5, 20])
def test_resamples_are_those_of_arch(block):
    days, rng = np.arange(365), generator(7)
    oracle = StationaryBootstrap(block, days, seed=generator(7))
    for (expected,), _ in oracle.bootstrap(20):
        found = stationary_indices(365, 365, 1, block, rng)
        np.testing.assert_array_equal(found[0], expected)


@given(st.integers(1, 50), st.integers(1, 80), st.integers(1, 20), st.floats(1, 20))
def test_indices_are_days(n_days, length, n_resamples, block):
    found = stationary_indices(n_days, length, n_resamples, block, generator())
    assert (found.shape, found.dtype) == ((n_resamples, length), np.int32)
    assert found.min() >= 0
    assert found.max() < n_days


def test_the_same_seed_draws_the_same_days():
    one, same, other = (stationary_indices(50, 50, 9, 3.0, generator(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("block", [1.0, 2.5, 8.0, 20.0])
def test_blocks_have_the_mean_length(block):
    """Of 10⁶ days a share 1 / block starts one; a start continues by chance in one of T."""
    n_days = 1000
    found = stationary_indices(n_days, 1000, 1000, block, generator(3))
    broken = (found[:, 1:] != (found[:, :-1] + 1) % n_days).mean()
    assert broken == pytest.approx(1 / block * (1 - 1 / n_days), abs=0.002)


def test_block_lengths_are_geometric():
    found = stationary_indices(10**6, 200_000, 1, 4.0, generator(4))[0]
    lengths = np.diff(np.flatnonzero(np.diff(found) != 1))
    for longer in range(1, 6):
        assert (lengths > longer).mean() == pytest.approx(0.75**longer, abs=0.01)


@pytest.mark.parametrize("block", [1.0, 10.0])
def test_every_day_is_drawn_as_often(block):
    """The series is a circle: neither end is rarer than the middle."""
    counts = resample_counts(stationary_indices(40, 40, 20_000, block, generator(5)), 40)
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.06)


def test_after_the_last_day_comes_the_first():
    found = stationary_indices(5, 5, 200, 1e9, generator(6))
    np.testing.assert_array_equal(found, (found[:, :1] + np.arange(5)) % 5)


@given(st.integers(1, 30), st.integers(1, 40), st.integers(1, 9))
def test_counts_are_those_of_a_loop(n_days, length, n_resamples):
    indices = stationary_indices(n_days, length, n_resamples, 3.0, generator())
    found = resample_counts(indices, n_days)
    expected = [np.bincount(row, minlength=n_days) for row in indices]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_counts_times_returns_are_the_means_of_the_resamples():
    returns = generator(8).standard_normal((365, 200)) * 0.02
    indices = stationary_indices(365, 365, 50, 5.0, generator(9))
    expected = np.stack([returns[row].mean(axis=0) for row in indices])
    counts = resample_counts(indices, 365)
    np.testing.assert_allclose(counts.astype(float) @ returns / 365, expected, atol=1e-15)
    single = counts @ returns.astype(np.float32) / np.float32(365)
    np.testing.assert_allclose(single, expected, atol=5e-9)
