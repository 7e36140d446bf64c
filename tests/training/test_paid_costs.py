"""The trades that a training stores, each held against ten lines of exits rules §6.

A spot market whose shorts borrow, and a perpetual contract that pays funding and is leveraged, on
the same candles.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from gpu_engine import REASONS
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from support.real_candles import real_candles
from support.runs import run_here

HOUR, DAY = 3_600_000, 86_400_000
FEE, MAKER, SLIPPAGE, LOAN = 0.0005, -0.0001, 0.0002, 0.001
COSTS = (
    f"costs.fee_rate={FEE}",
    f"costs.maker_fee={MAKER}",
    f"costs.slippage={SLIPPAGE}",
)
SEARCH = (
    "strategy=donchian_breakout",
    "strategy.parameters.entry_channel.grid=[10,20]",
    "strategy.parameters.exit_channel.grid=[10]",
    "strategy.parameters.volume_factor.grid=[0]",
    "strategy.parameters.stop_distance.grid=[2,3]",
    "validation.evidence=deciding",
)
LEVERAGE = ("+market.settle=USDT", "risk.leverage=60", "risk.position_fraction=0.01")


def written(folder, timestamp, prices):
    """Candles and invented funding, a payment every eight hours, as files."""
    pd.DataFrame({"timestamp": timestamp, **prices}).to_parquet(folder / "candles.parquet")
    times = np.arange(timestamp[0], timestamp[-1], 8 * HOUR)
    rates = np.random.default_rng(1).normal(0.0001, 0.0005, len(times)).round(8)
    pd.DataFrame({"calc_time": times, "last_funding_rate": rates}).to_csv(
        folder / "BTCUSDT-fundingRate-2023.csv", index=False
    )
    return list(zip(times.tolist(), rates.tolist(), strict=True))


def by_hand(trade, timestamp, opens, funding, loan):
    """The net return on notional of one trade."""
    side, e, j = trade["side"], trade["entry_bar"], trade["exit_bar"]
    entry = opens[e] * (1 + side * SLIPPAGE)
    out = MAKER if "target" in REASONS[trade["reason"]] else FEE
    ret = side * (trade["exit"] / entry - 1) - FEE - out * trade["exit"] / entry
    for time, rate in funding:
        if timestamp[e] < time <= timestamp[j]:
            ret -= side * rate
    if side < 0:
        ret -= loan * (timestamp[j] + HOUR - timestamp[e]) / DAY
    return ret


def check(folder, timestamp, prices, words, loan, exposure):
    """Train, and compare every stored trade; return trades and result."""
    funding = written(folder, timestamp, prices)
    data = ("data=file", "data.path=candles.parquet", "market=btc_binance_1h")
    borrowed = (f"costs.borrow_rate={loan}",) if loan else ()
    finished = run_here(folder, *data, *COSTS, *borrowed, *SEARCH, *words)
    assert finished.status == 0, finished.err
    (record,) = folder.glob("var/artifacts/*")
    trades = pq.read_table(record / "trades.parquet").to_pylist()
    opens = prices["open"]
    paid = funding if not loan else []
    expected = [by_hand(trade, timestamp, opens, paid, loan) for trade in trades]
    np.testing.assert_allclose([t["ret"] for t in trades], expected, rtol=0, atol=1e-12)
    growth = np.prod(1.0 + exposure * np.array(expected))
    result = finished.result
    assert result["out_of_sample"]["net_profit"] == pytest.approx(growth - 1.0, rel=1e-9)
    return trades, result


def generated():
    """Two hundred days of hours."""
    candles = make_regular(synthetic_candles(200, "1h", 3, 0.8), "1h", "generated")[0]
    columns = ("open", "high", "low", "close", "volume")
    return candles.timestamp, {name: getattr(candles, name) for name in columns}


def test_a_spot_market_whose_shorts_borrow(tmp_path):
    trades, result = check(tmp_path, *generated(), (), LOAN, 1.0)
    shorts = [t for t in trades if t["side"] < 0]
    held = sum(t["exit_bar"] + 1 - t["entry_bar"] for t in shorts)
    assert result["statistics"]["costs"]["borrow"] == pytest.approx(LOAN * held / 24)
    alone = result["statistics"]["long_alone"]
    assert alone["trades"] >= len(trades) - len(shorts) > 10


def test_a_contract_with_funding_and_leverage(tmp_path):
    funding = ("data.funding=BTCUSDT-fundingRate-2023.csv",)
    trades, result = check(tmp_path, *generated(), (*LEVERAGE, *funding), 0.0, 0.6)
    assert "borrow" not in result["statistics"]["costs"]
    assert result["statistics"]["costs"]["funding"] != 0.0
    assert "long_alone" not in result["statistics"]
    liquidated = [t for t in trades if REASONS[t["reason"]] == "liquidation"]
    assert result["statistics"]["liquidations"] == len(liquidated) > 0
    assert len(trades) > 30


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spot", "contract"])
def test_a_real_year_side_by_side(tmp_path, kind):
    """The candles are real, the funding is not: no history of it is at hand."""
    candles = real_candles("binance_BTC-USDT_1h_2023-01_2023-12")
    prices = {name: getattr(candles, name) for name in candles.COLUMNS[1:6]}
    if kind == "spot":
        trades, _ = check(tmp_path, candles.timestamp, prices, (), LOAN, 1.0)
    else:
        words = (*LEVERAGE, "data.funding=BTCUSDT-fundingRate-2023.csv")
        trades, _ = check(tmp_path, candles.timestamp, prices, words, 0.0, 0.6)
    assert len(trades) > 100
