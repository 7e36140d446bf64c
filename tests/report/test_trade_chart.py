"""Trades on their candles."""

import numpy as np
import pytest

from gpu_engine import TARGET, TRADE, Candles
from pipeline.report.candle_chart import Units
from pipeline.report.theme import OUT_OF_SAMPLE, neutral
from pipeline.report.trades import MARGIN, around, newest_trades, trades_on_candles
from pipeline.review.trade_levels import Levels


def candles(n):
    """Minutes whose open is their number."""
    bar = np.arange(n, dtype=np.float64)
    volume, filled = np.ones(n), np.zeros(n, bool)
    time = (bar * 60_000).astype(np.int64)
    return Candles(time, bar, bar + 2, bar - 2, bar + 1, volume, filled, 60_000)


def trade(side, sweep, entry, end, ret):
    return np.array([(side, sweep, sweep, entry, end, 10.0, 12.0, TARGET, ret, 9.0, 12.0)], TRADE)


UNITS = Units("BTC", "USDT")


def test_candles_are_drawn_over_their_whole_time():
    columns = trades_on_candles(candles(6), trade(1, 0, 1, 5, 0.1), UNITS, limit=3)["data"][0]
    assert columns["x"] == ["1970-01-01T00:00", "1970-01-01T00:03"]
    assert (columns["xperiod"], columns["xperiodalignment"]) == (180_000, "middle")
    assert columns["open"] == [0, 3]
    assert columns["high"] == [4, 7]
    assert columns["low"] == [-2, 1]
    assert columns["close"] == [3, 6]


def test_few_candles_are_drawn_as_they_are():
    drawn = trades_on_candles(candles(3), trade(1, 0, 1, 2, 0.1), UNITS, limit=3)["data"][0]
    assert (drawn["open"], drawn["xperiod"]) == ([0, 1, 2], 60_000)


def test_a_trade_is_a_line_from_entry_to_exit():
    made = trades_on_candles(candles(9), trade(-1, 1, 2, 4, 0.01), UNITS)
    _, gained, lost, entries = made["data"]
    assert gained["x"] == ["1970-01-01T00:02", "1970-01-01T00:04", None]
    assert gained["y"] == [10.0, 12.0, None]
    assert gained["text"][0] == "short, +1.0 %, target"
    assert lost["x"] == []
    assert entries["marker"]["symbol"] == ["triangle-down"]
    assert made["layout"]["yaxis"]["title"]["text"] == "price, USDT"
    assert made["layout"]["xaxis"]["title"]["text"] == "time, UTC"


def test_only_trades_of_the_span_are_drawn():
    both = np.concatenate([trade(1, 1, 2, 4, 0.01), trade(1, 6, 7, 8, -0.01)])
    _, gained, lost, _ = trades_on_candles(candles(9), both, UNITS, (5, 9))["data"]
    assert (len(gained["x"]), len(lost["x"])) == (0, 3)


def test_the_newest_trade_comes_first_with_its_levels():
    both = np.concatenate([trade(1, 1, 2, 4, 0.01), trade(1, 6, 6, 8, -0.01)])
    levels = Levels(np.array([9.0, 9.0, 9.5]), {"swept level": 8.0})
    newest, older = newest_trades(
        candles(9), both, UNITS, lambda one: levels if one["entry_bar"] == 6 else None
    )
    stop, first, target, swept = newest["data"][4:]
    assert (stop["name"], stop["y"]) == ("stop 9.5", [9.0, 9.0, 9.5, 9.5])
    assert stop["x"] == [f"1970-01-01T00:0{minute}" for minute in (6, 7, 8, 8)]
    assert (first["name"], first["y"]) == ("first stop 9", [9.0, 9.0])
    assert (target["name"], target["y"]) == ("target 12", [12.0, 12.0])
    assert (swept["name"], swept["y"]) == ("swept level 8", [8.0, 8.0])
    assert [line["name"] for line in older["data"][4:]] == ["stop 9", "target 12"]


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


def test_nobody_gained_or_lost_on_invented_candles():
    drawn = trades_on_candles(candles(9), trade(1, 1, 2, 4, 0.01), UNITS)
    assert neutral(drawn, False) is drawn
    assert neutral(drawn, True)["data"][1]["line"]["color"] == OUT_OF_SAMPLE
