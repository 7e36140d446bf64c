"""Small spaces of LIQUIDITY SWEEP V3, and candles on which they trade."""

from typing import NamedTuple

import numpy as np

from gpu_engine import METRICS, Costs, RiskLimits
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import make_space
from pipeline.strategies.liquidity_sweep import LiquiditySweep
from support.backends import named
from support.coarse import coarse_candles
from support.parameters import combination

#: One combination that trades often on coarse candles.
LOOSE = combination(0.001, 5, 1.0, 0.25, 50, 1.0, 2.0, 0.0, None)


class Values(NamedTuple):
    """What the configuration says of one parameter."""

    grid: tuple
    low: float | None = None
    high: float | None = None


def small_space(continuous=False, ranges=None, **grids):
    """`LOOSE` with the given grids; ``ranges`` maps a name to its low and high."""
    ranges = ranges or {}
    values = {
        name: Values(tuple(grids.get(name, (value,))), *ranges.get(name, ()))
        for name, value in LOOSE.items()
    }
    return make_space(LiquiditySweep(), values, continuous)


def coarse_market(space, n_bars=2000, seed=0, backend="numba", block=None, risk=None):
    """An evaluator of ``space`` on random candles."""
    candles = coarse_candles(np.random.default_rng(seed), n_bars)
    risk = risk or RiskLimits(max_daily_loss=None, consecutive_losses_limit=None)
    return Evaluator(candles, space, Costs(), risk, named(backend), block)


def assert_identical(actual, expected):
    """Every field of metrics equal to the last bit; NaN equals NaN."""
    assert actual.dtype == expected.dtype == METRICS
    for name in METRICS.names:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
