"""The strategy's tables against the plain loop on random coarse candles, and causality."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import DAY_MS
from support.coarse import coarse_candles
from support.events import (
    STRATEGY,
    assert_same_events,
    in_numpy,
    passing,
    plain,
    set_thresholds,
    vectorised,
    without_spread,
)

HOUR = 3_600_000


def hunted(seed, n_bars, step_ms=HOUR, filled_share=0.05):
    """Coarse candles with a stop hunt on every fifth bar."""
    return coarse_candles(np.random.default_rng(seed), n_bars, step_ms, filled_share, 0.2)


#: Nearly everything passes, the spread filter set.
ALL = {
    "pierce_depth": 0.0,
    "rejection_candles": 5,
    "volume_spike_threshold": 0.0,
    "reversal_candle_size": 0.0,
    "key_level_lookback": 20,
    "min_stop_density_score": 0.0,
    "max_spread_tolerance": 1e6,
}

seeds = st.integers(0, 2**32 - 1)

combinations = st.fixed_dictionaries(
    {
        "pierce_depth": st.sampled_from([0.0, 0.001, 0.005, 0.01]),
        "rejection_candles": st.integers(1, 6),
        "volume_spike_threshold": st.sampled_from([0.0, 0.5, 1.0, 1.5]),
        "reversal_candle_size": st.sampled_from([0.0, 0.1, 0.25, 0.5]),
        "key_level_lookback": st.sampled_from([4, 10, 20, 50, 200]),
        "min_stop_density_score": st.sampled_from([0.0, 0.0, 0.5, 0.75]),
        "max_spread_tolerance": st.sampled_from([None, None, 50.0, 100.0, 300.0]),
    }
)


@settings(max_examples=80)
@given(seed=seeds, n_bars=st.integers(1, 300), parameters=combinations)
def test_both_are_the_plain_loop(seed, n_bars, parameters):
    candles = hunted(seed, n_bars)
    expected = plain(candles, parameters)
    for events in (vectorised, in_numpy):
        assert_same_events(events(candles, parameters), expected)


@pytest.mark.slow
@settings(max_examples=300)
@given(seed=seeds, parameters=combinations, filled_share=st.sampled_from([0.0, 0.02, 0.3]))
def test_both_are_the_plain_loop_in_depth(seed, parameters, filled_share):
    candles = hunted(seed, 1_500, filled_share=filled_share)
    expected = plain(candles, parameters)
    for events in (vectorised, in_numpy):
        assert_same_events(events(candles, parameters), expected)


@settings(max_examples=60)
@given(seed=seeds, parameters=combinations, looser=combinations)
def test_loosest_never_changes_what_a_combination_takes(seed, parameters, looser):
    candles = hunted(seed, 200)
    loosest = set_thresholds(parameters)
    for name, value in set_thresholds(looser).items():
        widest = max if name in ("rejection_candles", "max_spread_tolerance") else min
        loosest[name] = widest(value, loosest.get(name, value))
    assert_same_events(
        without_spread(vectorised(candles, parameters, loosest)),
        without_spread(vectorised(candles, parameters)),
    )


@settings(max_examples=60)
@given(seed=seeds, parameters=combinations, cut=st.integers(1, 250))
def test_the_past_does_not_change(seed, parameters, cut):
    """No event with its signal before the cut appears, disappears or differs by a bit."""
    candles = hunted(seed, 250)
    for events in (vectorised, in_numpy, plain):
        whole = events(candles, parameters)
        before = events(candles.cut(0, cut), parameters)
        assert_same_events(before, whole.at(whole.signal_bar < cut))


@settings(max_examples=40)
@given(seed=seeds, parameters=combinations)
def test_rows_are_in_the_order_in_which_they_are_taken(seed, parameters):
    candles = hunted(seed, 250)
    table = STRATEGY.events(candles, set_thresholds(parameters)).table(parameters)
    keys = list(zip(table.signal_bar, table.setup_bar, -table.side, strict=True))
    assert keys == sorted(set(keys))
    delay = table.signal_bar - table.setup_bar
    assert (delay >= 0).all()
    np.testing.assert_array_equal(table.features[:, 1], delay + 1)
    assert not np.isnan(table.atr).any()
    assert not np.isnan(table.features).any()


def test_coarse_candles_hold_enough_to_compare():
    """What the agreement above is worth: longs and shorts, late reversals, several touches."""
    table = vectorised(hunted(0, 1_000), ALL)
    assert len(table) > 80
    assert set(table.side.tolist()) == {+1, -1}
    assert set(table.features[:, 1].tolist()) == {1, 2, 3, 4, 5}
    assert {0.5, 0.75} <= set(table.features[:, 3].tolist())


def test_tables_do_not_depend_on_the_order_in_which_they_are_asked_for():
    candles = hunted(1, 600)
    loosest = {
        "pierce_depth": 0.0,
        "rejection_candles": 5,
        "volume_spike_threshold": 1.0,
        "min_stop_density_score": 0.5,
    }
    settings_ = [
        {"key_level_lookback": lookback, "reversal_candle_size": size}
        for lookback in (20, 50)
        for size in (0.25, 1.0)
    ]
    shared = STRATEGY.events(candles, loosest)
    backwards = {id(s): shared.table(s) for s in reversed(settings_)}
    for setting in settings_:
        alone = STRATEGY.events(candles, loosest).table(setting)
        assert_same_events(backwards[id(setting)], alone)


def test_the_spread_is_that_of_the_day_before_the_sweep():
    """The estimate over exactly the day of bars before ``t``, from bidask's other function."""
    from bidask import edge

    candles = hunted(4, 400)
    table = vectorised(candles, ALL)
    assert len(table) > 30
    for t, spread in zip(table.setup_bar, table.features[:, 4], strict=True):
        day = slice(t - DAY_MS // HOUR, t)
        prices = (candles.open[day], candles.high[day], candles.low[day], candles.close[day])
        assert spread == pytest.approx(10_000 * edge(*prices), rel=1e-6)


def test_an_undefined_spread_fails_a_set_filter_only():
    """Before one day has passed there is no estimate; off (None) lets those rows through."""
    candles = hunted(4, 400, HOUR // 4)
    loosest = set_thresholds(ALL)
    table = STRATEGY.events(candles, loosest).table(ALL)
    early = np.count_nonzero(table.setup_bar < 96)
    assert early > 5
    assert passing(table, ALL).setup_bar.min() >= 96
    assert len(passing(table, ALL | {"max_spread_tolerance": None})) == len(table)


@pytest.mark.parametrize("step_ms", [DAY_MS, 7 * DAY_MS])
def test_candles_of_a_day_or_more_have_no_spread(events, step_ms):
    candles = hunted(4, 200, step_ms)
    assert len(events(candles, ALL)) == 0
    assert len(events(candles, ALL | {"max_spread_tolerance": None})) > 5
