"""Event tables of one combination, of LIQUIDITY SWEEP V3 where no strategy is named, compared."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np

from pipeline.strategies import compiled
from pipeline.strategies.base import of_kind
from pipeline.strategies.liquidity_sweep import LiquiditySweep
from support.plain_tables.liquidity_sweep import event_table

STRATEGY = LiquiditySweep()


def set_thresholds(parameters, strategy=STRATEGY):
    """The thresholds that are not off: what a search of this one combination calls loosest."""
    names = [p.name for p in of_kind(strategy, "threshold")]
    return {name: parameters[name] for name in names if parameters.get(name) is not None}


def passing(table, parameters, strategy=STRATEGY):
    """Rows that pass every threshold, as the engine compares them."""
    kept = np.ones(len(table), bool)
    for column, parameter in zip(table.features.T, of_kind(strategy, "threshold"), strict=True):
        value = parameters.get(parameter.name)
        limit = parameter.off if value is None else value
        kept &= column >= limit if parameter.sense > 0 else column <= limit
    return table.at(kept)


def plain(candles, parameters):
    return event_table(candles, parameters)


def vectorised(candles, parameters, loosest=None, strategy=STRATEGY):
    """Rows of the strategy's table that ``parameters`` takes: compiled, where Numba runs."""
    loosest = set_thresholds(parameters, strategy) if loosest is None else loosest
    return passing(strategy.events(candles, loosest).table(parameters), parameters, strategy)


def by_numpy(function, *arguments):
    """What ``function`` returns where Numba does not run."""
    with patch.object(compiled, "kernels", lambda: None):
        return function(*arguments)


def in_numpy(candles, parameters, loosest=None, strategy=STRATEGY):
    """As `vectorised`, where Numba does not run."""
    return by_numpy(vectorised, candles, parameters, loosest, strategy)


def widened(parameters, looser, strategy):
    """The loosest thresholds of a search that tries both combinations, which set the same ones."""
    first, second = (set_thresholds(values, strategy) for values in (parameters, looser))
    widest = {p.name: max if p.sense < 0 else min for p in of_kind(strategy, "threshold")}
    return {name: widest[name](value, second[name]) for name, value in first.items()}


def without_spread(table):
    """The spread feature is 0 where the filter is off everywhere, an estimate elsewhere."""
    return replace(table, features=table.features[:, :-1])


def assert_same_events(actual, expected):
    """Equal to the last bit, types included."""
    assert actual.columns().keys() == expected.columns().keys()
    for name, e in expected.columns().items():
        a = actual.columns()[name]
        assert (a.dtype, a.shape) == (e.dtype, e.shape), name
        assert a.tobytes() == e.tobytes(), name
