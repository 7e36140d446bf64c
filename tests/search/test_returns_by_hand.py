"""Every trade of a whole backtest pays what ten lines say, written from exits rules §6 alone."""

import numpy as np
import pytest

from gpu_engine import REASONS, Costs, Funding, RiskLimits, Window, choose
from pipeline.search import Evaluator, single_point
from pipeline.strategies.registry import load_strategy
from support.coarse import coarse_candles

FEE, MAKER, SLIPPAGE, LOAN = 0.0005, -0.0001, 0.0002, 0.02
EIGHT_HOURS = 8 * 3_600_000
#: What makes a strategy trade often on coarse candles: its structure and its loosest limits.
OFTEN = {
    "donchian_breakout": {"entry_channel": 20, "exit_channel": 10, "stop_distance": 3},
    "failed_breakdown": {
        "range_lookback_periods": 10,
        "breakdown_depth": 0,
        "volume_decline_threshold": 4,
        "spring_confirmation_volume": 0,
        "accumulation_score_min": 0,
        "stop_offset": 1,
    },
}


@pytest.fixture(scope="module")
def candles():
    """A hundred days of 15m candles."""
    return coarse_candles(np.random.default_rng(3), 9_600, step_ms=900_000)


@pytest.fixture(scope="module")
def funding(candles):
    """Every eight hours, some seconds late, as exchanges stamp it."""
    times = np.arange(int(candles.timestamp[0]), int(candles.timestamp[-1]), EIGHT_HOURS)
    rates = np.random.default_rng(4).normal(0.0001, 0.001, len(times))
    return Funding(times + np.arange(len(times)) % 3, rates)


def by_hand(candles, trade, funding, loan):
    """The net return on notional of one trade."""
    side, e, j = int(trade["side"]), trade["entry_bar"], trade["exit_bar"]
    entry = float(candles.open[e]) * (1 + side * SLIPPAGE)
    out = MAKER if "target" in REASONS[trade["reason"]] else FEE
    ret = side * (trade["exit"] / entry - 1) - FEE - out * trade["exit"] / entry
    for time, rate in funding:
        if candles.timestamp[e] < time <= candles.timestamp[j]:
            ret -= side * rate
    if side < 0:
        ret -= loan * (candles.timestamp[j] + candles.step_ms - candles.timestamp[e]) / 86_400_000
    return ret


@pytest.mark.parametrize("backend", ["reference", "numpy", "numba"])
@pytest.mark.parametrize("word", OFTEN)
@pytest.mark.parametrize("kind", ["contract", "spot"])
def test_every_trade_of_a_backtest(candles, funding, kind, word, backend):
    spot = kind == "spot"
    costs = Costs(FEE, SLIPPAGE, MAKER, None if spot else funding, LOAN)
    risk = RiskLimits(0.01, None, None, leverage=None if spot else 75.0)
    strategy = load_strategy(word)
    space = single_point(strategy, strategy.example | OFTEN[word])
    evaluator = Evaluator(candles, space, costs, risk, choose(backend).backend)
    point = space.points(np.zeros(1, np.int64))[0]
    trades = evaluator.trades(point, Window(0, len(candles)))
    paid = [] if spot else list(zip(funding.timestamp, funding.rate, strict=True))
    expected = [by_hand(candles, trade, paid, LOAN if spot else 0.0) for trade in trades]
    np.testing.assert_allclose(trades["ret"], expected, rtol=0, atol=1e-12)
    reasons = {REASONS[reason] for reason in trades["reason"]}
    assert len(trades) > 100
    assert ("stop" if spot else "liquidation") in reasons
    assert ("target" in reasons) == (word == "failed_breakdown")
    equity = np.prod(1.0 + 0.01 * (1.0 if spot else 75.0) * np.array(expected))
    metrics = evaluator.points(point[None], (Window(0, len(candles)),))[0, 0]
    assert metrics["net_profit"] == pytest.approx(equity - 1.0, rel=1e-9)
