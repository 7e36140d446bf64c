"""Fills rules §10.4: daily returns marked to market, against an account that is kept bar by bar."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpu_engine import (
    DAY_MS,
    TRADE,
    Costs,
    Funding,
    RiskLimits,
    Window,
    engine,
    marked_metrics,
    marked_returns,
    metrics_of,
)
from support.agreement import assert_same_metrics
from support.backtest import HOUR, MIDNIGHT, NO_BREAKERS, Backtest, Signal, make_candles
from support.random_market import only, random_market
from support.repricing import repriced

seeds = st.integers(0, 2**32 - 1)
EIGHT_HOURS = 8 * HOUR
PAID = Costs(fee_rate=0.001, slippage=0.0005)


def closes_of(equity):
    """Returns of equities at the ends of days; nothing happens after ruin."""
    returns, before = [], 1.0
    for now in equity:
        returns.append(0.0 if before <= 0.0 else now / before - 1.0)
        before = before if before <= 0.0 else now
    return returns


@settings(max_examples=80)
@given(seed=seeds, n_bars=st.integers(1, 120))
def test_marked_is_what_the_account_held_at_the_close(seed, n_bars):
    world = random_market(np.random.default_rng(seed), n_bars, every_exit=True)
    market, exposure = world.load("numba"), world.risk.exposure
    for window in world.windows:
        for combination in range(min(3, len(world.batch))):
            trades = engine.trades(market, only(world.batch, combination), window)
            marked = marked_returns(world.candles, trades, window, world.costs, exposure)
            account = repriced(world.candles, trades, window, world.costs, exposure)
            # An equity that is 0 but for rounding is ruin by one sum and none by the other.
            assume(all(abs(equity) > 1e-9 for equity in account))
            np.testing.assert_allclose(marked, closes_of(account), rtol=1e-9, atol=1e-12)
            assert marked.shape == (world.candles.days_of(window),)


@settings(max_examples=40)
@given(seed=seeds, n_bars=st.integers(1, 120))
def test_marked_and_closed_end_at_the_same_equity(seed, n_bars):
    world = random_market(np.random.default_rng(seed), n_bars, every_exit=True)
    fraction = 0.5 / (world.risk.leverage or 1.0)  # no ruin
    world = world._replace(risk=replace(world.risk, position_fraction=fraction))
    market, exposure = world.load("numba"), world.risk.exposure
    for window in world.windows:
        closed = engine.daily_returns(market, world.batch, window)
        for combination, daily in enumerate(closed):
            trades = engine.trades(market, only(world.batch, combination), window)
            marked = marked_returns(world.candles, trades, window, world.costs, exposure)
            assert np.prod(1.0 + marked) == pytest.approx(np.prod(1.0 + daily), rel=1e-12)
            held = {
                day
                for trade in trades
                for day in world.candles.day[trade["entry_bar"] : trade["exit_bar"] + 1]
                if world.candles.day[trade["entry_bar"]] != world.candles.day[trade["exit_bar"]]
            }
            days = world.candles.day[window.start] + np.arange(len(daily))
            within = np.array([day not in held for day in days])
            np.testing.assert_array_equal(marked[within], daily[within])


def three_days(close_of_day, side=+1, costs=PAID, risk=NO_BREAKERS):
    """One trade, from the second bar of the first day to the window's end; three days of 8 h."""
    bars = [(100.0, 100.0, 100.0, 100.0)] * 2
    for day, close in enumerate(close_of_day):
        start = bars[-1][3]
        bars += [(start, start, start, start)] * (2 if day else 0)
        bars.append((start, max(start, close), min(start, close), close))
    candles = make_candles(bars, step_ms=EIGHT_HOURS)
    result = Backtest(
        candles, (Signal(0, side),), costs=costs, risk=risk, setting={"holding_bars": 99.0}
    ).run("reference")
    window = Window(0, len(candles))
    marked = marked_returns(candles, result.trades, window, costs, risk.position_fraction)
    return result, marked


