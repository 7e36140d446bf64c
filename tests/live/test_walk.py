"""A walk that keeps what is decided says at every look what the whole series says."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.live import walk
from pipeline.live.trader import Trader
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.strategies.base import of_kind
from pipeline.strategies.registry import BUILT_IN, load_strategy
from support.traders import random_trader

#: Looks of each case, those that are compared, and bars of its series before the first of them.
LOOKS, COMPARED, KNOWN = 24, 4, 4_000


@pytest.fixture(scope="module")
def candles():
    return make_regular(synthetic_candles(60, "15m", 3), "15m", "generated")[0]


@pytest.fixture
def lengths(monkeypatch):
    """The numbers of candles of which tables are made."""
    made, evaluator = [], Trader.evaluator

    def spied(trader, candles):
        made.append(len(candles))
        return evaluator(trader, candles)

    monkeypatch.setattr(Trader, "evaluator", spied)
    return made


def plain(standing):
    values = asdict(standing)
    return values | {name: values[name].tolist() for name in ("trades", "marks")}


def looks(rng, bars):
    """Numbers of closed candles: mostly each one, now and then hours of them."""
    steps = np.where(rng.random(LOOKS) < 0.5, 1, rng.integers(1, 60, LOOKS))
    return np.minimum(KNOWN + np.cumsum(steps), bars).tolist()


def loose(strategy):
    """Let every signal pass, so that there are trades."""
    thresholds = of_kind(load_strategy(strategy), "threshold")
    return {
        one.name: None if one.nullable else -1e6 * one.sense
        for one in thresholds
        if one.unit != "bars"
    }


def follow(rng, trader, candles):
    """Look again and again; return the last standing."""
    walked = walk.Walk()
    for number, bars in enumerate(looks(rng, len(candles)), 1):
        series = trader.series(candles.cut(0, bars))
        now = walked.standing(trader, series, 0)
        if number % (LOOKS // COMPARED) == 0:
            np.testing.assert_equal(plain(now), plain(trader.standing(series)))
    return now


@pytest.mark.parametrize("strategy", BUILT_IN)
def test_every_look_is_that_of_the_whole_series(strategy, candles, example, lengths, monkeypatch):
    monkeypatch.setattr(walk, "STRIDE", 100)
    rng, trades = np.random.default_rng(len(strategy)), 0
    for _ in range(2):
        first_day = int(candles.day[rng.integers(KNOWN // 4, KNOWN)])
        trader = random_trader(
            rng, strategy, example("job"), candles, first_day, timeframe="15m", **loose(strategy)
        )
        trades += len(follow(rng, trader, candles).trades)
    assert trades > 5
    assert lengths[0] > KNOWN
    assert sorted(lengths)[len(lengths) // 2] < KNOWN / 3


def looked_at(trader, candles, lengths, editions=(0, 0)):
    """How many candles tables were made of, in looks at one more candle each."""
    walked = walk.Walk()
    for more, edition in enumerate(editions):
        walked.standing(trader, trader.series(candles.cut(0, KNOWN + more)), edition)
    return lengths


def test_candles_that_are_other_ones_now_are_looked_at_anew(candles, example, lengths):
    trader = random_trader(
        np.random.default_rng(0), "donchian_breakout", example("job"), candles, 0, timeframe="15m"
    )
    made = looked_at(trader, candles, lengths, (0, 0, 1, 1))
    assert (made[0], made[2]) == (KNOWN, KNOWN + 2)
    assert max(made[1], made[3]) < KNOWN / 2


def test_what_looks_back_without_end_is_given_all_candles(candles, example, lengths):
    """The rolling spread of pandas rounds as it goes, and of an own file nobody knows."""
    rng, row = np.random.default_rng(0), example("job")
    spread = {"max_spread_tolerance": 5.0}
    trader = random_trader(rng, "liquidity_sweep", row, candles, 0, timeframe="15m", **spread)
    assert looked_at(trader, candles, lengths) == [KNOWN, KNOWN + 1]
    lengths.clear()
    trader = random_trader(rng, "donchian_breakout", row, candles, 0, timeframe="15m")
    own = trader.simulation.strategy.model_copy(update={"text": "its file"})
    trader = replace(trader, simulation=trader.simulation.model_copy(update={"strategy": own}))
    assert looked_at(trader, candles, lengths) == [KNOWN, KNOWN + 1]
