"""The records at the engine's border: fields that others store by name, and the candles' hash."""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import METRICS, REASONS, TRADE, Candles
from support.backtest import MIDNIGHT, make_candles

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


def candles():
    return make_candles([(100 + i, 102 + i, 99 + i, 101 + i) for i in range(12)], filled=[4])


def test_metrics_are_those_of_the_spec():
    assert METRICS.names == (
        "net_profit",
        "sharpe_ratio",
        "sortino_ratio",
        "max_drawdown",
        "calmar_ratio",
        "sample_size",
        "win_rate",
        "avg_win",
        "avg_loss",
        "profit_factor",
        "n_days",
    )
    counts = {name for name in METRICS.names if METRICS[name] == np.int64}
    assert counts == {"sample_size", "n_days"}


def test_trade_fields_are_those_of_the_golden_files():
    bars = ("setup_bar", "signal_bar", "entry_bar", "exit_bar")
    assert TRADE.names == ("side", *bars, "entry", "exit", "reason", "ret", "stop", "target")


def test_reasons_are_in_the_order_in_which_they_are_tried():
    assert REASONS == (
        "stop_gap",
        "target_gap",
        "signal",
        "stop",
        "target",
        "time",
        "end",
        "liquidation",
    )


def test_the_hash_of_candles_is_stable():
    expected = "6a5284e653f65f1f7548f5bcee32bda4a6924b3addda7aa271f0160e4d5a027e"
    assert candles().sha256 == expected


def test_the_hash_does_not_depend_on_the_byte_order_of_the_machine():
    columns = {name: getattr(candles(), name) for name in COLUMNS}
    swapped = {name: c.astype(c.dtype.newbyteorder(">")) for name, c in columns.items()}
    assert replace(candles(), **swapped).sha256 == candles().sha256


@pytest.mark.parametrize("bar", [0, 11])
@pytest.mark.parametrize("name", COLUMNS)
def test_the_hash_sees_the_last_bit_of_every_column(name, bar):
    column = getattr(candles(), name).copy()
    column.view(np.int64)[bar] ^= 1
    assert replace(candles(), **{name: column}).sha256 != candles().sha256


@pytest.mark.parametrize("bar", [0, 11])
def test_the_hash_sees_filled_bars_and_the_step(bar):
    filled = candles().filled.copy()
    filled[bar] ^= True
    assert replace(candles(), filled=filled).sha256 != candles().sha256
    assert replace(candles(), step_ms=60_000).sha256 != candles().sha256


def test_the_hash_keeps_columns_apart():
    some = candles()
    assert replace(some, open=some.close, close=some.open).sha256 != some.sha256


def test_day_is_the_utc_calendar_day_of_the_open():
    day = 19_723  # 2024-01-01
    bars = make_candles([(1, 1, 1, 1)] * 26, start=MIDNIGHT - 3_600_000)
    assert bars.day.dtype == np.int32
    assert bars.day.tolist() == [day - 1, *[day] * 24, day + 1]


def test_cut_keeps_the_bars_between():
    part = candles().cut(3, 6)
    assert isinstance(part, Candles)
    assert part.open.tolist() == [103, 104, 105]
    assert part.timestamp.tolist() == [MIDNIGHT + 3_600_000 * bar for bar in (3, 4, 5)]
    assert part.filled.tolist() == [False, True, False]
    assert (len(part), part.step_ms) == (3, 3_600_000)
