"""Broken down by side, cost and year: each figure against a plain count of the same trades."""

import numpy as np
import pytest

from gpu_engine import (
    LIQUIDATION,
    STOP,
    TARGET,
    TRADE,
    Costs,
    Funding,
    RiskLimits,
    Window,
    choose,
    metrics_of,
)
from pipeline.config import Rolling
from pipeline.search.evaluator import Evaluator
from pipeline.search.loop import SearchResult, SearchSettings
from pipeline.search.space import Dimension
from pipeline.strategies.base import Parameter
from pipeline.validation import breakdown
from pipeline.validation.holding import hold_returns
from pipeline.validation.out_of_sample import long_alone, parameter_choices, statistics
from pipeline.validation.statistics import sharpe_interval, sharpe_test
from pipeline.validation.walk_forward import Validation, WindowResult, validate
from pipeline.validation.windows import Split, final_window, splits, whole_days
from support import parameters
from support.coarse import coarse_candles
from support.spaces import small_space
from support.validation import LUCK

DAYS = Rolling(method="rolling", train=3, gap=1, test=2, step=None, **LUCK)
SETTINGS = SearchSettings("grid", 0, 10, "net_profit", "plateau", 5, seed=0)
FRACTION = 0.5


@pytest.fixture(scope="module")
def candles():
    """12 whole days about the turn of a year: the out-of-sample days lie in the new one."""
    return coarse_candles(np.random.default_rng(5), 288 * 12 + 60)


@pytest.fixture(scope="module")
def costs(candles):
    times = candles.timestamp[::96]
    rates = np.random.default_rng(1).normal(0.0002, 0.0005, len(times))
    return Costs(fee_rate=0.0004, slippage=0.0003, maker_fee=-0.0001, funding=Funding(times, rates))


@pytest.fixture(scope="module")
def run(candles, costs):
    space = small_space(**{parameters.DEPTH: (0.001, 0.008), parameters.STOP: (0.5, 1.0, 2.0)})
    risk = RiskLimits(position_fraction=FRACTION)
    evaluator = Evaluator(candles, space, costs, risk, choose("numba").backend)
    days = whole_days(candles)
    parts, final = splits(DAYS, days), final_window(DAYS, days)
    validation = validate(evaluator, parts, final, SETTINGS, FRACTION, lambda n: None)
    return validation, statistics(validation, evaluator, seed=0)


def test_statistics_have_every_figure_of_the_rules(run):
    _, found = run
    assert set(found) >= {
        "hold", "excess_net_profit", "beta", "alpha", "alpha_p", "time_in_market", "sides",
        "costs", "years", "parameter_choices", "sharpe_interval",
    }  # fmt: skip
    assert "is_overfit" not in found


def test_time_in_market_counts_the_bars_with_a_position(run, candles):
    validation, found = run
    tested, held = np.zeros(len(candles), bool), np.zeros(len(candles), bool)
    for window in validation.windows:
        tested[window.split.test.start : window.split.test.end] = True
    for trade in validation.trades:
        held[trade["entry_bar"] : trade["exit_bar"] + 1] = True
    assert found["time_in_market"] == (held & tested).sum() / tested.sum() > 0.1


def test_both_sides_make_the_whole(run):
    validation, found = run
    long, short = found["sides"]["long"], found["sides"]["short"]
    assert long["trades"] > 5 < short["trades"]
    assert long["trades"] + short["trades"] == len(validation.trades)
    both = (1.0 + long["net_profit"]) * (1.0 + short["net_profit"]) - 1.0
    returns = FRACTION * validation.trades["ret"]
    assert both == pytest.approx(np.prod(1.0 + returns) - 1.0, rel=1e-12)