@pytest.mark.parametrize(
    ("side", "closes"), [(+1, (90.0, 80.0, 120.0)), (-1, (110.0, 120.0, 85.0))]
)
def test_an_open_loss_is_seen_on_its_day(side, closes):
    result, marked = three_days(closes, side)
    entry = 100.0 * (1.0 + 0.0005 * side)
    equity = [1.0 + side * (close - entry) / entry - 0.001 for close in closes[:2]]
    equity.append(1.0 + result.trades["ret"][0])
    np.testing.assert_allclose(np.cumprod(1.0 + marked), equity, rtol=1e-12)
    assert result.daily_returns[:2].tolist() == [0.0, 0.0]
    metrics = marked_metrics(result.trades["ret"], marked)
    assert metrics["max_drawdown"] == pytest.approx(1.0 - equity[1], rel=1e-12)
    assert result.metrics["max_drawdown"] == 0.0


def test_fraction_of_the_equity_is_what_moves():
    half = replace(NO_BREAKERS, position_fraction=0.5)
    result, marked = three_days((90.0, 80.0, 120.0), risk=half)
    entry = 100.05
    assert marked[0] == pytest.approx(0.5 * ((90.0 - entry) / entry - 0.001), rel=1e-12)
    assert np.prod(1.0 + marked) == pytest.approx(1.0 + 0.5 * result.trades["ret"][0], rel=1e-12)


def test_the_rate_of_midnight_is_paid_by_whoever_holds_through_it():
    rates = Funding(MIDNIGHT + DAY_MS * np.array([0, 1, 2, 3]), np.array([0.5, 0.01, 0.02, 0.5]))
    free = Costs(fee_rate=0.0, slippage=0.0, funding=rates)
    result, marked = three_days((100.0, 100.0, 100.0), costs=free)
    np.testing.assert_allclose(np.cumprod(1.0 + marked), [0.99, 0.97, 0.97], rtol=1e-12)
    assert result.trades["ret"][0] == pytest.approx(-0.03, rel=1e-12)
    _, short = three_days((100.0, 100.0, 100.0), -1, costs=free)
    np.testing.assert_allclose(np.cumprod(1.0 + short), [1.01, 1.03, 1.03], rtol=1e-12)


def test_ruin_at_a_close_ends_the_account():
    free = Costs(fee_rate=0.0, slippage=0.0)
    result, marked = three_days((150.0, 210.0, 90.0), -1, costs=free)
    np.testing.assert_allclose(marked, [-0.5, -0.1 / 0.5 - 1.0, 0.0], rtol=1e-12)
    assert result.metrics["net_profit"] == pytest.approx(0.1)
    metrics = marked_metrics(result.trades["ret"], marked)
    assert metrics["net_profit"] == pytest.approx(-1.1)
    assert metrics["max_drawdown"] == pytest.approx(1.1)
    assert metrics["calmar_ratio"] == pytest.approx(-1.0 / 1.1)


def test_no_trade_is_a_series_of_zeros():
    candles = make_candles([(100.0,) * 4] * 7, step_ms=EIGHT_HOURS)
    marked = marked_returns(candles, np.zeros(0, TRADE), Window(1, 7), PAID, 1.0)
    assert (marked.dtype, marked.tolist()) == (np.dtype(np.float64), [0.0, 0.0, 0.0])


def test_metrics_are_those_of_the_trades_but_for_the_series(candles_of_hours):
    """With every trade inside a day both series are one, and so are their figures."""
    result, candles = candles_of_hours
    marked = marked_returns(candles, result.trades, Window(0, len(candles)), PAID, 1.0)
    np.testing.assert_array_equal(marked, result.daily_returns)
    once = metrics_of(result.trades["ret"], result.daily_returns)
    again = marked_metrics(result.trades["ret"], marked)
    assert_same_metrics(again, once)


@pytest.fixture
def candles_of_hours():
    rng = np.random.default_rng(5)
    close = 100.0 + rng.normal(0.0, 0.5, 24 * 6).cumsum()
    opening = np.concatenate(([100.0], close[:-1]))
    rows = zip(opening, np.maximum(opening, close), np.minimum(opening, close), close, strict=True)
    candles = make_candles(list(rows))
    signals = tuple(Signal(24 * day + 2, side=1 - 2 * (day % 2)) for day in range(6))
    setting = {"holding_bars": 5.0}
    risk = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None)
    return Backtest(candles, signals, costs=PAID, risk=risk, setting=setting).run("numba"), candles
