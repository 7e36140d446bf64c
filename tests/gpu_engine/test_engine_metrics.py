"""Fills rules §10 by hand, of `metrics_of` and of every backend."""

from math import isnan, sqrt

import numpy as np
import pytest

from gpu_engine import METRICS, Window, annualised, metrics_of
from support.agreement import assert_same_metrics
from support.backtest import NO_BREAKERS, Backtest, Signal, make_candles
from support.prescribed import prescribed

UNDEFINED = ("sortino_ratio", "calmar_ratio", "profit_factor")  # where nothing was lost
ZERO = dict.fromkeys(METRICS.names, 0) | dict.fromkeys(UNDEFINED)
YEAR = sqrt(365)

# Equity return of every trade by day; the first bar of the first day cannot trade.
# Two days: 1 -> 1.5 -> 1.125 on the first, unchanged on the second.
WIN_LOSS_FLAT = (
    [[0.5, -0.25, 0.0], [0.0, 0.0, 0.0, 0.0]],
    {
        "net_profit": 0.125,
        "sharpe_ratio": 0.0625 / (0.125 / sqrt(2)) * YEAR,
        "sortino_ratio": None,  # no losing day
        "max_drawdown": 0.25,
        "calmar_ratio": (1.125 ** (365 / 2) - 1) / 0.25,
        "sample_size": 7,
        "win_rate": 1 / 7,
        "avg_win": 0.5,
        "avg_loss": -0.25 / 6,  # the mean of all that did not win
        "profit_factor": 2.0,
        "n_days": 2,
    },
)
# Daily returns 0.125, -0.25, 0: mean -1/24, squared deviations (16 + 25 + 1) / 576.
WIN_THEN_LOSS = (
    [[0.125, 0.0, 0.0], [-0.25, 0.0, 0.0, 0.0], [0.0]],
    {
        "net_profit": 1.125 * 0.75 - 1,
        "sharpe_ratio": -1 / 24 / sqrt(42 / 576 / 2) * YEAR,
        "sortino_ratio": -1 / 24 / sqrt(0.0625 / 3) * YEAR,
        "max_drawdown": 0.25,
        "calmar_ratio": (0.84375 ** (365 / 3) - 1) / 0.25,
        "sample_size": 8,
        "win_rate": 1 / 8,
        "avg_win": 0.125,
        "avg_loss": -0.25 / 7,
        "profit_factor": 0.5,
        "n_days": 3,
    },
)
# A drawdown is measured from the peak, over exits: 1.5 -> 0.75, not 1 -> 0.75 and not 2 -> 1.6.
PEAKS = (
    [[0.5, -0.5, 1.0], [1 / 3, -0.2]],
    {
        "net_profit": 0.6,
        "max_drawdown": 0.5,
        "calmar_ratio": (1.6 ** (365 / 2) - 1) / 0.5,
        "win_rate": 3 / 5,
        "avg_win": (0.5 + 1.0 + 1 / 3) / 3,
        "avg_loss": -0.35,
        "profit_factor": (0.5 + 1.0 + 1 / 3) / 0.7,
        "sample_size": 5,
        "n_days": 2,
    },
)
ONLY_WINS = (
    [[0.25, 0.0, 0.0]],
    {
        "net_profit": 0.25,
        "sharpe_ratio": 0.0,  # one day has no deviation
        "sortino_ratio": None,
        "max_drawdown": 0.0,
        "calmar_ratio": None,  # no drawdown
        "profit_factor": None,  # nothing lost
        "n_days": 1,
    },
)
ONE_LOSING_DAY = (
    [[-0.25, 0.0, 0.0]],
    {
        "sharpe_ratio": 0.0,
        "sortino_ratio": 0.0,  # one day has no deviation
        "calmar_ratio": (0.75**365 - 1) / 0.25,
        "profit_factor": 0.0,
        "avg_win": 0.0,
        "win_rate": 0.0,
        "n_days": 1,
    },
)
CASES = {
    "a win, a loss, then nothing": WIN_LOSS_FLAT,
    "a winning and a losing day": WIN_THEN_LOSS,
    "several peaks": PEAKS,
    "only wins on one day": ONLY_WINS,
    "one losing day": ONE_LOSING_DAY,
}


def check(metrics, expected):
    for name, value in expected.items():
        if value is None:
            assert isnan(metrics[name]), name
        else:
            assert metrics[name] == pytest.approx(value, rel=1e-12, abs=1e-14), name