def test_a_side_is_the_days_of_its_own_exits(run, candles):
    validation, found = run
    daily = []
    for day in validation.day.tolist():
        equity = 1.0
        for trade in validation.trades:
            if trade["side"] < 0 and candles.day[trade["exit_bar"]] == day:
                equity *= 1.0 + FRACTION * trade["ret"]
        daily.append(equity - 1.0)
    ratio = metrics_of(np.empty(0), np.array(daily))["sharpe_ratio"]
    assert found["sides"]["short"]["sharpe_ratio"] == pytest.approx(ratio, rel=1e-12)


def test_the_longs_alone_are_the_winners_run_without_shorts(run, candles, costs):
    """Not the longs of the whole: what a short kept out comes in."""
    validation, _ = run
    space = small_space(**{parameters.DEPTH: (0.001, 0.008), parameters.STOP: (0.5, 1.0, 2.0)})
    backend = choose("numba").backend
    both, long = (
        Evaluator(candles, space, costs, RiskLimits(FRACTION, direction=direction), backend)
        for direction in ("both", "long")
    )
    found = long_alone(validation, both)
    tested = [(w.search.point, w.split.test) for w in validation.windows]
    trades = [long.trades(point, test) for point, test in tested if point is not None]
    assert found["trades"] == sum(map(len, trades)) > (validation.trades["side"] > 0).sum()
    growth = np.prod(1.0 + FRACTION * np.concatenate(trades)["ret"])
    assert found["net_profit"] == pytest.approx(growth - 1.0, rel=1e-12)
    assert set(found) == {"trades", "net_profit", "sharpe_ratio", "max_drawdown"}


def test_a_side_without_trades_earned_nothing(candles):
    long = made_trades((1, 10, 20, 100.0, 110.0, STOP, 0.1))
    found = breakdown.sides(candles, long, 1.0, candles.day[[20]])
    assert found["long"] == {"trades": 1, "net_profit": pytest.approx(0.1), "sharpe_ratio": 0.0}
    assert found["short"] == {"trades": 0, "net_profit": 0.0, "sharpe_ratio": 0.0}


def made_trades(*rows):
    """Trades of (side, entry bar, exit bar, entry, exit, reason, ret)."""
    trades = np.zeros(len(rows), TRADE)
    names = ("side", "entry_bar", "exit_bar", "entry", "exit", "reason", "ret")
    for trade, row in zip(trades, rows, strict=True):
        for name, value in zip(names, row, strict=True):
            trade[name] = value
    return trades


def test_costs_by_hand(candles):
    """At 1 % slippage 100 is bought at 101 and 110 sold at 108.9; the target rests at 80."""
    trades = made_trades(
        (1, 10, 20, 101.0, 108.9, STOP, np.nan), (-1, 30, 40, 99.0, 80.0, TARGET, np.nan)
    )
    times = candles.timestamp[[10, 20, 35]]  # the first is due when the long is entered: not paid
    costs = Costs(0.001, 0.01, -0.0005, Funding(times, np.array([0.5, 0.002, 0.003])))
    paid = breakdown.costs_paid(candles, trades, costs, 0.5)
    assert paid.gross_net_profit == pytest.approx((1 + 0.5 * 0.1) * (1 + 0.5 * 0.2) - 1)
    fees = 0.001 * (1 + 108.9 / 101) + 0.001 - 0.0005 * 80 / 99
    assert paid.fees == pytest.approx(0.5 * fees)
    assert paid.slippage == pytest.approx(0.5 * (0.1 - 7.9 / 101 + 0.2 - 19 / 99))
    assert paid.funding == pytest.approx(0.5 * (0.002 - 0.003))
    assert paid.borrow == 0.0  # who has funding borrows nothing


def test_borrowing_and_a_liquidation_by_hand(candles):
    """A short held 11 bars of five minutes borrows; a liquidation has no slippage to take out."""
    trades = made_trades(
        (1, 10, 20, 101.0, 80.8, LIQUIDATION, np.nan), (-1, 30, 40, 99.0, 80.0, TARGET, np.nan)
    )
    paid = breakdown.costs_paid(candles, trades, Costs(0.001, 0.01, borrow_rate=0.05), 0.5)
    assert paid.borrow == pytest.approx(0.5 * 0.05 * 11 * 5 / 1440)
    assert paid.figures()["borrow"] == paid.borrow
    assert paid.gross_net_profit == pytest.approx((1 - 0.5 * 0.192) * (1 + 0.5 * 0.2) - 1)


