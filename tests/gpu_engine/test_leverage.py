"""Exits rules §8 as tables: a long at 100 with five times its margin, and its mirror.

It is liquidated at 80 / (1 - m) and its margin is gone at 80; a short is at 120 / (1 + m) and 120.
The rows are bars 1, 2, ... after the signal bar.
"""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import REASONS, Costs, Funding, RiskLimits, Window, engine
from support.backtest import FREE, HOUR, MIDNIGHT, NO_BREAKERS, Backtest, Signal, make_candles
from support.random_market import only, random_market

SIGNAL_BAR = (100, 100, 100, 100)
QUIET = (100, 101, 99, 100)
FIVE = replace(NO_BREAKERS, leverage=5.0, maintenance_rate=0.0)
#: The levels of a long and of a short are then 84.21 and 114.29 (a maintenance rate of 0.05).
KEPT = replace(FIVE, maintenance_rate=0.05)

# name: limits, setting, rows, (exit bar, exit price, reason)
CASES = {
    "8.2 the extreme reaches the level": (
        FIVE, {}, [QUIET, (90, 91, 80, 90)], (2, 80, "liquidation")
    ),
    "8.2 the extreme is short of the level": (
        FIVE, {}, [QUIET, (90, 91, 80.01, 90)], (2, 90, "end")
    ),
    "8.2 in the entry bar": (FIVE, {}, [(100, 100, 70, 90)], (1, 80, "liquidation")),
    "8.3 a tighter stop is first": (
        FIVE, {"stop_fraction": 0.1}, [QUIET, (95, 95, 70, 80)], (2, 90, "stop")
    ),
    "8.3 a wider stop is not reached": (
        FIVE, {"stop_fraction": 0.3}, [QUIET, (95, 95, 60, 80)], (2, 80, "liquidation")
    ),
    "8.3 a stop that trails": (
        FIVE, {"trail_activation": 1, "trail_distance": 1},
        [(100, 110, 99, 109), (109, 109, 70, 80)], (2, 108, "stop"),
    ),
    "8.3 targets keep the distance of their own stop": (
        FIVE, {"stop_fraction": 0.3, "target_multiple": 0.5}, [QUIET, (100, 115, 99, 100)],
        (2, 115, "target"),
    ),
    "8.4 a gap between a stop and the level is the stop's": (
        FIVE, {"stop_fraction": 0.1}, [QUIET, (85, 86, 84, 85)], (2, 85, "stop_gap")
    ),
    "8.4 a gap beyond the level loses the margin": (
        FIVE, {"stop_fraction": 0.1}, [QUIET, (30, 31, 29, 30)], (2, 80, "liquidation")
    ),
    "8.4 a gap to the level": (FIVE, {}, [QUIET, (80, 81, 79, 80)], (2, 80, "liquidation")),
    "8.5 target and level in one bar": (
        FIVE, {"target_fraction": 0.02}, [QUIET, (100, 150, 70, 100)], (2, 80, "liquidation")
    ),
    "8.2 the holding time is over first": (
        FIVE, {"holding_bars": 1}, [QUIET, (90, 91, 70, 90)], (1, 100, "time")
    ),
}  # fmt: skip


def mirrored(side, price):
    return price if side > 0 else 200 - price


def backtest(side, setting, rows, risk, **options):
    bars = np.array([SIGNAL_BAR, *rows], np.float64)
    if side < 0:
        bars = 200 - bars[:, [0, 2, 1, 3]]
    candles = make_candles(bars, options.pop("filled", ()))
    return Backtest(candles, (Signal(0, side),), setting=setting, risk=risk, **options)


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(("risk", "setting", "rows", "expected"), CASES.values(), ids=CASES)
def test_liquidation(backend, side, risk, setting, rows, expected):
    bar, price, reason = expected
    (trade,) = backtest(side, setting, rows, risk).run(backend).trades
    found = trade["exit_bar"], mirrored(side, trade["exit"]), REASONS[trade["reason"]]
    assert found == (bar, pytest.approx(price, rel=1e-14), reason)


