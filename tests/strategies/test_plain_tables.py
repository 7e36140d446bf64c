"""The plain event tables of the tests: exits rules §1 holds for every strategy's rows."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import EventTable
from support.coarse import coarse_candles
from support.plain_tables import (
    capitulation_reversal,
    donchian_breakout,
    failed_breakdown,
    supply_shock,
)

#: Structural parameters with which coarse candles have many rows; no threshold is set.
STRATEGIES = {
    donchian_breakout: {"entry_channel": 10, "exit_channel": 5},
    capitulation_reversal: {"reversal_confirmation_candles": 1},
    failed_breakdown: {"range_lookback_periods": 12},
    supply_shock: {"momentum_persistence": 2},
}
seeds = st.integers(0, 2**32 - 1)
strategies = pytest.mark.parametrize(
    ("strategy", "structural"), STRATEGIES.items(), ids=[s.__name__ for s in STRATEGIES]
)


def hunted(seed, n_bars):
    return coarse_candles(np.random.default_rng(seed), n_bars, hunt_share=0.15)


@strategies
@settings(max_examples=30)
@given(seed=seeds, cut=st.integers(1, 149))
def test_the_past_does_not_change(strategy, structural, seed, cut):
    """Rows up to a cut are those of the candles cut there; a later exit signal is none yet."""
    candles = hunted(seed, 150)
    whole, short = (strategy.event_table(c, structural) for c in (candles, candles.cut(0, cut)))
    past = whole.signal_bar < cut
    for field in fields(EventTable):
        expected, actual = getattr(whole, field.name), getattr(short, field.name)
        if expected is None:
            assert actual is None
            continue
        expected = expected[past]
        if field.name == "exit_signal_bar":
            expected = np.where(expected < cut, expected, -1)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected, err_msg=field.name)


@strategies
def test_rows_are_many_and_in_order(strategy, structural):
    table = strategy.event_table(hunted(1, 1_500), structural)
    keys = list(zip(table.signal_bar, table.setup_bar, -table.side, strict=True))
    assert keys == sorted(set(keys))
    assert set(table.side) == {-1, +1}
    assert len(table) > 50
    assert (table.setup_bar <= table.signal_bar).all()
    assert (table.atr > 0).all()
    assert not np.isnan(table.features).any()
    assert table.features.shape == (len(table), len(strategy.SENSES))
    optional = ("stop_level", "target_level", "exit_signal_bar")
    assert tuple(n for n in optional if getattr(table, n) is not None) == strategy.COLUMNS


@strategies
def test_thresholds_leave_out_the_rows_that_fail_them(strategy, structural):
    """With limits set, a table has the rows of the one without that pass them, as they are."""
    candles = hunted(2, 800)
    every = strategy.event_table(candles, structural)
    limits = dict(zip(strategy.SENSES, np.median(every.features, axis=0).tolist(), strict=True))
    signed = np.array(list(strategy.SENSES.values()))
    for name, limit in limits.items():
        column = list(strategy.SENSES).index(name)
        passes = signed[column] * every.features[:, column] >= signed[column] * limit
        some = strategy.event_table(candles, structural | {name: limit})
        assert 0 < len(some) == np.count_nonzero(passes)
        np.testing.assert_array_equal(some.signal_bar, every.signal_bar[passes])
        np.testing.assert_array_equal(some.features, every.features[passes])


def test_exit_signals_come_later_or_never():
    table = donchian_breakout.event_table(hunted(3, 400), STRATEGIES[donchian_breakout])
    later = table.exit_signal_bar > table.signal_bar
    assert ((table.exit_signal_bar == -1) | later).all()
    assert np.count_nonzero(later) > 20