def test_what_was_paid_is_the_way_from_gross_to_net(run, candles, costs):
    """Of every trade alone, so of their sums: gross less fees, slippage and funding is net."""
    validation, found = run
    trades, growth = validation.trades, 1.0
    assert {TARGET, STOP} <= set(trades["reason"].tolist())
    for row in range(len(trades)):
        one = trades[row : row + 1]
        paid = breakdown.costs_paid(candles, one, costs, FRACTION)
        net = paid.gross_net_profit - paid.fees - paid.slippage - paid.funding
        assert net == pytest.approx(FRACTION * one["ret"][0], abs=1e-14)
        assert paid.slippage > 0.0
        growth *= 1.0 + paid.gross_net_profit
    assert found["costs"]["gross_net_profit"] == pytest.approx(growth - 1.0, rel=1e-12)
    assert found["costs"]["funding"] != 0.0


def test_without_costs_gross_is_net(candles):
    trades = made_trades(
        (1, 10, 20, 100.0, 110.0, STOP, 0.1), (-1, 30, 40, 100.0, 105.0, STOP, -0.05)
    )
    paid = breakdown.costs_paid(candles, trades, Costs(0.0, 0.0), 1.0)
    assert paid == (pytest.approx(1.1 * 0.95 - 1), 0.0, pytest.approx(0.0, abs=1e-15), 0.0, 0.0)


def test_what_no_short_paid_is_no_figure(candles):
    trades = made_trades((1, 10, 20, 100.0, 110.0, STOP, 0.1))
    paid = breakdown.costs_paid(candles, trades, Costs(borrow_rate=0.05), 1.0)
    assert "borrow" not in paid.figures()


def test_no_trades_have_no_costs(candles):
    none = np.zeros(0, TRADE)
    assert breakdown.costs_paid(candles, none, Costs(), 1.0) == (0.0, 0.0, 0.0, 0.0, 0.0)
    assert breakdown.time_in_market(none, 100) == 0.0


def test_years_follow_the_calendar():
    """Five days about the turn of a year, the third left out: a gap between windows."""
    candles = coarse_candles(np.random.default_rng(2), 24 * 8, step_ms=3_600_000)
    turn = int(np.datetime64("2024-01-01").astype(int))
    day = np.array([turn - 1, turn, turn + 2, turn + 3], np.int32)
    daily = np.array([0.2, 0.1, -0.5, 0.1])
    exits = np.searchsorted(candles.day, [turn - 1, turn, turn, turn + 3])
    trades = made_trades(*[(1, exits[0], bar, 1.0, 1.0, STOP, 0.0) for bar in exits])
    before, after = breakdown.years(candles, trades, day, daily)
    assert (before["year"], before["days"], before["trades"]) == (2023, 1, 1)
    assert (after["year"], after["days"], after["trades"]) == (2024, 3, 3)
    assert before["net_profit"] == pytest.approx(0.2)
    assert after["net_profit"] == pytest.approx(1.1 * 0.5 * 1.1 - 1.0)
    assert (before["max_drawdown"], after["max_drawdown"]) == (0.0, pytest.approx(0.5))
    ratio = daily[1:].mean() / daily[1:].std(ddof=1) * np.sqrt(365)
    assert after["sharpe_ratio"] == pytest.approx(ratio)
    hold = hold_returns(candles, day)
    assert after["hold_net_profit"] == pytest.approx(np.prod(1.0 + hold[1:]) - 1.0)


