"""After its warm-up a built-in strategy says the same wherever its candles began."""

import numpy as np
import pytest

from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.strategies.averages import Averages
from pipeline.strategies.base import of_kind
from pipeline.strategies.registry import BUILT_IN, load_strategy
from pipeline.strategies.warm_up import FORGOTTEN, warm_up_bars

STARTS = (1, 500, 1_234)


def free_values(strategy):
    """As loose as can be, so that there is something to compare."""
    free = [one for one in of_kind(strategy, "threshold") if one.unit != "bars"]
    return strategy.example | {one.name: one.off for one in free}


def signals(strategy, candles, values, first):
    """Rows of the event table whose signal is at ``first`` or later, bars counted from there."""
    loosest = {one.name: values[one.name] for one in of_kind(strategy, "threshold")}
    loosest = {name: value for name, value in loosest.items() if value is not None}
    structural = {one.name: values[one.name] for one in of_kind(strategy, "structural")}
    table = strategy.events(candles, loosest).table(structural)
    late = table.signal_bar >= first
    bars = [column[late] - first for column in (table.setup_bar, table.signal_bar)]
    return np.column_stack((*bars, table.side[late])), table.atr[late], table.features[late]


@pytest.mark.parametrize("word", BUILT_IN)
def test_signals_do_not_depend_on_where_candles_begin_after_it(word):
    strategy = load_strategy(word)
    candles, _ = make_regular(synthetic_candles(60, "15m", 3), "15m", "generated")
    values = free_values(strategy)
    bars = warm_up_bars(strategy.parameters, strategy.example, candles.step_ms)
    for start in STARTS:
        first = start + bars
        whole = signals(strategy, candles, values, first)
        cut = signals(strategy, candles.cut(start, len(candles)), values, bars)
        assert len(whole[0]) > 20
        assert (whole[0] == cut[0]).all()
        for own, other in zip(whole[1:], cut[1:], strict=True):
            np.testing.assert_allclose(other, own, rtol=1e-9)


@pytest.mark.parametrize("word", BUILT_IN)
def test_with_its_averages_carried_on_they_are_the_same_to_the_last_bit(word):
    strategy = load_strategy(word)
    candles, _ = make_regular(synthetic_candles(60, "15m", 3), "15m", "generated")
    values = free_values(strategy) | {one.name: None for one in strategy.parameters if one.nullable}
    bars = warm_up_bars(strategy.parameters, strategy.example, candles.step_ms) - FORGOTTEN
    whole = Averages()
    with whole.carried():
        signals(strategy, candles, values, 0)
    assert whole.bounded
    for start in STARTS[1:]:
        with Averages(whole.seeds(start)).carried():
            cut = signals(strategy, candles.cut(start, len(candles)), values, bars)
        own = signals(strategy, candles, values, start + bars)
        assert len(own[0]) > 20
        capped = np.minimum(cut[2], bars), np.minimum(own[2], bars)
        np.testing.assert_array_equal(cut[0], own[0])
        np.testing.assert_array_equal(cut[1], own[1])
        np.testing.assert_array_equal(*capped)  # more bars since a pullback than it asks for
