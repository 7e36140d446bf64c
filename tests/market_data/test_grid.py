"""The regular grid (candles rules §1): what is sorted, dropped and filled, and what is refused."""

import json
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.market_data.exchange.connection import impossible_rows
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import COLUMNS, RawCandles

START, STEP = 1_672_531_200_000, 300_000


def refused(raw, match, timeframe="5m"):
    with pytest.raises(UserError, match=match):
        make_regular(raw, timeframe, "candles.csv")


def test_missing_candles_are_filled_with_the_previous_close(rows):
    candles, report = make_regular(rows([0, 1, 4]), "5m", "x")
    np.testing.assert_array_equal(candles.timestamp, START + STEP * np.arange(5))
    np.testing.assert_array_equal(candles.open, [100, 101, 101.5, 101.5, 104])
    np.testing.assert_array_equal(candles.high, [101, 102, 101.5, 101.5, 105])
    np.testing.assert_array_equal(candles.low, [99, 100, 101.5, 101.5, 103])
    np.testing.assert_array_equal(candles.close, [100.5, 101.5, 101.5, 101.5, 104.5])
    np.testing.assert_array_equal(candles.volume, [1, 1, 0, 0, 1])
    np.testing.assert_array_equal(candles.filled, [False, False, True, True, False])
    assert candles.step_ms == STEP
    assert (report.gaps, report.longest_gap_bars, report.filled) == (1, 2, 2)


def test_columns_have_the_engine_s_types(rows):
    candles, _ = make_regular(rows([0, 2, 3]), "5m", "x")
    kinds = [candles.timestamp.dtype, candles.close.dtype, candles.volume.dtype]
    assert kinds == [np.int64, np.float64, np.float64]
    assert candles.filled.dtype == np.bool_


def test_rows_out_of_order_are_sorted_and_counted(rows):
    candles, report = make_regular(rows([2, 0, 1, 3]), "5m", "x")
    np.testing.assert_array_equal(candles.open, [100, 101, 102, 103])
    assert report.out_of_order == 1


def test_newest_first_is_only_another_order(rows):
    candles, report = make_regular(rows([3, 2, 1, 0]), "5m", "x")
    np.testing.assert_array_equal(candles.open, [100, 101, 102, 103])
    assert report.out_of_order == 3


def test_exact_duplicates_are_dropped_and_counted(rows):
    candles, report = make_regular(rows([0, 1, 1, 2, 1]), "5m", "x")
    np.testing.assert_array_equal(candles.open, [100, 101, 102])
    assert (report.rows, report.duplicates) == (5, 2)


def test_duplicates_that_disagree_are_refused_by_time(rows):
    raw = rows([0, 1, 1, 2], close=[100.5, 101.5, 101.25, 102.5])
    refused(raw, r"open at 2023-01-01 00:05 UTC and disagree: close is 101.5 and 101.25\.")


def test_norows(rows):
    refused(rows([]), "candles.csv has no rows")


@pytest.mark.parametrize("bars", [[7], [7, 7]])
def test_one_candle_only(rows, bars):
    refused(rows(bars), r"one candle only \(2023-01-01 00:35 UTC\)")


@pytest.mark.parametrize("name", COLUMNS[1:])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(rows, name, value):
    raw = rows(range(4), **{name: [100.0, 100.0, value, value]})
    refused(raw, rf"{name} is -?(nan|inf) at 2023-01-01 00:10 UTC \(row 3, and 1 more\)")


@pytest.mark.parametrize("name", COLUMNS[1:5])
@pytest.mark.parametrize("value", [0.0, -5.0])
def test_prices_that_are_not_positive(rows, name, value):
    raw = rows(range(3), **{name: [100.0, value, 100.0]})
    refused(raw, rf"{name} is {value:g} at 2023-01-01 00:05 UTC \(row 2\); it must be above 0")


@pytest.mark.parametrize("name", COLUMNS[1:])
def test_numbers_whose_sums_may_be_infinite(rows, name):
    raw = rows(range(3), **{name: [1.0, 1e308, 1e31]})
    refused(raw, rf"{name} is 1e\+308 at .* \(row 2, and 1 more\); it must be at most 1e\+30")
    table = np.ones((2, len(COLUMNS))) * [0, 1, 1, 1, 1, 1]
    table[1, COLUMNS.index(name)] = 1e308
    assert impossible_rows(table, 1).tolist() == [False, True]


def test_negative_volume(rows):
    raw = rows(range(3), volume=[1.0, 0.0, -2.0])
    refused(raw, r"volume is -2 at 2023-01-01 00:10 UTC \(row 3\); it must not be negative")


