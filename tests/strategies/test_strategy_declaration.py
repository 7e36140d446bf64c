"""What LIQUIDITY SWEEP V3 declares: the table of liquidity_sweep rules §3, in grid order."""

import math

from gpu_engine import ExitSettings
from pipeline.strategies.base import Parameter, of_kind
from pipeline.strategies.liquidity_sweep import LiquiditySweep

STRATEGY = LiquiditySweep()


def test_parameters_are_in_grid_order():
    assert STRATEGY.name == "LIQUIDITY_SWEEP_V3"
    assert [p.name for p in STRATEGY.parameters] == [
        "pierce_depth",
        "rejection_candles",
        "volume_spike_threshold",
        "reversal_candle_size",
        "key_level_lookback",
        "stop_distance",
        "target_multiple",
        "min_stop_density_score",
        "max_spread_tolerance",
    ]


def test_kinds():
    structural = [p.name for p in of_kind(STRATEGY, "structural")]
    assert structural == ["reversal_candle_size", "key_level_lookback"]
    assert {p.name for p in of_kind(STRATEGY, "exit")} <= set(vars(ExitSettings()))
    senses = {p.name: p.sense for p in of_kind(STRATEGY, "threshold")}
    assert senses == {
        "pierce_depth": +1,
        "rejection_candles": -1,
        "volume_spike_threshold": +1,
        "min_stop_density_score": +1,
        "max_spread_tolerance": -1,
    }


def test_integers_and_null():
    integers = {p.name for p in STRATEGY.parameters if p.integer}
    assert integers == {"rejection_candles", "key_level_lookback"}
    assert [p.name for p in STRATEGY.parameters if p.nullable] == ["max_spread_tolerance"]


def test_off_lets_everything_pass():
    assert Parameter("x", "threshold", "", sense=+1).off == -math.inf
    assert Parameter("x", "threshold", "", sense=-1).off == math.inf
