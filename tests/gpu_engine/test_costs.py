"""Slippage and fees (fills rules §6, exits rules §5), one figure at a time, at an open of 100."""

import pytest

from gpu_engine import REASONS, Costs, RiskLimits
from support.backtest import Backtest, Signal, make_candles

SIGNAL_BAR = (100, 100, 100, 100)
QUIET = (100, 101, 99, 100)
SLIPPAGE = Costs(fee_rate=0.0, slippage=0.01)
LONG_ENTRY, SHORT_ENTRY = 101.0, 99.0  # 100 * (1 + 0.01), 100 * (1 - 0.01)
HOLD_1 = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None, max_holding_bars=1)

# ATR 4: the stop is 4 and the target 6 away from the entry.
MARKET_AND_LIMIT_ORDERS = {
    "stop_gap, long": (+1, [QUIET, (90, 91, 89, 90)], 90 * 0.99),
    "stop_gap, short": (-1, [QUIET, (110, 111, 109, 110)], 110 * 1.01),
    "target_gap, long": (+1, [QUIET, (110, 111, 109, 110)], LONG_ENTRY + 6),
    "target_gap, short": (-1, [QUIET, (90, 91, 89, 90)], SHORT_ENTRY - 6),
    "stop, long": (+1, [(100, 101, 90, 95)], (LONG_ENTRY - 4) * 0.99),
    "stop, short": (-1, [(100, 110, 99, 95)], (SHORT_ENTRY + 4) * 1.01),
    "target, long": (+1, [(100, 110, 99, 100)], LONG_ENTRY + 6),
    "target, short": (-1, [(100, 101, 90, 100)], SHORT_ENTRY - 6),
    "end, long": (+1, [(100, 101, 99, 100.5)], 100.5 * 0.99),
    "end, short": (-1, [(100, 101, 99, 100.5)], 100.5 * 1.01),
}


@pytest.mark.parametrize("name", MARKET_AND_LIMIT_ORDERS)
def test_market_orders_slip_and_limit_orders_do_not(backend, name):
    side, rows, price = MARKET_AND_LIMIT_ORDERS[name]
    candles = make_candles([SIGNAL_BAR, *rows])
    (trade,) = Backtest(candles, (Signal(0, side, atr=4.0),), SLIPPAGE).run(backend).trades
    assert REASONS[trade["reason"]] == name.split(",")[0]
    entry = LONG_ENTRY if side > 0 else SHORT_ENTRY
    assert (trade["entry"], trade["exit"]) == pytest.approx((entry, price), rel=1e-14)
    assert trade["ret"] == pytest.approx(side * (price - entry) / entry, abs=1e-15)


@pytest.mark.parametrize("side", [+1, -1])
def test_a_time_exit_slips(backend, side):
    candles = make_candles([SIGNAL_BAR, (100, 101, 99, 100.5), QUIET])
    signals = (Signal(0, side, atr=4.0),)
    (trade,) = Backtest(candles, signals, SLIPPAGE, HOLD_1).run(backend).trades
    assert REASONS[trade["reason"]] == "time"
    assert trade["exit"] == pytest.approx(100.5 * (1 - side * 0.01), rel=1e-14)


@pytest.mark.parametrize(("side", "gross"), [(+1, 0.03), (-1, -0.03)])
def test_the_fee_is_paid_on_both_notionals(backend, side, gross):
    """In at 100, out at 103: 0.001 of 1 and 0.001 of 1.03, on the entry's notional."""
    candles = make_candles([SIGNAL_BAR, (100, 103, 100, 103)])
    signals = (Signal(0, side, atr=50.0),)
    costs = Costs(fee_rate=0.001, slippage=0.0)
    result = Backtest(candles, signals, costs).run(backend)
    assert result.trades["ret"].tolist() == pytest.approx([gross - 0.00203], abs=1e-15)
    assert result.metrics["net_profit"] == pytest.approx(gross - 0.00203, abs=1e-15)


def test_a_fraction_of_equity_scales_the_equity_return_alone(backend):
    candles = make_candles([SIGNAL_BAR, (100, 104, 100, 104), (100, 105, 100, 105)])
    risk = RiskLimits(0.25, None, None, max_holding_bars=1)
    signals = (Signal(0, atr=50.0), Signal(1, atr=50.0))
    result = Backtest(candles, signals, Costs(0.0, 0.0), risk).run(backend)
    assert result.trades["ret"].tolist() == pytest.approx([0.04, 0.05], abs=1e-15)
    assert result.metrics["net_profit"] == pytest.approx(1.01 * 1.0125 - 1, abs=1e-15)
    assert result.metrics["avg_win"] == pytest.approx(0.01125, abs=1e-15)


def test_the_costs_of_the_spec_are_the_default():
    assert (Costs().fee_rate, Costs().slippage) == (0.001, 0.0005)
