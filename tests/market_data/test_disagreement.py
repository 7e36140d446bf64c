"""Closes against those of other exchanges, given and found in a store."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.market_data.quality.measures import disagreement
from pipeline.market_data.store.store import EMPTY, candle_path, save, stored_elsewhere

START, STEP = 1_672_531_200_000, 300_000
END = START + 100 * STEP


def test_median_and_largest_at_the_same_times(rows):
    own = rows(range(10))
    other = rows([8, 1, 2, 4, 50])  # in any order, one of no common time
    other = replace(other, close=other.close * np.exp([0.0, 0.01, -0.02, 0.3, 5.0]))
    measured = disagreement(own, {"kraken": other})
    assert measured.compared_with == "kraken"
    assert measured.median == pytest.approx(0.015)
    assert (measured.largest, measured.largest_at) == (pytest.approx(0.3), START + 4 * STEP)


def test_several_exchanges_count_together(rows):
    own = rows(range(4))
    others = {"okx": rows(range(2), close=own.close[:2] * np.exp(0.1)), "kraken": own}
    measured = disagreement(own, others)
    assert measured.compared_with == "kraken, okx"
    assert (measured.median, measured.largest) == (0.0, pytest.approx(0.1))


@pytest.mark.parametrize("others", [[], range(50, 60)])
def test_without_a_common_time_there_is_none(rows, others):
    assert disagreement(rows(range(10)), {"kraken": rows(others)} if others else {}) is None


@pytest.fixture
def store(rows, tmp_path):
    """BTC/USDT at two exchanges and BTC/USD at one of them."""
    candles = replace(EMPTY, rows=rows(range(20)), answered=((START, END),))
    for exchange, pair in (("binance", "BTC/USDT"), ("kraken", "BTC/USDT"), ("kraken", "BTC/USD")):
        save(candle_path(tmp_path, exchange, pair, "5m"), candles, source="a test")
    return tmp_path


def test_the_store_is_searched_for_the_same_pair_elsewhere(store, rows):
    (measured,) = stored_elsewhere(store, "binance", "BTC/USDT", "5m", START, END).items()
    assert measured[0] == "kraken"
    np.testing.assert_array_equal(measured[1].close, rows(range(20)).close)


@pytest.mark.parametrize(
    ("exchange", "pair", "timeframe", "start"),
    [
        ("kraken", "BTC/USD", "5m", START),  # another pair is at binance
        ("binance", "BTC/USDT", "1h", START),
        ("binance", "BTC/USDT", "5m", START + 40 * 86_400_000),  # other months
    ],
)
def test_nothing_else_is_compared(store, exchange, pair, timeframe, start):
    assert stored_elsewhere(store, exchange, pair, timeframe, start, start + STEP) == {}


def test_a_damaged_month_is_left_out_and_left_alone(store):
    (month,) = candle_path(store, "kraken", "BTC/USDT", "5m").glob("*.parquet")
    month.write_bytes(b"torn")
    assert stored_elsewhere(store, "binance", "BTC/USDT", "5m", START, END) == {}
    assert month.read_bytes() == b"torn"


def test_a_month_that_cannot_be_opened_is_left_out(store):
    (month,) = candle_path(store, "kraken", "BTC/USDT", "5m").glob("*.parquet")
    month.unlink()
    month.mkdir()
    assert stored_elsewhere(store, "binance", "BTC/USDT", "5m", START, END) == {}


def test_a_store_that_is_not_there(tmp_path):
    assert stored_elsewhere(tmp_path / "none", "binance", "BTC/USDT", "5m", START, END) == {}