def test_years_make_the_whole(run):
    validation, found = run
    years = found["years"]
    assert [year["year"] for year in years] == [2024]
    assert sum(year["days"] for year in years) == len(validation.day)
    assert sum(year["trades"] for year in years) == len(validation.trades)
    growth = np.prod([1.0 + year["net_profit"] for year in years])
    assert growth == pytest.approx(np.prod(1.0 + validation.daily))
    held = np.prod([1.0 + year["hold_net_profit"] for year in years])
    assert held == pytest.approx(1.0 + found["hold"]["net_profit"])


GRID = Dimension(Parameter("a", "exit", "ATR"), np.array([1.0, 2.0, 4.0]), 1.0, 4.0)
REAL = Dimension(Parameter("b", "exit", "ATR"), None, 0.0, 2.0)
COUNT = Dimension(Parameter("c", "structural", "bars", integer=True), None, 5.0, 9.0)
FILTER = Dimension(
    Parameter("d", "threshold", "x", sense=-1, nullable=True),
    np.array([np.inf, 1.0, 2.0]),
    1.0,
    np.inf,
)
ONE = Dimension(Parameter("e", "exit", "ATR"), np.array([3.0]), 3.0, 3.0)


def choices(stored, *winners):
    """`parameter_choices` of made points; None is a window without a winner."""
    window = Window(0, 1)

    def result(point):
        point = None if point is None else np.array(point)
        return SearchResult(window, 1, 1, point, 0.0, None)

    windows = [WindowResult(Split(window, window), result(w), None, None) for w in winners]
    none = np.zeros(0)
    series = (none, none, none.astype(np.int32), none, None, None)
    validation = Validation(tuple(windows), *series, result(stored))
    return parameter_choices(validation, (GRID, REAL, COUNT, FILTER, ONE))


def test_choices_are_counted_over_the_windows_with_a_winner():
    found = choices(
        [2.0, 1.0, 7.0, np.inf, 3.0],
        [2.0, 1.0, 7.0, np.inf, 3.0],
        None,
        [2.0, 0.5, 7.0, 1.0, 3.0],
        [4.0, 0.5, 8.0, np.inf, 3.0],
    )
    assert [found[name]["chosen_in"] for name in "abcde"] == [2, None, 2, 2, 3]
    assert {choice["windows"] for choice in found.values()} == {3}
    assert {choice["edge"] for choice in found.values()} == {None}


@pytest.mark.parametrize(
    ("stored", "edges"),
    [
        ([1.0, 0.02, 5.0, 1.0, 3.0], ["low", "low", "low", "low", None]),
        ([4.0, 1.98, 9.0, 2.0, 3.0], ["high", "high", "high", None, None]),
        ([2.0, 0.021, 6.0, np.inf, 3.0], [None] * 5),
        ([2.0, 1.979, 8.0, np.inf, 3.0], [None] * 5),
    ],
)
def test_a_value_at_the_end_of_its_range_is_on_the_edge(stored, edges):
    found = choices(stored)
    assert [found[name]["edge"] for name in "abcde"] == edges
    assert {choice["windows"] for choice in found.values()} == {0}
    assert found["a"]["chosen_in"] == 0


def test_without_a_stored_configuration_there_are_no_choices():
    assert choices(None, [2.0, 1.0, 7.0, np.inf, 3.0]) == {}


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_where_the_test_would_not_reject(seed):
    """Its ends, as benchmarks of the same test, have p of 2.5 and 97.5 %."""
    daily = 0.002 + 0.02 * np.random.default_rng(seed).standard_t(5, 300)
    interval, test = sharpe_interval(daily), sharpe_test(daily)
    middle = (interval["low"] + interval["high"]) / 2.0
    assert middle == pytest.approx(metrics_of(np.empty(0), daily)["sharpe_ratio"], rel=1e-12)
    reach = (interval["high"] - interval["low"]) / 2.0
    assert middle / reach * 1.959963984540054 == pytest.approx(test.z_score, rel=1e-12)


@pytest.mark.parametrize("daily", [np.zeros(30), np.full(30, 0.01), np.ones(1), np.empty(0)])
def test_no_test_has_no_interval(daily):
    assert sharpe_interval(daily) is None
