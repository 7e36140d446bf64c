"""A year of real candles as a spot market and as a perpetual contract, side by side.

`docs/perpetuals.md` has the table: scripts/test tests/search/test_spot_and_perpetual.py -s
"""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import Costs, Funding, RiskLimits, Window, choose
from pipeline.search import Evaluator, single_point
from pipeline.strategies.registry import load_strategy
from support.real_candles import real_candles

EIGHT = 28_800_000
SPOT = Costs(0.001, 0.0005)
CONTRACT = Costs(0.0005, 0.0005, maker_fee=0.0002)
BORROWED = Costs(0.001, 0.0005, borrow_rate=0.0003)


def drawn_funding(candles, seed=0):
    """A payment every 8 hours: 0.01 % on average, as slow to change as rates are (AR(1), 0.9)."""
    rng = np.random.default_rng(seed)
    times = np.arange(candles.timestamp[0], candles.timestamp[-1], EIGHT)
    rates = np.empty(len(times))
    rates[0] = 0.0
    for k in range(1, len(times)):
        rates[k] = 0.9 * rates[k - 1] + rng.normal(0.0, 5e-5)
    return Funding(times, np.round(rates + 1e-4, 8))


@pytest.fixture(scope="module")
def candles():
    return real_candles("binance_BTC-USDT_1h_2023-01_2023-12")


def trades_of(candles, word, costs, direction="both"):
    loaded = load_strategy(word)
    space = single_point(loaded, loaded.example)
    risk = RiskLimits(direction=direction, max_daily_loss=None, consecutive_losses_limit=None)
    evaluator = Evaluator(candles, space, costs, risk, choose("numba").backend)
    window = Window(0, len(candles))
    point = space.point(loaded.example)
    return evaluator.trades(point, window), evaluator.points(point[None], (window,))[0, 0]


@pytest.mark.parametrize("word", ["liquidity_sweep", "donchian_breakout"])
def test_the_same_trades_pay_what_their_market_takes(candles, word):
    contract = replace(candles, funding=drawn_funding(candles))
    spot, spot_metrics = trades_of(candles, word, SPOT)
    paid, _ = trades_of(contract, word, SPOT)
    own, own_metrics = trades_of(contract, word, CONTRACT)
    loan, loan_metrics = trades_of(candles, word, BORROWED)
    series = list(zip(contract.funding.timestamp, contract.funding.rate, strict=True))
    assert len(spot) > 20
    for a, b, c, d in zip(spot, paid, own, loan, strict=True):
        opened, closed = candles.timestamp[a["entry_bar"]], candles.timestamp[a["exit_bar"]]
        rates = sum(rate for time, rate in series if opened < time <= closed)
        assert (a["exit"], a["reason"]) == (b["exit"], b["reason"]) == (c["exit"], c["reason"])
        assert b["ret"] == pytest.approx(a["ret"] - a["side"] * rates, abs=1e-12)
        out = 0.0002 if a["target"] == a["exit"] else 0.0005
        cheaper = 0.0005 + (0.001 - out) * a["exit"] / a["entry"]
        assert c["ret"] == pytest.approx(b["ret"] + cheaper, abs=1e-12)
        days = (closed + 3_600_000 - opened) / 86_400_000
        assert d["ret"] == pytest.approx(a["ret"] - (a["side"] < 0) * 0.0003 * days, abs=1e-12)
    _show(word, spot, paid, own, (spot_metrics, loan_metrics, own_metrics))
    long, metrics = trades_of(candles, word, SPOT, "long")
    assert (long["side"] == 1).all()
    print(f"{word}: the long side alone on spot {metrics['net_profit']:+.2%}, {len(long)} trades")


def _show(word, spot, paid, own, metrics):
    """Print the row of the table."""
    on_spot, borrowed, on_contract = (m["net_profit"] for m in metrics)
    funding = float((spot["ret"] - paid["ret"]).sum())
    fees = float((own["ret"] - paid["ret"]).sum())
    print(f"\n{word}: {len(spot)} trades, spot {on_spot:+.2%}, shorts borrowed {borrowed:+.2%}")
    print(f"{word}: perpetual {on_contract:+.2%}, funding {funding:+.2%}, cheaper by {fees:.2%}")
