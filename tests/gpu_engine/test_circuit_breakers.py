"""Fills rules §9. Bars 0-3 are the first UTC day, 4-7 the second; bar 0 cannot be entered.

Binary fractions (0.25, 0.125, ...) make "exactly at the limit" exact.
"""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import RiskLimits, Window
from support.backtest import NO_BREAKERS, Backtest, Costs, Signal, make_candles
from support.prescribed import FAR, STEP, prescribed


def entered(backend, returns, daily=None, streak=None, **options):
    risk = RiskLimits(max_daily_loss=daily, consecutive_losses_limit=streak)
    return prescribed(returns, risk=risk, **options).run(backend).trades["entry_bar"].tolist()


def test_without_breakers_every_bar_is_entered(backend):
    returns = [0, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5]
    assert entered(backend, returns) == [1, 2, 3, 4, 5, 6, 7]


def test_a_daily_loss_at_the_limit_stops_the_day(backend):
    returns = [0, -0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert entered(backend, returns, daily=0.25) == [1, 4, 5, 6, 7]


def test_a_daily_loss_short_of_the_limit_does_not(backend):
    returns = [0, -0.2499, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert entered(backend, returns, daily=0.25) == [1, 2, 3, 4, 5, 6, 7]


def test_losses_of_a_day_compound(backend):
    """0.875 * 0.875 = 0.766, times 0.97 = 0.743."""
    returns = [0, -0.125, -0.125, -0.03, 0.5, 0.5]
    assert entered(backend, returns, daily=0.25) == [1, 2, 3, 4, 5]
    returns = [0, -0.125, -0.15, 0.5, 0.5, 0.5]
    assert entered(backend, returns, daily=0.25) == [1, 2, 4, 5]


def test_the_day_is_measured_from_its_first_exit_not_from_its_peak(backend):
    returns = [0, 0.5, -0.3, -0.2, 0.5]  # 1.5, 1.05, 0.84
    assert entered(backend, returns, daily=0.25) == [1, 2, 3, 4]


def test_every_day_is_measured_anew(backend):
    """From 8: 6.25 is -22 %, 5.625 is -30 %; against the start it would be a gain."""
    day_2 = [-0.21875, -0.1, 0.5, 0.5]
    returns = [0, 1.0, 1.0, 1.0, *day_2, 0.5]
    assert entered(backend, returns, daily=0.25) == [1, 2, 3, 4, 5, 8]


def test_losses_of_yesterday_do_not_count_today(backend):
    returns = [0, 0.0, 0.0, -0.2, -0.2, 0.0, 0.0, 0.0]
    assert entered(backend, returns, daily=0.25) == [1, 2, 3, 4, 5, 6, 7]


def test_the_day_of_the_exit_counts_and_the_day_of_the_entry_is_blocked(backend):
    """In at 3 (day 1), out at 4 (day 2) with a loss: no entry at 5, 6, 7; r = 7 enters day 3."""
    bars = [(100, 100, 100, 100)] * 10
    bars[4] = (100, 100, 60, 60)
    signals = tuple(Signal(bar, atr=FAR) for bar in (2, 4, 5, 6, 7))
    risk = RiskLimits(1.0, max_daily_loss=0.25, consecutive_losses_limit=None, max_holding_bars=2)
    test = Backtest(make_candles(bars, step_ms=STEP), signals, risk=risk)
    assert test.run(backend).trades["entry_bar"].tolist() == [3, 8]


def test_a_streak_of_losses_stops_the_day_and_starts_anew(backend):
    returns = [0, -0.01, -0.01, 0.1, -0.01, 0.1, 0.1, 0.1]
    assert entered(backend, returns, streak=2) == [1, 2, 4, 5, 6, 7]


def test_a_win_ends_the_streak(backend):
    returns = [0, -0.01, 0.01, -0.01, 0.01, -0.01, -0.01, 0.1]
    assert entered(backend, returns, streak=2) == [1, 2, 3, 4, 5, 6]


def test_a_trade_of_exactly_zero_ends_the_streak(backend):
    returns = [0, -0.01, 0.0, -0.01, 0.0, 0.0, 0.0, 0.0]
    assert entered(backend, returns, streak=2) == [1, 2, 3, 4, 5, 6, 7]


def test_a_fee_turns_zero_into_a_loss(backend):
    returns = [0, 0.0, 0.0, 0.0, 0.01, 0.01]
    fee = Costs(fee_rate=0.001, slippage=0.0)
    assert entered(backend, returns, streak=2, costs=fee) == [1, 2, 4, 5]


def test_a_streak_spans_days(backend):
    returns = [0, 0.01, 0.01, -0.01, -0.01, 0.01, 0.01, 0.01, 0.01]
    assert entered(backend, returns, streak=2) == [1, 2, 3, 4, 8]


def test_the_daily_breaker_also_clears_the_streak(backend):
    """One loss on day 1 opens the daily breaker; day 2 bears two losses before the streak is 2."""
    returns = [0, 0.01, 0.01, -0.5, -0.01, -0.01, 0.01, 0.01, 0.01]
    assert entered(backend, returns, daily=0.25, streak=2) == [1, 2, 3, 4, 5, 8]


def test_breakers_are_on_by_default(backend):
    """2 % a day, five losses in a row."""
    losses = [0, *[-0.001] * 7]
    assert prescribed([0, -0.0201, 0, 0], risk=RiskLimits()).run(backend).trades.size == 1
    entries = prescribed(losses, risk=RiskLimits()).run(backend).trades["entry_bar"]
    assert entries.tolist() == [1, 2, 3, 4, 5]


def test_breakers_start_anew_in_every_window(backend):
    returns, risk = [0, -0.5, 0.1, 0.1], RiskLimits()
    whole = prescribed(returns, risk=risk).run(backend)
    later = prescribed(returns, risk=risk, window=Window(1, 4)).run(backend)
    assert whole.trades["entry_bar"].tolist() == [1]
    assert later.trades["entry_bar"].tolist() == [2, 3]


@pytest.mark.parametrize(("loss", "equity"), [(-1.0, 0.0), (-1.5, -0.5)])
def test_ruin_ends_trading(backend, loss, equity):
    """A short whose price doubles loses all; one whose price rises further owes."""
    result = prescribed([0, 0.1, loss, 0.1, 0.1, 0.1], side=-1).run(backend)
    assert result.trades["entry_bar"].tolist() == [1, 2]
    metrics = result.metrics
    final = 1.1 * equity
    assert metrics["net_profit"] == pytest.approx(final - 1, abs=1e-15)
    assert metrics["max_drawdown"] == pytest.approx(1 - equity, abs=1e-15)
    assert metrics["calmar_ratio"] == pytest.approx(-1 / (1 - equity), abs=1e-15)
    assert result.daily_returns.tolist() == pytest.approx([final - 1, 0.0], abs=1e-15)


def test_a_fraction_can_survive_what_the_notional_does_not(backend):
    risk = RiskLimits(0.5, None, None)
    result = prescribed([0, -1.5, 0.1], side=-1, risk=risk).run(backend)
    assert result.trades["entry_bar"].tolist() == [1, 2]
    assert result.metrics["net_profit"] == pytest.approx(0.25 * 1.05 - 1, abs=1e-15)


@pytest.mark.parametrize(
    ("limit", "left"),
    [(0.999999, 1.00000000003e-6), (1 - 2**-40, 2**-40 * (1 + 3e-5)), (0.02, 0.98)],
)
def test_a_limit_near_everything_is_met_as_the_rule_says(backend, limit, left):
    """1 minus a quotient rounds by parts of 1, which is much where next to nothing is left."""
    half = np.sqrt(left)
    returns = [0.0, half - 1, left / half - 1, 0.5]
    risk = replace(NO_BREAKERS, max_daily_loss=limit)
    trades = prescribed(returns, risk=risk).run(backend).trades
    breached = np.prod(1 + trades["ret"][:2]) - 1 <= -limit
    assert len(trades) == (2 if breached else 3)
