"""The band of the equity of days ahead (validation rules §8)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.validation.band import (
    YEAR,
    block_of,
    equity_band,
    equity_of,
    promised_paths,
)
from pipeline.validation.bootstrap import mean_block
from pipeline.validation.sequential import live_band


def days(n, seed=0, mean=0.001, spread=0.01):
    return np.random.default_rng(seed).normal(mean, spread, n)


def test_quantiles_of_each_day():
    equity = equity_of(promised_paths(days(200), 1, 30))
    found = equity_band(equity)
    for name, share in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        assert getattr(found, name) == pytest.approx(np.quantile(equity, share, axis=0), rel=1e-12)


def test_nine_in_ten_paths_stay_in_the_band_of_whole_paths():
    equity = equity_of(promised_paths(days(200), 1))
    found = equity_band(equity)
    inside = ((equity >= found.path_low) & (equity <= found.path_high)).all(axis=1).mean()
    assert 0.9 <= inside < 0.91
    assert (found.path_low <= found.low).all()
    assert (found.high <= found.path_high).all()


def test_a_path_that_crosses_is_inside_day_by_day_only():
    """Four paths in order and one that goes from bottom to top: its worst day counts."""
    equity = np.array([[1, 1], [2, 2], [3, 3], [4, 4], [0, 5]], float).repeat(20, axis=0)
    found = equity_band(equity)
    assert found.path_low.tolist() == [0.0, 1.0]
    assert found.path_high.tolist() == [4.0, 5.0]


def test_width_is_that_of_a_prediction_of_normal_days():
    """Variance of n days and of n times a mean known from T: s² n (1 + n/T)."""
    oos, ahead = days(400, mean=0.0), 200
    summed = promised_paths(oos, 1, ahead, 8000).sum(axis=1)
    expected = oos.std(ddof=1) * np.sqrt(ahead * (1 + ahead / len(oos)))
    assert summed.std() == pytest.approx(expected, rel=0.05)
    assert summed.mean() == pytest.approx(ahead * oos.mean(), abs=0.03 * expected)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3 * YEAR))
def test_a_day_does_not_depend_on_how_far_the_paths_go(seed, n):
    oos = days(90, seed)
    far = promised_paths(oos, seed, 3 * YEAR, 50)
    assert (promised_paths(oos, seed, n, 50) == far[:, :n]).all()


def test_the_band_covers_every_day_asked_for():
    oos = days(100)
    assert len(live_band(oos, days(10), 1, n_paths=50).band.low) == YEAR
    assert len(live_band(oos, days(400), 1, n_paths=50).band.low) == 400
    assert len(live_band(oos, days(10), 1, days=1000, n_paths=50).band.low) == 1000


def test_ruin_is_the_end():
    assert equity_of(np.array([0.1, -1.5, 0.5])).tolist() == [pytest.approx(1.1), 0.0, 0.0]


def test_calm_and_wild_weeks_lengthen_the_block():
    rng = np.random.default_rng(5)
    wild = np.repeat(rng.choice([0.2, 2.0], 30), 20) * rng.standard_normal(600)
    assert block_of(wild) > 1.5 * mean_block(wild)


def test_position_is_the_share_of_lower_paths():
    oos, live = days(200), days(100, 1)
    found = live_band(oos, live, 1)
    ahead = equity_of(promised_paths(oos, 1))[:, 99]
    assert found.position == pytest.approx((ahead < found.equity[-1]).mean())
    assert found.left_path is False


def test_days_far_below_leave_the_band_and_so_do_days_far_above():
    oos = days(200)
    for mean, position in ((-0.02, 0.0), (0.03, 1.0)):
        found = live_band(oos, np.full(60, mean), 1)
        assert (found.left_path, found.position) == (True, position)
