"""SUPPLY SHOCK V3: what it declares, its rules by hand, and its tables against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.strategies.base import of_kind
from pipeline.strategies.supply_shock import STRATEGY
from support.backtest import make_candles
from support.coarse import coarse_candles
from support.events import assert_same_events, vectorised
from support.plain_tables import supply_shock
from support.real_candles import YEAR_5M, real_candles

seeds = st.integers(0, 2**32 - 1)
combinations = st.fixed_dictionaries(
    {
        "gap_threshold": st.sampled_from([0.0, 0.0, 0.005, 0.01]),
        "volume_surge_multiplier": st.sampled_from([0.0, 0.5, 1.5]),
        "momentum_persistence": st.integers(1, 4),
        "no_retracement_periods": st.integers(0, 6),
        "catalyst_strength_minimum": st.sampled_from([0.0, 0.4, 0.6]),
    }
)
ALL = {
    "gap_threshold": 0.0,
    "volume_surge_multiplier": 0.0,
    "no_retracement_periods": 0,
    "catalyst_strength_minimum": 0.0,
}


def market(*last, filled=()):
    """Thirty bars from 99 to 101 that close at 100, and then ``last``; volume 1 each."""
    return make_candles([(100, 101, 99, 100)] * 30 + list(last), filled)


def table(candles, persistence=1, **limits):
    parameters = {"momentum_persistence": persistence} | ALL | limits
    return vectorised(candles, parameters, strategy=STRATEGY)


def test_the_grid_is_that_of_the_rules():
    """Supply_shock rules §1: 115,200 combinations, in this order."""
    grid = {p.name: p.grid for p in STRATEGY.parameters}
    assert list(grid) == [
        "gap_threshold",
        "volume_surge_multiplier",
        "momentum_persistence",
        "no_retracement_periods",
        "trail_stop_activation",
        "trail_stop_distance",
        "stop_distance",
        "position_hold_maximum",
        "catalyst_strength_minimum",
    ]
    assert np.prod([len(values) for values in grid.values()]) == 115_200
    assert [p.exit for p in of_kind(STRATEGY, "exit")] == [
        "trail_activation",
        "trail_distance",
        "stop_distance",
        "holding_bars",
    ]


def test_features_of_a_shock_by_hand():
    """ATR before is 2: a jump of 2 of 100 that closes 3/4 up its bar on the usual volume."""
    shock = table(market((100, 102 + 1, 99, 102)))
    assert shock.setup_bar.tolist() == shock.signal_bar.tolist() == [30]
    assert shock.side.tolist() == [+1]
    assert shock.atr.tolist() == [(13 * 2 + 4) / 14]
    score = (2 / (2 + 2) + 1 / (1 + 1) + 3 / 4) / 3
    assert shock.features.tolist() == [[0.02, 1.0, 31, score]]


def test_a_short_is_the_mirror():
    shock = table(market((100, 101, 97, 98)))
    assert shock.side.tolist() == [-1]
    score = (2 / (2 + 2) + 1 / (1 + 1) + 3 / 4) / 3
    assert shock.features.tolist() == [[0.02, 1.0, 31, score]]


def test_a_bar_without_a_range_closed_in_the_middle():
    assert table(market((102, 102, 102, 102))).features[0, 3] == (2 / 4 + 1 / 2 + 0.5) / 3


def test_momentum_needs_closes_that_go_on_strictly():
    ups = [(100, 103, 99, 102), (102, 104, 101, 103), (103, 104, 102, 103), (103, 105, 102, 104)]
    assert table(market(*ups), 1).setup_bar.tolist() == [30, 31, 33]
    assert table(market(*ups), 2).setup_bar.tolist() == [30]
    assert table(market(*ups), 2).signal_bar.tolist() == [31]
    assert len(table(market(*ups), 3)) == 0


@pytest.mark.parametrize(("close", "bars"), [(99.5, 34), (99.0, 3)])
def test_a_pullback_is_a_body_of_half_an_atr_or_more(close, bars):
    """Against the trade, at bar 30; the ATR is 2 before and at it: 1 is a pullback."""
    fall = (100, 101, 99, close)
    candles = market(fall, (close, 101, 99, 100), (100, 101, 99, 100), (100, 103, 100, 102))
    last = table(candles).at(np.array([-1]))
    assert last.setup_bar.tolist() == [33]
    assert last.features[0, 2] == bars
    assert len(table(candles, no_retracement_periods=bars + 1)) < len(table(candles))


def test_no_shock_before_twenty_bars():
    early = [(100, 101, 99, 100)] * 10 + [(100, 103, 99, 102)] + [(102, 103, 101, 102)] * 20
    assert len(table(make_candles(early))) == 0


@settings(max_examples=100)
@given(seed=seeds, n_bars=st.integers(1, 300), parameters=combinations)
def test_tables_are_those_of_the_plain_loop(seed, n_bars, parameters):
    candles = coarse_candles(np.random.default_rng(seed), n_bars, hunt_share=0.1)
    expected = supply_shock.event_table(candles, parameters)
    assert_same_events(vectorised(candles, parameters, strategy=STRATEGY), expected)


@pytest.mark.parametrize("persistence", [1, 3])
def test_tables_on_real_candles_are_those_of_the_plain_loop(persistence):
    candles = real_candles(YEAR_5M).cut(20_000, 40_000)
    limits = {"gap_threshold": 0.002, "volume_surge_multiplier": 1.5}
    parameters = ALL | limits | {"momentum_persistence": persistence}
    expected = supply_shock.event_table(candles, parameters)
    assert len(expected) > 50
    assert_same_events(vectorised(candles, parameters, strategy=STRATEGY), expected)
