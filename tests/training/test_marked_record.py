"""The stored series against the stored trades and the candles: every day priced once more.

Nothing of the engine is asked: `support.repricing` keeps an account by the trades of
``trades.parquet``, window after window.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gpu_engine import Costs, Window
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.review.stored import load_again, simulation_config
from support.parameters import STOP, TARGET
from support.repricing import repriced
from support.runs import QUICK, SMALL_GRID, ask, run_here

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
#: Wide stops and far targets: trades last for days, and windows cut them off.
LONG_TRADES = (
    *SMALL_GRID[:-2],
    f"strategy.parameters.{STOP}.grid=[4.0,8.0]",
    f"strategy.parameters.{TARGET}.grid=[3.0,6.0]",
    "min_trades=3",
)


def bars_of(candles, dates):
    """Bars of two UTC dates, both included."""
    first, last = np.array(dates, "datetime64[D]").astype(np.int64)
    return Window(*np.searchsorted(candles.day, [first, last + 1]).tolist())


def assert_series_is_the_account(folder, candles, result, fraction):
    """Compare ``out_of_sample.parquet``, and the metrics of `result.json`, with the account."""
    (record,) = folder.glob("var/artifacts/*")
    stored = pq.read_table(record / "out_of_sample.parquet").to_pydict()
    trades = pq.read_table(record / "trades.parquet").to_pylist()
    costs, equity, marked, closed, hold = Costs(), 1.0, [], [], []
    for window in result["windows"]:
        test = bars_of(candles, window["test"])
        own = [t for t in trades if test.start <= t["entry_bar"] < test.end]
        ends = repriced(candles, own, test, costs, fraction)
        marked += [equity * end for end in ends]
        for day in range(len(ends)):
            date = candles.day[test.start] + day
            product = 1.0
            for trade in own:
                if candles.day[trade["exit_bar"]] == date:
                    product *= 1.0 + fraction * trade["ret"]
            closed.append(product - 1.0)
            close, before = (
                candles.close[np.flatnonzero(candles.day == d)[-1]] for d in (date, date - 1)
            )
            hold.append(close / before - 1.0)
        equity = marked[-1]
    np.testing.assert_allclose(np.cumprod(1.0 + np.array(stored["return"])), marked, rtol=1e-11)
    np.testing.assert_allclose(stored["closed"], closed, rtol=0, atol=1e-12)
    np.testing.assert_allclose(stored["hold"], hold, rtol=1e-12)
    path = np.array([1.0, *marked])
    drawdown = (1.0 - path / np.maximum.accumulate(path)).max()
    assert result["out_of_sample"]["max_drawdown"] == pytest.approx(drawdown, rel=1e-9)
    assert result["out_of_sample"]["net_profit"] == pytest.approx(equity - 1.0, rel=1e-9)
    return [t for t in trades if candles.day[t["entry_bar"]] < candles.day[t["exit_bar"]]]


@pytest.mark.parametrize(
    ("file", "market", "timeframe", "fraction"),
    [
        ("binance_BTC-USDT_1h_2023-01_2023-12", "btc_binance", "1h", 1.0),
        ("binance_ETH-USDT_15m_2024-01_2024-09", "eth_binance", "15m", 0.5),
    ],
)
def test_real_candles(tmp_path, file, market, timeframe, fraction):
    path = (SHARED / f"{file}.parquet").resolve()
    if not path.is_file():
        pytest.skip("the real candles (shared/data beside the repository) are absent")
    finished = run_here(
        tmp_path,
        "data=file",
        f"data.path={path}",
        f"market={market}_{timeframe}",
        f"risk.position_fraction={fraction}",
        "optimizer=grid",
        *LONG_TRADES,
    )
    assert finished.status == 0, finished.err
    candles, _ = make_regular(read_file(path), timeframe, path.name)
    over_night = assert_series_is_the_account(tmp_path, candles, finished.result, fraction)
    assert len(over_night) > 3
    closed = finished.result["statistics"]["closed"]["max_drawdown"]
    assert closed != finished.result["out_of_sample"]["max_drawdown"]


def test_generated_candles(tmp_path):
    finished = run_here(tmp_path, *QUICK, "optimizer=grid", *LONG_TRADES)
    assert finished.status == 0, finished.err
    (row,) = finished.configurations
    config = ask(tmp_path, lambda repository: simulation_config(repository, row))
    candles = load_again(config, config.data, row, lambda text: None, named=False).candles
    over_night = assert_series_is_the_account(tmp_path, candles, finished.result, 1.0)
    assert len(over_night) > 3
