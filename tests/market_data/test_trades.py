"""Candles built from trades, against a loop that anyone can read."""

from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.resample import candles_of_trades
from support.trades import candles_by_loop

MONTH_END = 1_675_209_600_000  # 2023-02-01 00:00 UTC


@st.composite
def trade_lists(draw):
    """Times around a month's border: bursts at one nanosecond, and empty intervals."""
    pauses = st.sampled_from([0, 0, 0, 1, 10**9, 59 * 10**9, 300 * 10**9, 5_000 * 10**9])
    times = MONTH_END * 1_000_000 - draw(st.sampled_from([0, 1, 10**12]))
    rows = []
    for pause in draw(st.lists(pauses, max_size=60)):
        times += pause
        rows.append((times, draw(st.floats(0.01, 1e6)), draw(st.floats(1e-8, 1e4))))
    return rows


@given(trades=trade_lists(), step_ms=st.sampled_from([60_000, 300_000, 3_600_000, 86_400_000]))
def test_equal_to_the_loop_bar_by_bar(trades, step_ms):
    time, price, amount = (np.array(column) for column in zip(*trades, strict=True)) if trades \
        else (np.empty(0, np.int64), np.empty(0), np.empty(0))  # fmt: skip
    raw = candles_of_trades(time.astype(np.int64), price, amount, step_ms)
    expected = candles_by_loop(trades, step_ms)
    assert raw.timestamp.tolist() == sorted(expected)
    for row, opened in enumerate(raw.timestamp.tolist()):
        *prices, amounts = expected[opened]
        assert [getattr(raw, name)[row] for name in COLUMNS[1:5]] == prices
        assert raw.volume[row] == fsum(amounts)


def test_no_trade_no_candle_and_borders_belong_to_the_later_interval():
    time = MONTH_END * 10**6 + np.array([-1, 0, 900 * 10**9])
    raw = candles_of_trades(time, np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3]), 300_000)
    assert (raw.timestamp - MONTH_END).tolist() == [-300_000, 0, 900_000]
    assert raw.volume.tolist() == [0.1, 0.2, 0.3]


def test_a_burst_at_one_nanosecond_keeps_its_order():
    time = np.full(4, MONTH_END * 10**6)
    raw = candles_of_trades(time, np.array([5.0, 9.0, 1.0, 7.0]), np.ones(4), 60_000)
    assert [getattr(raw, name)[0] for name in COLUMNS[1:]] == [5.0, 9.0, 1.0, 7.0, 4.0]


def test_the_volume_is_exact():
    time = np.full(11, MONTH_END * 10**6)
    raw = candles_of_trades(time, np.ones(11), np.r_[1e16, np.ones(10)], 60_000)
    assert raw.volume == pytest.approx(1e16 + 10, abs=0)


def test_without_trades_there_are_no_candles():
    raw = candles_of_trades(np.empty(0, np.int64), np.empty(0), np.empty(0), 60_000)
    assert len(raw) == 0
    assert raw.timestamp.dtype == np.int64
