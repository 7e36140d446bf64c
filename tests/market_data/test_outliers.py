"""Outliers against the local median: planted ones are found, walks and crashes are not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.market_data.quality.measures import FAR, outliers
from pipeline.market_data.raw import RawCandles

START, STEP = 1_672_531_200_000, 300_000


def walk(seed, bars=400, deviation=1e-3, step=STEP):
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(deviation * rng.standard_normal(bars)))
    open_ = np.append(100.0, close[:-1])
    reach = 1.0 + deviation * rng.random(bars)
    return RawCandles(
        START + step * np.arange(bars),
        open_,
        np.maximum(open_, close) * reach,
        np.minimum(open_, close) / reach,
        close,
        np.ones(bars),
    )


@given(st.integers(0, 2**32), st.sampled_from([1e-4, 1e-3, 1e-2]), st.integers(2, 200))
def test_a_clean_walk_has_none(seed, deviation, bars):
    assert outliers(walk(seed, bars, deviation), STEP).bars == 0


@pytest.mark.parametrize("bar", [0, 1, 200, 399])
@pytest.mark.parametrize(
    ("name", "factor"), [("high", 10.0), ("low", 0.1), ("close", 10.0), ("high", 1e298)]
)
def test_a_wrong_price_is_found_wherever_it_is(name, factor, bar):
    raw = walk(1)
    getattr(raw, name)[bar] *= factor
    measured = outliers(raw, STEP)
    assert (measured.bars, measured.worst_at) == (1, START + bar * STEP)


def test_the_distance_is_in_robust_deviations_of_a_day():
    # Returns of +-1 % in turn: MAD 0.01, deviation of a day 0.014826 * sqrt(24).
    close = 100.0 * np.exp(np.where(np.arange(41) % 2, 0.01, 0.0))
    raw = RawCandles(START + 3_600_000 * np.arange(41), *[close] * 4, np.ones(41))
    raw = replace(raw, high=close.copy())
    raw.high[21] = 300.0  # six of the 11 closes around stand at 100
    measured = outliers(raw, 3_600_000)
    assert measured.worst == pytest.approx(np.log(3.0) / (0.014826 * np.sqrt(24)))
    assert (measured.bars, FAR) == (0, 30.0)


def test_a_level_that_stays_is_none():
    raw = walk(2)
    for name in ("open", "high", "low", "close"):
        getattr(raw, name)[200:] *= 0.1
    raw.open[200] *= 10.0
    assert outliers(raw, STEP).bars == 0


@pytest.mark.parametrize(("bars", "count"), [(5, 5), (6, 0)])
def test_a_level_of_up_to_five_bars_is_wrong(bars, count):
    raw = walk(3)
    for name in ("open", "high", "low", "close"):
        getattr(raw, name)[200 : 200 + bars] *= 100.0
    assert outliers(raw, STEP).bars == count


def test_prices_that_never_move_are_no_outliers_but_one_among_them_is(rows):
    raw = rows(range(30), **{name: [100.0] * 30 for name in ("open", "high", "low", "close")})
    assert outliers(raw, STEP) == (0, 0.0, None)
    raw.high[7] = 1e300
    assert outliers(raw, STEP) == (1, pytest.approx(298 * np.log(10) / 0.01), START + 7 * STEP)
