"""Breaks of the volume regime, planted in a level volume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.market_data.quality.measures import VolumeChange, largest_volume_change
from pipeline.market_data.raw import RawCandles

START, HOUR, DAY = 1_672_531_200_000, 3_600_000, 86_400_000


def hours(volume):
    price = np.ones(len(volume))
    timestamp = START + HOUR * np.arange(len(volume))
    return RawCandles(timestamp, price, price, price, price, np.array(volume, float))


@pytest.mark.parametrize("factor", [1000.0, 0.001, 2.0])
def test_a_change_of_the_unit(factor):
    volume = np.ones(40 * 24)
    volume[25 * 24 :] *= factor
    change = largest_volume_change(hours(volume))
    assert change.ratio == pytest.approx(max(factor, 1 / factor))
    assert abs(change.since - (START + 25 * DAY)) <= 3 * DAY  # medians of a week turn in its middle


@pytest.mark.parametrize(("days", "ratio"), [(3, 1.0), (4, pytest.approx(1e6, rel=0.2))])
def test_silence_counts_when_it_lasts_four_days(days, ratio):
    volume = np.ones(40 * 24)
    volume[20 * 24 : (20 + days) * 24] = 0.0
    assert largest_volume_change(hours(volume)).ratio == ratio


def test_one_wild_day_is_no_change():
    volume = np.ones(40 * 24)
    volume[500] = 1e12
    assert largest_volume_change(hours(volume)) == VolumeChange(1.0, None)


@pytest.mark.parametrize("volume", [np.zeros(40 * 24), np.ones(13 * 24), np.ones(1), np.zeros(3)])
def test_without_volume_or_two_weeks_there_is_no_change(volume):
    assert largest_volume_change(hours(volume)) == VolumeChange(1.0, None)


def test_days_without_candles_are_left_out():
    raw = hours(np.ones(60 * 24))
    day = np.arange(60 * 24) // 24
    assert largest_volume_change(raw.take((day < 20) | (day > 40))).ratio == 1.0


@given(st.integers(0, 2**32))
def test_lognormal_volume_does_not_break(seed):
    volume = np.exp(np.random.default_rng(seed).standard_normal(40 * 24))
    assert largest_volume_change(hours(volume)).ratio < 3.0


def test_huge_volumes_do_not_overflow():
    assert largest_volume_change(hours(np.full(40 * 24, 1e308))).ratio == pytest.approx(1.0)
