"""Candles, trades and levels as rows of a chart that an ECharts page draws."""

import numpy as np
import pytest

from gpu_engine import END, SIGNAL, STOP, TARGET, TIME, TRADE
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.store.levels import joined
from pipeline.report.candle_chart import (
    Line,
    Units,
    candle_rows,
    exit_times,
    line_rows,
    option,
    part_of,
    percents,
    trade_rows,
)

MINUTE = 60_000


def test_a_candle_is_drawn_from_its_open_to_its_close():
    bar = np.arange(3.0)
    raw = RawCandles((bar * MINUTE).astype(np.int64), bar, bar + 2, bar - 2, bar + 1, bar + 10)
    assert candle_rows(joined(raw, MINUTE, 3 * MINUTE), 3 * MINUTE) == [
        [0, 3 * MINUTE, 0.0, 4.0, -2.0, 3.0, 33.0, 3, 3 * MINUTE // 2]
    ]


def test_a_zoom_in_percent_is_the_part_that_was_seen():
    span = (1_000_000, 5_000_000)
    assert percents(span, (2_000_000, 3_000_000)) == (25.0, 50.0)
    assert percents(span, (0, 9_000_000)) == (0.0, 100.0)
    assert part_of(span, 25.0, 50.0) == (2_000_000, 3_000_000)


@pytest.mark.parametrize(
    ("reason", "after"), [(SIGNAL, 0), (STOP, MINUTE // 2), (TARGET, MINUTE // 2), (TIME, MINUTE)]
)
def test_a_trade_ends_where_candles_can_tell_it_did(reason, after):
    trades = np.array([(-1, 1, 1, 2, 4, 10.0, 9.0, reason, 0.1, 11.0, np.nan)], TRADE)
    assert exit_times(trades, 7, MINUTE).tolist() == [7 + 4 * MINUTE + after]


def test_a_row_says_side_outcome_number_and_choice():
    trades = np.array(
        [
            (1, 1, 1, 2, 4, 10.0, 12.0, TARGET, 0.19, 9.0, 12.0),
            (-1, 5, 5, 6, 8, 10.0, 11.0, END, -0.1, 9.0, np.nan),
        ],
        TRADE,
    )
    gained, lost = trade_rows(trades, 41, 0, MINUTE, chosen=42)
    assert gained == [2 * MINUTE, 10.0, 4 * MINUTE + MINUTE // 2, 12.0, 1, 1, 41, 0]
    assert lost == [6 * MINUTE, 10.0, 9 * MINUTE, 11.0, -1, 0, 42, 1]


def test_a_level_has_a_stretch_for_every_price_and_no_other():
    time = np.array([0, 10, 20, 30, 40])
    rows = line_rows([Line("stop", time, np.array([np.nan, 5.0, 5.0, 6.0]))])
    assert rows == [[10, 5.0, 30, 5.0, "stop", ""], [30, 6.0, 40, 6.0, "stop", "stop 6"]]
    assert line_rows([Line("target", time[:2], np.array([np.nan]))]) == []


def test_axes_name_what_they_measure():
    made = option((0, 100), (25, 75), 1, Units.of("BTC/USDT:USDT"), touch=False)
    assert [axis["name"] for axis in made["yAxis"]] == ["price, USDT", "volume, BTC"]
    assert made["xAxis"][1]["name"] == "time, UTC"
    assert made["useUTC"] is True
    assert [(zoom["start"], zoom["end"]) for zoom in made["dataZoom"]] == [(25.0, 75.0)] * 2
