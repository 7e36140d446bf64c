"""Trades on their candles."""

import numpy as np
import pytest

from gpu_engine import TARGET, TRADE, Candles
from pipeline.report.trades import MARGIN, around, joined, trades_on_candles


def candles(n):
    """Minutes whose open is their number."""
    bar = np.arange(n, dtype=np.float64)
    volume, filled = np.ones(n), np.zeros(n, bool)
    time = (bar * 60_000).astype(np.int64)
    return Candles(time, bar, bar + 2, bar - 2, bar + 1, volume, filled, 60_000)


def trade(side, sweep, entry, end, ret):
    return np.array([(side, sweep, sweep, entry, end, 10.0, 12.0, TARGET, ret, 9.0, 12.0)], TRADE)


def test_joined_candles_keep_the_extremes():
    columns = joined(candles(5), limit=3)
    assert columns["x"] == ["1970-01-01T00:00", "1970-01-01T00:02", "1970-01-01T00:04"]
    assert columns["open"].tolist() == [0, 2, 4]
    assert columns["high"].tolist() == [3, 5, 6]
    assert columns["low"].tolist() == [-2, 0, 2]
    assert columns["close"].tolist() == [2, 4, 5]


def test_few_candles_are_drawn_as_they_are():
    assert joined(candles(3), limit=3)["open"].tolist() == [0, 1, 2]


def test_a_trade_is_a_line_from_entry_to_exit():
    _, gained, lost, entries = trades_on_candles(candles(9), trade(-1, 1, 2, 4, 0.01))["data"]
    assert gained["x"] == ["1970-01-01T00:02", "1970-01-01T00:04", None]
    assert gained["y"] == [10.0, 12.0, None]
    assert gained["text"][0] == "short, +1.00%, target"
    assert lost["x"] == []
    assert entries["marker"]["symbol"] == ["triangle-down"]


def test_only_trades_of_the_span_are_drawn():
    both = np.concatenate([trade(1, 1, 2, 4, 0.01), trade(1, 6, 7, 8, -0.01)])
    _, gained, lost, _ = trades_on_candles(candles(9), both, (5, 9))["data"]
    assert (len(gained["x"]), len(lost["x"])) == (0, 3)


@pytest.mark.parametrize(
    ("sweep", "end", "span"), [(5, 50, (0, 51 + MARGIN)), (50, 99, (50 - MARGIN, 100))]
)
def test_one_trade_is_seen_with_what_is_around_it(sweep, end, span):
    assert around(candles(100), trade(1, sweep, sweep + 2, end, 0.0)[0]) == span


def test_stored_prices_are_within_their_candles(report):
    record = report.artifacts
    entry, bars = record.trades["entry"], record.trades["entry_bar"]
    slippage = 1.002
    assert (entry <= report.candles.high[bars] * slippage).all()
    assert (entry >= report.candles.low[bars] / slippage).all()
