"""What LIQUIDITY SWEEP V3 declares: the table of liquidity_sweep rules §3, in grid order."""

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import METRICS, ExitSettings
from gpu_engine.exits import ZERO_ALLOWED
from pipeline import lab
from pipeline.config import ParameterConfig
from pipeline.errors import UserError
from pipeline.strategies import declaration
from pipeline.strategies.base import EXACT, Parameter, of_kind
from pipeline.strategies.donchian_breakout import DonchianBreakout
from pipeline.strategies.liquidity_sweep import LiquiditySweep
from pipeline.strategies.registry import load_strategy, locate
from pipeline.studies.coarse_candles import coarse_candles
from support.own_strategy import own_file

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


def changed(**changes):
    """A strategy with its first parameter changed."""
    first, *others = DonchianBreakout.parameters
    parameters = (replace(first, maximum=None, **changes), *others)
    return type("Changed", (DonchianBreakout,), {"parameters": parameters})()


def declared(**changes):
    return list(declaration.faults(changed(**changes)))


def test_names_that_the_lab_takes_are_refused():
    functions = (lab.backtest, lab.grid, lab.train)
    arguments = {
        p.name
        for function in functions
        for p in inspect.signature(function).parameters.values()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    assert set(declaration.TAKEN) == arguments | set(METRICS.names)
    for name in declaration.TAKEN:
        (fault,) = declared(name=name)
        assert f"'{name}'" in fault


@pytest.mark.parametrize(
    "grid", [np.arange(20, 60, 10), np.array([20]), (20), "20", (20, 10**30), (20, 10**400)]
)
def test_a_grid_that_is_none_is_one_sentence(grid):
    (fault,) = declared(grid=grid)
    assert "'entry_channel'" in fault


def test_whole_numbers_are_exact():
    for integer, value in ((True, EXACT), (True, float(EXACT)), (False, 1e300)):
        assert declared(integer=integer, grid=(20, value)) == []
    for integer, value in ((True, 2.0 * EXACT), (True, -EXACT - 1), (False, EXACT + 1)):
        assert Parameter("x", "structural", "", integer=integer).complaint(value)


def test_a_value_beyond_what_is_exact_is_refused_when_typed():
    with pytest.raises(UserError, match="entry_channel"):
        lab.grid(None, changed(), entry_channel=10**30)


@pytest.mark.parametrize("mirrored", ["yes", 1, None])
def test_mirrored_is_true_or_false(mirrored):
    strategy = type("Changed", (DonchianBreakout,), {"mirrored": mirrored})()
    (fault,) = declaration.faults(strategy)
    assert repr(mirrored) in fault


def test_the_middle_of_an_even_grid_is_the_lower():
    assert Parameter("x", "structural", "", (1, 2, 3, 4)).example == 2
    assert Parameter("x", "structural", "", (1, 2, 3)).example == 2


def test_an_example_is_the_callers_to_change():
    strategy = load_strategy("liquidity_sweep")
    strategy.example["key_level_lookback"] = 50
    assert load_strategy("liquidity_sweep").example["key_level_lookback"] == 100


def test_a_filter_that_is_off_is_not_in_loosest(tmp_path):
    """A file that asks for it is told so, and how to ask."""
    candles = coarse_candles(np.random.default_rng(0), 100)
    for name in ("mine", "twin"):  # one text in two files
        strategy = load_strategy(*locate(str(own_file(tmp_path, name))))
        sentence = rf"{name}.py, line 83: loosest has no 'volume_factor'.*get"
        with pytest.raises(UserError, match=sentence):
            strategy.events(candles, {})


def test_the_rule_of_a_role_decides_what_is_possible():
    for role in declaration.ROLES:
        parameter = Parameter("x", "exit", "", (1,), role=role)
        assert (parameter.complaint(0) is None) == (role in ZERO_ALLOWED)
        assert parameter.complaint(-1)
        possible = ParameterConfig(**declaration.configured(parameter))
        if role in ZERO_ALLOWED:
            assert possible.possible(0) == 0
        else:
            with pytest.raises(ValueError, match="above 0"):
                possible.possible(0)
