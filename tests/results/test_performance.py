"""Every expected value is worked out by hand in the test or its comment."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gpu_engine import STOP, TARGET, TARGET_GAP, TRADE, Costs
from gpu_engine.records import END
from pipeline.results.document.performance import (
    conditional_value_at_risk,
    drawdown_duration,
    estimated_slippage,
    exchange_fees,
    gross_win_rate,
    kelly_fraction,
    recent_sharpe_ratio,
    sharpe_ratio,
    trade_clustering,
    value_at_risk,
)

NO_TRADES = np.zeros(0, TRADE)
NO_DAYS = np.zeros(0)


def trade(side: int, entry: float, exit_: float, reason: int) -> np.ndarray:
    row = np.zeros(1, TRADE)
    row["side"], row["entry"], row["exit"], row["reason"] = side, entry, exit_, reason
    return row


def entered_at(*bars: int) -> np.ndarray:
    trades = np.zeros(len(bars), TRADE)
    trades["entry_bar"] = bars
    return trades


def test_gross_win_rate_undoes_the_slippage_of_market_orders() -> None:
    # Slippage 1 %. A long from 100 (filled at 101) to 101.5 at the end (filled at 100.485) lost
    # after slippage and won before it; a short from 100 (filled at 99) to a target at 99.5 lost
    # after and won before; a long from 100 to a stop at 95 (filled at 94.05) lost both ways.
    trades = np.concatenate(
        [trade(1, 101, 100.485, END), trade(-1, 99, 99.5, TARGET), trade(1, 101, 94.05, STOP)]
    )
    assert gross_win_rate(trades, 0.01) == pytest.approx(2 / 3)
    assert gross_win_rate(trades, 0.0) == 0.0


def test_fees_are_paid_on_both_sides() -> None:
    trades = np.concatenate([trade(1, 100, 110, TARGET), trade(-1, 100, 90, TARGET)])
    assert exchange_fees(trades, Costs(0.001)) == pytest.approx(0.001 * (2.1 + 1.9))


def test_an_exit_at_a_target_pays_the_makers_fee_or_receives_a_rebate() -> None:
    trades = np.concatenate([trade(1, 100, 110, TARGET_GAP), trade(-1, 100, 90, STOP)])
    paid = exchange_fees(trades, Costs(0.001, maker_fee=-0.0002))
    assert paid == pytest.approx(0.001 - 0.0002 * 1.1 + 0.001 * 1.9)


@pytest.mark.parametrize(
    ("reason", "side", "entry", "exit_", "expected"),
    [
        (STOP, 1, 101.0, 94.05, (1.0 + 0.95) / 101),  # 100 → 101 in, 95 → 94.05 out
        (STOP, -1, 99.0, 106.05, (1.0 + 1.05) / 99),  # 100 → 99 in, 105 → 106.05 out
        (TARGET, 1, 101.0, 105.0, 1.0 / 101),  # a resting order has no slippage
        (TARGET_GAP, -1, 99.0, 95.0, 1.0 / 99),
    ],
)
def test_slippage_is_the_distance_to_the_price_before_it(
    reason: int, side: int, entry: float, exit_: float, expected: float
) -> None:
    trades = trade(side, entry, exit_, reason)
    assert estimated_slippage(trades, 0.01) == pytest.approx(expected, rel=1e-12)


def test_without_trades_nothing_was_paid_and_nothing_is_known() -> None:
    assert exchange_fees(NO_TRADES, Costs(0.001)) == 0.0
    assert estimated_slippage(NO_TRADES, 0.001) == 0.0
    assert gross_win_rate(NO_TRADES, 0.001) is None
    assert trade_clustering(NO_TRADES) is None


def test_trade_clustering_is_the_lag_one_autocorrelation() -> None:
    # Times 1, 1, 5, 5: deviations −2, −2, 2, 2; lagged products 4 − 4 + 4 = 4 over 16.
    assert trade_clustering(entered_at(10, 11, 12, 17, 22)) == pytest.approx(0.25)
    # Times 1, 5, 1, 5: −4 − 4 − 4 = −12 over 16.
    assert trade_clustering(entered_at(0, 1, 6, 7, 12)) == pytest.approx(-0.75)


@pytest.mark.parametrize("bars", [(0, 1, 6), (0, 5, 10, 15, 20)])
def test_trade_clustering_needs_three_times_that_differ(bars: tuple[int, ...]) -> None:
    assert trade_clustering(entered_at(*bars)) is None


def test_sharpe_ratio() -> None:
    # Mean 0.01, deviations ±0.01, variance with ddof 1: 0.0002 / 1.
    assert sharpe_ratio(np.array([0.02, 0.0])) == pytest.approx(0.01 / math.sqrt(2e-4) * 365**0.5)
    assert sharpe_ratio(np.array([0.02])) == 0.0
    assert sharpe_ratio(np.zeros(5)) == 0.0
    assert sharpe_ratio(NO_DAYS) == 0.0


def test_recent_sharpe_ratio_looks_at_the_last_days_alone() -> None:
    returns = np.array([-0.5, 0.02, 0.0])
    assert recent_sharpe_ratio(returns, 2) == sharpe_ratio(np.array([0.02, 0.0]))
    assert recent_sharpe_ratio(returns, 3) == sharpe_ratio(returns)
    assert recent_sharpe_ratio(returns, 4) is None


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([], 0),
        ([0.1, 0.0, 0.1], 0),
        ([-0.1, 0.0, 0.05], 3),  # under water from the first day on, and still
        ([0.1, -0.5, 0.5, 0.5, -0.1, 0.2], 2),  # 1.1, .55, .825, 1.2375, 1.11375, 1.3365
        ([0.1, -0.5, 1.0], 1),  # back at the peak is not under it
    ],
)
def test_drawdown_duration(returns: list[float], expected: int) -> None:
    assert drawdown_duration(np.array(returns)) == expected


def test_value_at_risk_is_positive_when_a_loss() -> None:
    returns = np.arange(-20, 81) / 1000  # 101 days; the 5 % quantile is the sixth lowest, −0.015
    assert value_at_risk(returns) == pytest.approx(0.015)
    # −20, −19, …, −15 thousandths: mean −17.5.
    assert conditional_value_at_risk(returns) == pytest.approx(0.0175)


def test_value_at_risk_without_losses_and_without_days() -> None:
    assert value_at_risk(np.full(10, 0.01)) == pytest.approx(-0.01)
    assert math.copysign(1, value_at_risk(np.zeros(10)) or 0.0) == 1
    assert value_at_risk(NO_DAYS) is None
    assert conditional_value_at_risk(NO_DAYS) is None


@pytest.mark.parametrize(
    ("win_rate", "avg_win", "avg_loss", "n_trades", "expected"),
    [
        (0.6, 0.02, -0.01, 10, 0.6 - 0.4 * 0.5),
        (0.3, 0.01, -0.01, 10, 0.0),
        (1.0, 0.01, 0.0, 10, 1.0),
        (0.0, 0.0, -0.01, 10, 0.0),
        (0.0, 0.0, 0.0, 0, None),
    ],
)
def test_kelly_fraction(
    win_rate: float, avg_win: float, avg_loss: float, n_trades: int, expected: float | None
) -> None:
    assert kelly_fraction(win_rate, avg_win, avg_loss, n_trades) == pytest.approx(expected)
