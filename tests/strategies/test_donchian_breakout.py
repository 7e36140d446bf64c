"""DONCHIAN BREAKOUT: what it declares, its rules by hand, and its tables against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.strategies.donchian_breakout import STRATEGY
from support.backtest import make_candles
from support.coarse import coarse_candles
from support.events import assert_same_events, vectorised
from support.plain_tables import donchian_breakout
from support.real_candles import YEAR_5M, real_candles

seeds = st.integers(0, 2**32 - 1)
combinations = st.fixed_dictionaries(
    {
        "entry_channel": st.sampled_from([1, 2, 5, 10, 21, 50]),
        "exit_channel": st.sampled_from([1, 3, 5, 10, 60]),
        "volume_factor": st.sampled_from([0.0, 0.5, 1.0, 1.5]),
    }
)


def flat(n_bars, **closes):
    """Candles from 99 to 101 that close at 100, but for the bars named ``b<number>``."""
    bars = [(100, 101, 99, 100)] * n_bars
    for name, close in closes.items():
        bars[int(name[1:])] = (100, max(101, close), min(99, close), close)
    return make_candles(bars)


def table(candles, entry=10, leave=5, factor=0.0):
    parameters = {"entry_channel": entry, "exit_channel": leave, "volume_factor": factor}
    return vectorised(candles, parameters, strategy=STRATEGY)


def test_the_grid_is_that_of_the_rules():
    """Donchian_breakout rules §1: 320 combinations, in this order."""
    grid = {p.name: p.grid for p in STRATEGY.parameters}
    assert list(grid) == ["entry_channel", "exit_channel", "volume_factor", "stop_distance"]
    assert np.prod([len(values) for values in grid.values()]) == 320
    ranges = {p.name: (p.low, p.high) for p in STRATEGY.parameters}
    assert ranges == {
        "entry_channel": (10, 400),
        "exit_channel": (5, 200),
        "volume_factor": (0, 3),
        "stop_distance": (1, 4),
    }


def test_a_close_strictly_beyond_the_channel_is_a_signal():
    touching = flat(40, b30=101, b35=99)
    assert len(table(touching)) == 0
    beyond = table(flat(40, b30=101.5, b35=98.5))
    assert beyond.signal_bar.tolist() == [30, 35]
    assert beyond.side.tolist() == [+1, -1]
    assert beyond.setup_bar.tolist() == [30, 35]


def test_every_new_high_is_a_row():
    assert table(flat(40, b30=102, b31=103, b32=104)).signal_bar.tolist() == [30, 31, 32]


def test_no_signal_before_twenty_bars_or_its_channel():
    assert table(flat(40, b19=102, b20=103)).signal_bar.tolist() == [20]
    assert table(flat(40, b24=102, b25=103), entry=25).signal_bar.tolist() == [25]


def test_the_exit_signal_is_the_first_close_beyond_the_other_channel():
    """A close at the channel is none; a high that left the channel counts no more."""
    down = table(flat(60, b30=102, b40=99, b50=98, b55=97))
    assert down.exit_signal_bar[0] == 50
    up = table(flat(60, b30=98, b40=101, b50=102))
    assert (up.side[0], up.exit_signal_bar[0]) == (-1, 50)
    assert table(flat(60, b30=102)).exit_signal_bar.tolist() == [-1]


def test_an_exit_signal_needs_a_whole_exit_channel():
    """No exit signal before bar ``M``, even on the lowest close so far."""
    candles = flat(60, b30=102, b35=98, b50=97)
    assert table(candles, leave=35).exit_signal_bar[0] == 35
    assert table(candles, leave=36).exit_signal_bar[0] == 50


@settings(max_examples=100)
@given(seed=seeds, n_bars=st.integers(1, 300), parameters=combinations)
def test_tables_are_those_of_the_plain_loop(seed, n_bars, parameters):
    candles = coarse_candles(np.random.default_rng(seed), n_bars, hunt_share=0.1)
    expected = donchian_breakout.event_table(candles, parameters)
    assert_same_events(vectorised(candles, parameters, strategy=STRATEGY), expected)


@pytest.mark.parametrize(("entry", "leave", "factor"), [(20, 10, 0.0), (200, 100, 1.5)])
def test_tables_on_real_candles_are_those_of_the_plain_loop(entry, leave, factor):
    candles = real_candles(YEAR_5M).cut(20_000, 30_000)
    parameters = {"entry_channel": entry, "exit_channel": leave, "volume_factor": factor}
    expected = donchian_breakout.event_table(candles, parameters)
    assert len(expected) > 100
    assert_same_events(vectorised(candles, parameters, strategy=STRATEGY), expected)
