"""FAILED BREAKDOWN V3: what it declares, its rules by hand, and its tables against plain loops.

Bars are (100, 101, 99, 100) on volume 1 but for bar 19, whose low of 97 is the only swing low,
bar 30, which breaks it at 96 and closes at 96.5, and bar 31, which closes at 98.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.strategies import indicators
from pipeline.strategies.base import of_kind
from pipeline.strategies.failed_breakdown import STRATEGY
from support.backtest import make_candles
from support.coarse import coarse_candles
from support.events import assert_same_events, in_numpy, vectorised, widened
from support.plain_tables import failed_breakdown
from support.real_candles import YEAR_5M, real_candles

QUIET = (100, 101, 99, 100)
BREAK, BACK = (100, 101, 96, 96.5), (96.5, 99, 96.5, 98)
seeds = st.integers(0, 2**32 - 1)
combinations = st.fixed_dictionaries(
    {
        "range_lookback_periods": st.sampled_from([10, 11, 12, 20, 37]),
        "breakdown_depth": st.sampled_from([0.0, 0.001, 0.01]),
        "volume_decline_threshold": st.sampled_from([0.5, 1.0, 3.0, 100.0]),
        "recovery_speed": st.integers(1, 6),
        "spring_confirmation_volume": st.sampled_from([0.0, 0.5, 1.0]),
        "accumulation_score_min": st.sampled_from([0.0, 0.4, 0.5]),
        "support_tests_min": st.sampled_from([0, 0, 1, 2]),
    }
)
ALL = {
    "breakdown_depth": 0.0,
    "volume_decline_threshold": 100.0,
    "recovery_speed": 5,
    "spring_confirmation_volume": 0.0,
    "accumulation_score_min": 0.0,
    "support_tests_min": 0,
}


@pytest.fixture(params=[+1, -1], ids=["long", "short"])
def side(request):
    return request.param


def market(side, changes=(), filled=()):
    bars = np.array([QUIET] * 40, np.float64)
    bars[19] = (100, 101, 97, 100)
    for bar, values in ({30: BREAK, 31: BACK} | dict(changes)).items():
        bars[bar] = values
    if side < 0:
        bars = 200 - bars[:, [0, 2, 1, 3]]
    return make_candles(bars, filled)


def table(candles, length=20, **limits):
    parameters = {"range_lookback_periods": length} | ALL | limits
    return vectorised(candles, parameters, strategy=STRATEGY)


def rows(side, changes=(), filled=(), **limits):
    """(break bar, signal bar) of every row."""
    found = table(market(side, changes, filled), **limits)
    assert set(found.side.tolist()) <= {side}
    return list(zip(found.setup_bar.tolist(), found.signal_bar.tolist(), strict=True))


def test_the_grid_is_that_of_the_rules():
    """Failed_breakdown rules §1: 153,600 combinations, in this order."""
    grid = {p.name: p.grid for p in STRATEGY.parameters}
    assert list(grid) == [
        "range_lookback_periods",
        "breakdown_depth",
        "volume_decline_threshold",
        "recovery_speed",
        "spring_confirmation_volume",
        "stop_offset",
        "target_reach",
        "accumulation_score_min",
        "support_tests_min",
    ]
    assert np.prod([len(values) for values in grid.values()]) == 153_600
    assert {p.name: p.sense for p in of_kind(STRATEGY, "threshold")} == failed_breakdown.SENSES
    assert [p.exit for p in of_kind(STRATEGY, "exit")] == ["stop_offset", "target_reach"]


def test_a_spring_and_its_features(side):
    candles = market(side)
    candles.volume[[22, 30, 31]] = 3.0, 0.5, 2.2
    spring = table(candles)
    assert spring.setup_bar.tolist() == [30]
    assert spring.signal_bar.tolist() == [31]
    assert spring.side.tolist() == [side]
    assert spring.atr.tolist() == [indicators.average_true_range(candles)[31]]
    assert spring.stop_level.tolist() == [100 - side * 4]
    assert spring.target_level.tolist() == [100 + side * 1]
    weak, strong = 0.5 / (22 / 20), 2.2 / (21.5 / 20)
    score = (0.5 + 0.5 + 1.0 + 1 / (1 + weak) + strong / (1 + strong)) / 5
    depth = 1 / (100 - side * 3)
    assert spring.features.tolist() == [[depth, weak, 1, strong, pytest.approx(score), 1]]


def test_demand_is_the_share_of_the_volume_of_bars_in_the_trade_s_direction(side):
    candles = market(side, {25: (99.5, 101, 99, 100), 26: (100, 101, 99, 99.5)})
    candles.volume[[25, 26]] = 3.0, 1.0
    plain, moved = table(market(side)).features[0], table(candles).features[0]
    volumes = [1 / (1 + x[1]) + x[3] / (1 + x[3]) for x in (plain, moved)]
    difference = (3 / 4 + volumes[1] - 0.5 - volumes[0]) / 5
    assert moved[4] - plain[4] == pytest.approx(difference)


def test_the_edge_itself_is_not_broken(side):
    back = {31: (98, 99, 97, 98)}
    assert rows(side, {30: (100, 101, 97, 98)} | back) == []
    assert rows(side, {30: (100, 101, 96.75, 98)} | back) == [(30, 31)]


@pytest.mark.parametrize(("bar", "low", "springs"), [(26, 97, True), (26, 96.5, False)])
def test_a_range_is_intact_for_five_bars(side, bar, low, springs):
    """A bar that touches the edge leaves it whole; one beyond it is the break of its own bar."""
    broken = rows(side, {bar: (100, 101, low, 98)})
    assert ((30, 31) in broken) == springs


def test_an_edge_is_six_bars_old(side):
    """The low of bar 25 is no edge of bar 30, whose range ends at bar 24."""
    assert rows(side, {25: (100, 101, 96.5, 100)}, length=20) == [(25, 26)]


def test_only_the_first_close_inside_counts(side):
    late = {31: (96.5, 98, 96, 97), 32: (97, 98, 95, 97), 33: (97, 99, 96, 98)}
    assert rows(side, late) == [(30, 33)]
    assert rows(side, late, recovery_speed=2) == []
    spring = table(market(side, late))
    assert spring.stop_level.tolist() == [100 - side * 5]
    assert spring.features[0, 2] == 3


def test_a_filled_bar_does_not_recover(side):
    same = (98, 98, 98, 98)
    assert rows(side, {31: same, 32: BACK}, filled=[31]) == [(30, 32)]
    assert rows(side, filled=[30]) == []


def test_a_break_without_a_baseline_is_none(side):
    candles = market(side)
    candles.volume[10:30] = 0.0
    assert len(table(candles)) == 0


def test_tests_lie_within_a_quarter_of_the_atr_before(side):
    """The ATR of bar 29 is a little above 2: half a point off the edge is a test, one is none."""
    for low, tests in ((97.5, 2), (98, 1)):
        candles = market(side, {24: (100, 101, low, 100)})
        assert 2 < indicators.average_true_range(candles)[29] < 2.5
        assert table(candles).features[0, 5] == tests


def test_a_break_of_the_last_bars_may_wait_for_its_recovery(side):
    candles = market(side, {31: (96.5, 97, 96, 96.5)}).cut(0, 32)
    assert len(table(candles)) == 0


@settings(max_examples=100)
@given(seed=seeds, n_bars=st.integers(1, 300), parameters=combinations)
def test_tables_are_those_of_the_plain_loop(seed, n_bars, parameters):
    candles = coarse_candles(np.random.default_rng(seed), n_bars, hunt_share=0.15)
    expected = failed_breakdown.event_table(candles, parameters)
    for events in (vectorised, in_numpy):
        assert_same_events(events(candles, parameters, strategy=STRATEGY), expected)


@settings(max_examples=60)
@given(seed=seeds, parameters=combinations, looser=combinations)
def test_loosest_never_changes_what_a_combination_takes(seed, parameters, looser):
    candles = coarse_candles(np.random.default_rng(seed), 250, hunt_share=0.15)
    loosest = widened(parameters, looser, STRATEGY)
    assert_same_events(
        vectorised(candles, parameters, loosest, strategy=STRATEGY),
        vectorised(candles, parameters, strategy=STRATEGY),
    )


@pytest.mark.parametrize("length", [10, 20, 50, 200])
def test_tables_on_real_candles_are_those_of_the_plain_loop(length):
    candles = real_candles(YEAR_5M).cut(20_000, 40_000)
    parameters = ALL | {"range_lookback_periods": length}
    expected = failed_breakdown.event_table(candles, parameters)
    assert len(expected) > 150
    assert_same_events(vectorised(candles, parameters, strategy=STRATEGY), expected)