@pytest.mark.parametrize(("days", "expected"), CASES.values(), ids=CASES)
def test_metrics_of(days, expected):
    daily = np.array([np.prod(1 + np.array(day)) - 1 for day in days])
    check(metrics_of(np.concatenate(days), daily), expected)


@pytest.mark.parametrize(("days", "expected"), CASES.values(), ids=CASES)
def test_metrics_of_a_backtest(backend, days, expected):
    result = prescribed([0.0, *np.concatenate(days)]).run(backend)
    check(result.metrics, expected)
    daily = [np.prod(1 + np.array(day)) - 1 for day in days]
    assert result.daily_returns.tolist() == pytest.approx(daily, abs=1e-15)


def test_without_trades_all_that_is_defined_is_zero(backend):
    empty = Backtest(make_candles([(1, 1, 1, 1)] * 30), ()).run(backend)
    check(empty.metrics, ZERO | {"n_days": 2})
    assert empty.trades.size == 0
    assert empty.daily_returns.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("start", "end", "days"), [(0, 4, 1), (3, 5, 2), (3, 9, 3), (4, 8, 1)])
def test_part_days_count(backend, start, end, days):
    result = prescribed([0.0] * 12, window=Window(start, end)).run(backend)
    assert result.metrics["n_days"] == len(result.daily_returns) == days


def test_a_window_of_one_bar_cannot_trade(backend):
    """Its sweep would lie before it: e = r + 1 > t."""
    result = prescribed([0.5] * 12, window=Window(6, 7)).run(backend)
    check(result.metrics, ZERO | {"n_days": 1})


def test_a_trade_belongs_to_the_day_of_its_exit(backend):
    bars = [(100, 100, 100, 100)] * 30  # hours: in at 22:00, out at 01:00
    bars[25] = (100, 103, 100, 100)
    result = Backtest(make_candles(bars), (Signal(21),)).run(backend)
    assert result.trades["exit_bar"].tolist() == [25]
    assert result.daily_returns.tolist() == pytest.approx([0.0, 0.03], abs=1e-15)


def test_equal_days_have_no_deviation(backend):
    """A fee makes every day lose the same, but for the last bits of the compounding."""
    for days in (2, 3, 7, 30):
        result = prescribed([0.0, 0.0, 0.0, -0.013] + [0.0, 0.0, 0.0, -0.013] * (days - 1))
        assert result.run(backend).metrics["sharpe_ratio"] == 0.0


@pytest.mark.parametrize("difference", [1e-2, 1e-4, 1e-6, 1e-8])
def test_days_that_differ_little_have_a_deviation(backend, difference):
    """Summing squares would lose it: 1e-8 apart, the variance is 1e-14 of the squares' mean."""
    loss = 0.0625
    returns = [0.0, 0.0, 0.0, -loss, 0.0, 0.0, 0.0, -loss * (1 + difference)]
    result = prescribed(returns, risk=NO_BREAKERS).run(backend)
    first, second = result.daily_returns
    expected = (first + second) / 2 / (abs(first - second) / sqrt(2)) * YEAR
    assert result.metrics["sharpe_ratio"] == pytest.approx(expected, rel=1e-9)


def test_the_days_compound_to_the_net_profit(backend):
    rng = np.random.default_rng(5)
    result = prescribed(rng.normal(0.0, 0.02, 120)).run(backend)
    compound = np.prod(1 + result.daily_returns) - 1
    assert result.metrics["net_profit"] == pytest.approx(compound, abs=1e-12)
    assert_same_metrics(result.metrics, metrics_of(result.trades["ret"], result.daily_returns))


@pytest.mark.parametrize(
    ("net_profit", "n_days", "expected"),
    [(0.1, 365, 0.1), (0.21, 730, 0.1), (-0.5, 365, -0.5), (-1.0, 10, -1.0), (-1.5, 10, -1.0)],
)
def test_annualised(net_profit, n_days, expected):
    assert annualised(net_profit, n_days) == pytest.approx(expected, abs=1e-15)


def test_next_to_nothing_left_is_not_ruin():
    """1e-16 of the equity after 1,000 days: 1 + net_profit would have lost it."""
    returns = np.full(16, -0.9)
    daily = np.concatenate([returns, np.zeros(984)])
    expected = (1e-16 ** (365 / 1000) - 1) / (1 - 1e-16)
    assert metrics_of(returns, daily)["calmar_ratio"] == pytest.approx(expected, abs=1e-12)


def test_growth_that_overflows_is_undefined_and_warns_nobody(backend):
    result = prescribed([0.0, 19.0, -0.5]).run(backend)
    assert isnan(result.metrics["calmar_ratio"])
