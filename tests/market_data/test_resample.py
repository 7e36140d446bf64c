"""Coarser candles: hand-made, by property, and against those that the exchange itself made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.raw import COLUMNS, PRICES, RawCandles
from pipeline.market_data.resample import resampled

M5, M15, H1 = 300_000, 900_000, 3_600_000
MIDNIGHT = 1_672_531_200_000  # 2023-01-01


def candles(*bars):
    """5m candles (bar, open, high, low, close, volume) from midnight."""
    table = np.array(bars, dtype=np.float64)
    return RawCandles(MIDNIGHT + M5 * table[:, 0].astype(np.int64), *table[:, 1:].T)


def test_open_of_the_first_close_of_the_last_extremes_and_sum():
    fine = candles((0, 10, 12, 9, 11, 1), (1, 11, 15, 10, 14, 2), (2, 14, 14, 8, 9, 4))
    coarse = resampled(fine, M5, M15)
    assert coarse.timestamp.tolist() == [MIDNIGHT]
    assert [getattr(coarse, name)[0] for name in COLUMNS[1:]] == [10, 15, 8, 9, 7]


def test_a_missing_fine_candle_leaves_no_trace_and_an_empty_time_has_no_candle():
    fine = candles((0, 5, 5, 5, 5, 1), (2, 6, 7, 6, 7, 1), (10, 8, 9, 7, 8, 3), (11, 8, 8, 8, 8, 1))
    coarse = resampled(fine, M5, M15)
    assert coarse.timestamp.tolist() == [MIDNIGHT, MIDNIGHT + 3 * M15]
    assert coarse.open.tolist() == [5, 8]
    assert coarse.close.tolist() == [7, 8]
    assert coarse.volume.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("first", "last", "opens"),
    [(0, 5, [0, 3]), (1, 5, [3]), (0, 4, [0]), (1, 4, []), (2, 2, []), (0, 2, [0])],
)
def test_a_candle_that_the_history_cuts_is_left_out(first, last, opens):
    fine = candles(*((bar, 1, 1, 1, 1, 1) for bar in range(first, last + 1)))
    coarse = resampled(fine, M5, M15)
    assert coarse.timestamp.tolist() == [MIDNIGHT + bar * M5 for bar in opens]
    assert len(coarse.close) == len(opens)


@pytest.mark.parametrize(
    ("answered", "opens"),
    [
        ([(0, 12)], [0, 6, 9]),  # no trade at either end of the answered time
        ([(0, 8)], [0]),
        ([(0, 2), (5, 12)], [6, 9]),
        ([(1, 9)], [6]),
        ([], []),
    ],
)
def test_a_candle_of_which_a_part_was_not_answered_for_is_left_out(answered, opens):
    fine = candles((1, 1, 1, 1, 1, 1), (7, 1, 1, 1, 1, 1), (9, 1, 1, 1, 1, 1))
    spans = [(MIDNIGHT + a * M5, MIDNIGHT + b * M5) for a, b in answered]
    coarse = resampled(fine, M5, M15, spans)
    assert coarse.timestamp.tolist() == [MIDNIGHT + bar * M5 for bar in opens]


def test_nothing_stays_nothing():
    assert len(resampled(candles((0, 1, 1, 1, 1, 1)).take(np.zeros(1, bool)), M5, H1)) == 0


def test_a_timeframe_that_does_not_divide_the_other_is_refused():
    with pytest.raises(
        UserError, match=r"15m candles cannot be built from 2h candles: choose data.resample_from"
    ):
        resampled(candles((0, 1, 1, 1, 1, 1)), 2 * H1, M15)


@st.composite
def histories(draw):
    """Ten hours of 5m candles with holes, whose first and last candle came."""
    n = 120
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    there = rng.random(n) < draw(st.sampled_from([0.02, 0.3, 0.9, 1.0]))
    there[[0, -1]] = True
    body = rng.uniform(90, 110, (2, n))
    high, low = body.max(0) + rng.exponential(1, n), body.min(0) - rng.exponential(1, n)
    time = MIDNIGHT + M5 * np.arange(n)
    raw = RawCandles(time, body[0], high, low, body[1], rng.exponential(1, n))
    return raw.take(there)


@given(histories())
def test_hours_are_the_same_by_way_of_quarters(fine):
    direct = resampled(fine, M5, H1)
    by_quarters = resampled(resampled(fine, M5, M15), M15, H1)
    for name in ("timestamp", *PRICES):
        np.testing.assert_array_equal(getattr(by_quarters, name), getattr(direct, name))
    np.testing.assert_allclose(by_quarters.volume, direct.volume, rtol=1e-12)


@given(histories())
def test_volume_is_kept_and_every_candle_holds_its_parts(fine):
    coarse = resampled(fine, M5, H1)
    assert coarse.volume.sum() == pytest.approx(fine.volume.sum(), rel=1e-12)
    assert set(coarse.timestamp) == set(fine.timestamp // H1 * H1)
    hour = np.searchsorted(coarse.timestamp, fine.timestamp, side="right") - 1
    assert (coarse.high[hour] >= fine.high).all()
    assert (coarse.low[hour] <= fine.low).all()
    assert (coarse.low <= np.minimum(coarse.open, coarse.close)).all()
    assert (coarse.high >= np.maximum(coarse.open, coarse.close)).all()
    assert np.isin(coarse.high, fine.high).all()
    assert np.isin(coarse.low, fine.low).all()


@given(histories())
def test_the_same_step_changes_nothing(fine):
    same = resampled(fine, M5, M5)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(same, name), getattr(fine, name))


@pytest.mark.parametrize(
    ("year", "hours"), [("2023-01_2023-12", 8_735), ("2024-01_2024-09", 2_679)]
)
def test_hours_built_from_5m_are_those_that_binance_made(data_folder, year, hours):
    """The 1h files of single years are derived; the one since 2017 is Binance's own."""
    native = read_file(data_folder / "binance_BTC-USDT_1h_2017-08_2024-04.parquet")
    built = resampled(read_file(data_folder / f"binance_BTC-USDT_5m_{year}.parquet"), M5, H1)
    start = max(native.timestamp[0], built.timestamp[0])
    end = min(native.timestamp[-1], built.timestamp[-1])
    native, built = (
        raw.take((raw.timestamp >= start) & (raw.timestamp <= end)) for raw in (native, built)
    )
    assert len(built) == hours
    for name in ("timestamp", *PRICES):
        np.testing.assert_array_equal(getattr(built, name), getattr(native, name))
    # Sums of decimals: Binance's are exact, ours end in the last bit of a float64.
    np.testing.assert_allclose(built.volume, native.volume, rtol=1e-15)