@pytest.mark.parametrize(("side", "level"), [(+1, 80 / 0.95), (-1, 120 / 1.05)])
def test_the_maintenance_rate_brings_the_level_nearer(backend, side, level):
    """What is at the level is out at the price at which the margin is gone."""
    for extreme, reason in ((level, "liquidation"), (level + side * 1e-9, "end")):
        row = (100, 100, extreme, 100) if side > 0 else (100, extreme, 100, 100)
        candles = make_candles([SIGNAL_BAR, QUIET, row])
        test = Backtest(candles, (Signal(0, side),), setting={}, risk=KEPT)
        (trade,) = test.run(backend).trades
        assert REASONS[trade["reason"]] == reason
        assert trade["exit"] == pytest.approx(100 - side * 20 if reason == "liquidation" else 100)
        assert trade["stop"] == pytest.approx(level, rel=1e-15)


def test_the_equity_moves_by_fraction_times_leverage(backend):
    risk = replace(FIVE, position_fraction=0.5)
    result = backtest(+1, {}, [QUIET, (100, 104, 100, 104)], risk).run(backend)
    assert result.trades["ret"].tolist() == [pytest.approx(0.04)]
    assert result.metrics["net_profit"] == pytest.approx(0.5 * 5 * 0.04)
    assert risk.exposure == 2.5


@pytest.mark.parametrize("side", [+1, -1])
def test_no_gap_costs_more_than_margin_and_fees(backend, side):
    costs = Costs(fee_rate=0.001, slippage=0.0, maker_fee=-0.0002)
    risk = replace(FIVE, position_fraction=0.5)
    result = backtest(side, {}, [QUIET, (1, 2, 1, 1)], risk, costs=costs).run(backend)
    fees = 0.001 + 0.001 * (1 - side / 5)
    assert result.trades["ret"].tolist() == [pytest.approx(-1 / 5 - fees)]
    assert result.metrics["net_profit"] == pytest.approx(-0.5 * (1 + 5 * fees))


def test_a_liquidation_has_no_slippage_and_pays_funding(backend):
    funding = Funding(np.array([MIDNIGHT + 2 * HOUR]), np.array([0.01]))
    costs = replace(FREE, slippage=0.001, funding=funding)
    (trade,) = backtest(+1, {}, [QUIET, (90, 91, 60, 90)], FIVE, costs=costs).run(backend).trades
    assert trade["exit"] == pytest.approx(trade["entry"] * 0.8, rel=1e-15)
    assert trade["ret"] == pytest.approx(-0.2 - 0.01)


def test_a_window_that_ends_before_is_an_end(backend):
    rows = [QUIET, QUIET, (90, 91, 60, 90)]
    for end, reason in ((3, "end"), (4, "liquidation")):
        result = backtest(+1, {}, rows, FIVE, window=Window(0, end)).run(backend)
        assert REASONS[result.trades["reason"][0]] == reason


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"leverage": 0.5}, "leverage must be None or at least 1; got 0.5"),
        ({"leverage": float("nan")}, "leverage must be None or at least 1; got nan"),
        ({"leverage": 200.0}, "margin of 0.005, which must be above maintenance_rate; got 0.005"),
        ({"leverage": 2.0, "maintenance_rate": -0.1}, "maintenance_rate must be at least 0"),
    ],
)
def test_limits_that_are_refused(limits, words):
    with pytest.raises(ValueError, match=words):
        backtest(+1, {}, [QUIET], RiskLimits(**limits)).run("numpy")


def test_no_trade_loses_more_than_its_margin_and_costs():
    """On random markets: never below what the level leaves, less fees, slippage and funding."""
    count = 0
    for seed in range(20):
        world = random_market(np.random.default_rng(seed), 200, every_exit=True)
        leverage, costs = 20.0, replace(world.costs, funding=None, borrow_rate=None)
        world = world._replace(costs=costs, risk=replace(NO_BREAKERS, leverage=leverage))
        market = world.load("numba")
        for combination in range(len(world.batch)):
            batch = only(world.batch, combination)
            trades = engine.trades(market, batch, Window(0, 200))
            least = -1 / leverage - 2.1 * costs.fee_rate - 1.1 * costs.slippage
            assert trades["ret"].min(initial=0.0) >= least - 1e-12
            count += np.count_nonzero(trades["reason"] == REASONS.index("liquidation"))
    assert count > 50