@pytest.mark.parametrize(
    ("convert", "unit", "remedy"),
    [
        (lambda t: t // 1_000, "seconds", "multiply by 1,000"),
        (lambda t: t * 1_000, "microseconds", "divide by 1,000"),
        (lambda t: t * 1_000_000, "nanoseconds", "divide by 1,000,000"),
    ],
)
def test_timestamps_of_another_unit(rows, convert, unit, remedy):
    raw = rows(range(3))
    refused(rows(range(3), timestamp=convert(raw.timestamp)), f"looks like {unit}: {remedy}\\.")


def test_unit_that_changes_inside_the_file_names_the_row(rows):
    timestamp = rows(range(4)).timestamp * [1, 1, 1_000, 1_000]
    refused(
        rows(range(4), timestamp=timestamp), "row 3 has 1672531800000000, which looks like micro"
    )


def test_candles_open_at_multiples_of_the_step_whatever_the_first_does(rows):
    refused(rows(range(4), start=START + 60_000), r"4 of 4 candles do not open .* 00:01 UTC")


def test_one_candle_off_the_grid_is_named(rows):
    timestamp = START + STEP * np.arange(4) + np.array([0, 0, 17_000, 0])
    refused(rows(range(4), timestamp=timestamp), r"1 of 4 candles .* 2023-01-01 00:10:17 UTC")


@pytest.mark.parametrize(
    ("step", "looks"),
    [(3_600_000, "1h candles"), (60_000, "1m candles"), (7_000, "rows 7 s apart")],
)
def test_timeframe_that_does_not_match_the_market(rows, step, looks):
    refused(rows([0, 1, 2, 3, 9], step=step), f"looks like {looks}, but the market says 5m")


def test_a_thin_market_need_not_have_neighbours_everywhere(rows):
    candles, report = make_regular(rows([0, 2, 4, 6, 7]), "5m", "x")
    assert (len(candles), report.filled, report.gaps) == (8, 3, 3)


def test_a_stray_time_is_refused_before_the_grid_is_built(rows):
    raw = rows([*range(20), 10**8])
    refused(
        raw, r"21 candles spread over 100000001 bars of 5m; nothing between 2023-01-01 01:35 UTC"
    )


@pytest.mark.parametrize(
    "name",
    [
        "binance_BTC-USDT_5m_2023",
        "binance_ETH-USDT_5m_2024",
        "binance_SOL-USDT_15m_2024",
        "kraken_BTC-USD_1h",
    ],
)
def test_golden_grids_of_real_candles(golden_folder, data_folder, name):
    golden = json.loads((golden_folder / f"{name}.json").read_text())
    raw = read_file(data_folder / golden["data"])
    candles, report = make_regular(raw, golden["data"].split("_")[2], name)
    assert len(candles) == golden["bars"]
    assert candles.timestamp[0] == report.first_bar == golden["first_timestamp"]
    assert candles.filled.sum() == report.filled == golden["filled_bars"]


def test_golden_grid_of_the_ticks(golden_folder):
    golden = json.loads((golden_folder / "synthetic_ticks.json").read_text())
    columns = {name: np.array(golden["candles"][name], dtype=float) for name in COLUMNS[1:]}
    raw = RawCandles(np.array(golden["candles"]["timestamp"]), **columns)
    candles, report = make_regular(raw, golden["timeframe"], "synthetic_ticks")
    assert len(candles) == golden["bars"]
    assert candles.timestamp[0] == golden["first_timestamp"]
    assert candles.filled.sum() == report.filled == golden["filled_bars"]


@given(bars=st.sets(st.integers(2, 60)), random=st.randoms(use_true_random=False))
def test_any_order_and_any_copies_make_the_same_grid(rows, bars, random):
    bars = [0, 1, *sorted(bars)]
    candles, _ = make_regular(rows(bars), "5m", "x")
    shuffled = bars + random.choices(bars, k=5)
    random.shuffle(shuffled)
    again, report = make_regular(rows(shuffled), "5m", "x")
    assert again.sha256 == candles.sha256
    assert report.duplicates == 5


@given(bars=st.sets(st.integers(2, 60)))
def test_filled_bars_are_those_that_did_not_come(rows, bars):
    bars = [0, 1, *sorted(bars)]
    candles, report = make_regular(rows(bars), "5m", "x")
    np.testing.assert_array_equal(np.flatnonzero(~candles.filled), bars)
    assert report.rows + report.filled == len(candles)
    flat = candles.close[candles.filled]
    for name in ("open", "high", "low"):
        np.testing.assert_array_equal(getattr(candles, name)[candles.filled], flat)


def test_raw_columns_are_those_of_the_record():
    assert tuple(field.name for field in fields(RawCandles)) == COLUMNS
