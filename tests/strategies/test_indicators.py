"""Candles rules §2 by hand and against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.strategies.indicators import (
    average_true_range,
    bars_since,
    next_true,
    rolling_max,
    rolling_min,
    rsi,
    runs,
    swing_lows,
    true_range,
    volume_baseline,
    volume_ratio,
)
from support.backtest import make_candles
from support.coarse import coarse_candles


def with_volume(volume):
    candles = make_candles([(1, 1, 1, 1)] * len(volume))
    candles.volume[:] = volume
    return candles


def test_true_range_reaches_to_the_close_before():
    bars = [(10, 12, 9, 11), (11, 13, 10, 12), (15, 16, 14, 15), (9, 10, 8, 9)]
    assert true_range(make_candles(bars)).tolist() == [3, 3, 16 - 12, 15 - 8]


def test_atr_of_a_constant_range_is_that_range():
    atr = average_true_range(make_candles([(10, 11.25, 8.75, 10)] * 40))
    assert np.isnan(atr[:13]).all()
    assert atr[13:].tolist() == [2.5] * 27


def test_atr_begins_with_the_mean_of_14_and_decays_by_a_fourteenth():
    bars = [(10, 10 + i, 10, 10) for i in range(14)] + [(10, 17, 10, 10)]
    atr = average_true_range(make_candles(bars))
    assert atr[13] == sum(range(14)) / 14
    assert atr[14] == (13 * 6.5 + 7) / 14


@given(seed=st.integers(0, 2**32 - 1), n_bars=st.integers(0, 60))
def test_atr_is_the_plain_loop_to_the_last_bit(seed, n_bars):
    rng = np.random.default_rng(seed)
    close = rng.lognormal(size=n_bars)
    high, low = close * (1 + rng.random(n_bars)), close * (1 - rng.random(n_bars))
    candles = make_candles(np.column_stack([close, high, low, close]))
    ranges = true_range(candles).tolist()
    expected, total, atr = [], 0.0, np.nan
    for t, value in enumerate(ranges):
        total += value
        if t == 13:
            atr = total / 14
        elif t > 13:
            atr = (13 * atr + value) / 14
        expected.append(atr)
    np.testing.assert_array_equal(average_true_range(candles), expected)


def test_rsi_is_50_without_a_move_and_100_without_a_fall():
    assert np.isnan(rsi(np.ones(30))[:14]).all()
    assert rsi(np.ones(30))[14:].tolist() == [50.0] * 16
    rising = np.arange(1.0, 31.0)
    assert rsi(rising)[14:].tolist() == [100.0] * 16
    assert rsi(-rising)[14:].tolist() == [0.0] * 16


def test_rsi_begins_with_means_of_14_and_decays_by_a_fourteenth():
    close = np.r_[[10.0] * 14, 12.0, 11.0]  # up 2 at bar 14, down 1 at bar 15
    up, down = 13 * (2 / 14) / 14, 1 / 14
    assert rsi(close)[14:].tolist() == [100.0, 100 * up / (up + down)]


@given(seed=st.integers(0, 2**32 - 1), n_bars=st.integers(0, 60))
def test_rsi_is_the_plain_loop_and_its_mirror_to_the_last_bit(seed, n_bars):
    close = np.random.default_rng(seed).lognormal(size=n_bars)
    expected, up, down = [], 0.0, 0.0
    for t in range(n_bars):
        change = close[t] - close[t - 1] if t else 0.0
        if t <= 14:
            up, down = up + max(change, 0.0), down + max(-change, 0.0)
            if t == 14:
                up, down = up / 14, down / 14
        else:
            up, down = (13 * up + max(change, 0.0)) / 14, (13 * down + max(-change, 0.0)) / 14
        expected.append((100 * up / (up + down), 100 * down / (up + down)) if t >= 14 else None)
    for series, side in ((rsi(close), 0), (rsi(-close), 1)):
        assert np.isnan(series[:14]).all()
        assert series[14:].tolist() == [pair[side] for pair in expected[14:]]


def test_volume_baseline_is_the_mean_of_the_20_bars_before():
    baseline = volume_baseline(with_volume(np.r_[[4.0] * 10, [8.0] * 10, [100.0, 0.0]]))
    assert np.isnan(baseline[:20]).all()
    assert baseline[20:].tolist() == [6.0, (36 + 80 + 100) / 20]


def test_volume_ratio_is_over_the_20_bars_before():
    volume = np.r_[[1000.0], [2.0] * 10, [4.0] * 10, [9.0], [6.0]]
    ratio = volume_ratio(with_volume(volume))
    assert np.isnan(ratio[:20]).all()
    assert ratio[20] == 4 / ((1000 + 20 + 36) / 20)
    assert ratio[21] == 9 / 3
    assert ratio[22] == 6 / ((18 + 40 + 9) / 20)


def test_volume_ratio_after_20_empty_bars_is_zero():
    ratio = volume_ratio(with_volume([0.0] * 20 + [5.0, 5.0]))
    assert ratio[20] == 0
    assert ratio[21] == 5 / (5 / 20)


@pytest.mark.parametrize("n_bars", range(22))
def test_short_histories_have_no_volume_ratio(n_bars):
    ratio = volume_ratio(with_volume(np.ones(n_bars)))
    assert np.flatnonzero(~np.isnan(ratio)).tolist() == list(range(20, n_bars))


@pytest.mark.parametrize("place", [0, 1, 2, 4, 5, 6])
def test_a_swing_low_is_strictly_below_its_six_neighbours(place):
    low = np.array([5.0, 5, 5, 4, 5, 5, 5])
    assert np.flatnonzero(swing_lows(low)).tolist() == [3]
    low[place] = 4.0
    assert not swing_lows(low).any()


def test_a_swing_low_has_three_bars_on_each_side():
    low = np.array([5.0, 5, 1, 5, 5, 5, 5, 5, 1, 5, 5])
    assert not swing_lows(low).any()


def test_the_fourth_neighbour_does_not_matter():
    low = np.array([1.0, 5, 5, 5, 4, 5, 5, 5, 1])
    assert np.flatnonzero(swing_lows(low)).tolist() == [4]


@given(st.lists(st.integers(0, 4), max_size=40))
def test_swing_lows_of_any_series(prices):
    low = np.array(prices, np.float64)
    expected = [
        3 <= i < len(low) - 3 and all(low[i] < low[j] for j in range(i - 3, i + 4) if j != i)
        for i in range(len(low))
    ]
    assert swing_lows(low).tolist() == expected


def test_bars_since_the_last_mark():
    marks = np.array([False, False, True, False, False, True, True, False])
    assert bars_since(marks).tolist() == [1, 2, 0, 1, 2, 0, 0, 1]
    assert bars_since(marks[:0]).tolist() == []


def test_runs_of_closes_end_with_an_equal_one():
    rising, falling = runs(np.array([3.0, 4.0, 5.0, 5.0, 6.0, 5.0, 4.0]))
    assert rising.tolist() == [0, 1, 2, 0, 1, 0, 0]
    assert falling.tolist() == [0, 0, 0, 0, 0, 1, 2]
    assert [run.tolist() for run in runs(np.zeros(0))] == [[], []]


@given(st.lists(st.booleans(), max_size=30))
def test_the_next_mark_is_strictly_later(marks):
    expected = [
        marks.index(True, t + 1) if True in marks[t + 1 :] else -1 for t in range(len(marks))
    ]
    actual = next_true(np.array(marks, bool))
    assert actual.tolist() == expected
    assert actual.dtype == np.int32


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 80))
def test_indicators_know_no_future(seed, cut):
    candles = coarse_candles(np.random.default_rng(seed), 80)

    def rsi_of(candles):
        return rsi(candles.close)

    for indicator in (true_range, average_true_range, volume_baseline, volume_ratio, rsi_of):
        before = indicator(candles.cut(0, cut))
        np.testing.assert_array_equal(before, indicator(candles)[:cut])
    # A swing point is known once its third right-hand bar has closed.
    known = max(cut - 3, 0)
    low = candles.low
    np.testing.assert_array_equal(swing_lows(low[:cut])[:known], swing_lows(low)[:known])


@pytest.mark.parametrize(("rolling", "extreme"), [(rolling_max, max), (rolling_min, min)])
@given(
    values=st.lists(st.integers(-4, 4) | st.just(np.nan), max_size=40), length=st.integers(1, 40)
)
def test_rolling_extremes_are_those_of_the_bars_before(rolling, extreme, values, length):
    expected = []
    for t in range(len(values)):
        before = values[t - length : t] if t >= length else [np.nan]
        expected.append(np.nan if np.isnan(before).any() else extreme(before))
    result = rolling(np.array(values, np.float64), length)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, expected)


def test_a_rolling_extreme_needs_a_bar():
    with pytest.raises(ValueError, match="1 bar or more; got 0"):
        rolling_max(np.ones(5), 0)
