"""CAPITULATION REVERSAL V3: what it declares, its rules by hand, its tables against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.strategies import indicators
from pipeline.strategies.base import of_kind
from pipeline.strategies.capitulation_reversal import STRATEGY
from support.backtest import make_candles
from support.coarse import coarse_candles
from support.events import assert_same_events, in_numpy, vectorised, widened
from support.plain_tables import capitulation_reversal
from support.real_candles import YEAR_5M, real_candles

seeds = st.integers(0, 2**32 - 1)
combinations = st.fixed_dictionaries(
    {
        "volume_explosion_threshold": st.sampled_from([0.0, 0.5, 1.5, 2.0]),
        "price_move_speed": st.sampled_from([0.0, 0.005, 0.01]),
        "sentiment_extreme_threshold": st.sampled_from([100.0, 50.0, 40.0]),
        "exhaustion_wick_ratio": st.sampled_from([0.0, 0.5, 1.0, 1.5]),
        "reversal_confirmation_candles": st.integers(1, 3),
        "panic_score_minimum": st.sampled_from([0.0, 0.45, 0.55]),
        "range_regained": st.sampled_from([0.0, 0.3, 0.5]),
    }
)
ALL = {
    "volume_explosion_threshold": 0.0,
    "price_move_speed": 0.0,
    "sentiment_extreme_threshold": 100.0,
    "exhaustion_wick_ratio": 0.0,
    "panic_score_minimum": 0.0,
    "range_regained": 0.0,
}
#: Opens at 100, falls to 94 on threefold volume and closes at 97; ATR before is 2.
PANIC = (100, 100, 94, 97)


@pytest.fixture(params=[+1, -1], ids=["long", "short"])
def side(request):
    return request.param


def market(side, *last, volume=3.0, filled=()):
    """Thirty bars from 99 to 101 that close at 100, and then ``last``; volume 1 but at bar 30."""
    bars = np.array([(100, 101, 99, 100)] * 30 + list(last), np.float64)
    if side < 0:
        bars = 200 - bars[:, [0, 2, 1, 3]]
    candles = make_candles(bars, filled)
    candles.volume[30] = volume
    return candles


def table(candles, delay=1, **limits):
    parameters = {"reversal_confirmation_candles": delay} | ALL | limits
    return vectorised(candles, parameters, strategy=STRATEGY)


def setups(candles, side, delay=1, **limits):
    """Panic bars of one side from bar 30 on."""
    rows = table(candles, delay, **limits)
    return rows.setup_bar[(rows.side == side) & (rows.setup_bar >= 30)].tolist()


def test_the_grid_is_that_of_the_rules():
    """Capitulation_reversal rules §1: 155,520 combinations, in this order."""
    grid = {p.name: p.grid for p in STRATEGY.parameters}
    assert list(grid) == [
        "volume_explosion_threshold",
        "price_move_speed",
        "sentiment_extreme_threshold",
        "exhaustion_wick_ratio",
        "reversal_confirmation_candles",
        "stop_distance",
        "target_multiple",
        "panic_score_minimum",
        "range_regained",
    ]
    assert np.prod([len(values) for values in grid.values()]) == 155_520
    assert {p.name: p.sense for p in of_kind(STRATEGY, "threshold")} == capitulation_reversal.SENSES
    assert [p.exit for p in of_kind(STRATEGY, "exit")] == ["stop_distance", "target_multiple"]


def test_features_of_a_panic_bar_by_hand(side):
    candles = market(side, PANIC, (97, 99, 96, 98))
    rows = table(candles)
    panic = rows.at(rows.setup_bar == 30)
    assert panic.signal_bar.tolist() == [31]
    assert panic.side.tolist() == [side]
    assert panic.atr.tolist() == [indicators.average_true_range(candles)[31]]
    score = (3 / (1 + 3) + 6 / (6 + 2) + 1.0 + 3 / (3 + 3) + 3 / 6) / 5
    assert panic.features.tolist() == [[3.0, 0.06, 0.0, 1.0, score, 0.5]]


@pytest.mark.parametrize(
    ("name", "limit", "beyond"),
    [
        ("volume_explosion_threshold", 3.0, 3.01),
        ("price_move_speed", 0.06, 0.0601),
        ("exhaustion_wick_ratio", 1.0, 1.01),
        ("range_regained", 0.5, 0.51),
    ],
)
def test_a_threshold_includes_its_limit(side, name, limit, beyond):
    candles = market(side, PANIC, (97, 99, 96, 98))
    assert setups(candles, side, **{name: limit}) == [30]
    assert setups(candles, side, **{name: beyond}) == []


def test_a_body_of_nothing_is_all_wick(side):
    rows = table(market(side, (100, 100, 94, 100), (100, 102, 99, 101)))
    panic = rows.at(rows.setup_bar == 30)
    assert panic.features[:, 3].tolist() == [np.inf]
    assert panic.features[:, 2].tolist() == [50.0]  # no close moved yet


def test_a_bar_that_opens_at_its_extreme_does_not_drop(side):
    assert setups(market(side, (97, 100, 97, 99), (99, 101, 98, 100)), side) == []


def test_every_bar_confirms_strictly(side):
    ups = [PANIC, (97, 99, 96, 98), (98, 100, 97, 99), (99, 101, 98, 99)]
    assert [30 in setups(market(side, *ups), side, delay) for delay in (1, 2, 3)] == [
        True, True, False,
    ]  # fmt: skip


def test_a_filled_bar_is_no_panic_bar(side):
    flat = (100, 100, 94, 97)
    assert setups(market(side, flat, (97, 99, 96, 98), filled=[30]), side) == []


def test_one_bar_may_panic_on_both_sides():
    """The next close then confirms one of them."""
    wild = (100, 106, 94, 100)
    assert setups(market(+1, wild, (100, 102, 99, 101)), +1) == [30]
    assert setups(market(+1, wild, (100, 101, 98, 99)), -1) == [30]


@settings(max_examples=100)
@given(seed=seeds, n_bars=st.integers(1, 300), parameters=combinations)
def test_tables_are_those_of_the_plain_loop(seed, n_bars, parameters):
    candles = coarse_candles(np.random.default_rng(seed), n_bars, hunt_share=0.15)
    expected = capitulation_reversal.event_table(candles, parameters)
    for events in (vectorised, in_numpy):
        assert_same_events(events(candles, parameters, strategy=STRATEGY), expected)


@settings(max_examples=60)
@given(seed=seeds, parameters=combinations, looser=combinations)
def test_loosest_never_changes_what_a_combination_takes(seed, parameters, looser):
    candles = coarse_candles(np.random.default_rng(seed), 200, hunt_share=0.15)
    loosest = widened(parameters, looser, STRATEGY)
    assert_same_events(
        vectorised(candles, parameters, loosest, strategy=STRATEGY),
        vectorised(candles, parameters, strategy=STRATEGY),
    )


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_tables_on_real_candles_are_those_of_the_plain_loop(delay):
    candles = real_candles(YEAR_5M).cut(20_000, 40_000)
    parameters = ALL | {"reversal_confirmation_candles": delay}
    expected = capitulation_reversal.event_table(candles, parameters)
    assert len(expected) > 1_000
    assert_same_events(vectorised(candles, parameters, strategy=STRATEGY), expected)
