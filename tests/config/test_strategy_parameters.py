"""The search space of LIQUIDITY SWEEP V3 as the table of liquidity_sweep rules §3 has it."""

import pytest

from pipeline.errors import UserError
from support.parameters import NAMES

TABLE = {
    "pierce_depth": ((0.0005, 0.001, 0.002, 0.003, 0.004, 0.005), 0.0005, 0.005),
    "rejection_candles": ((1, 2, 3, 4, 5), 1, 5),
    "volume_spike_threshold": ((1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5), 1.5, 5),
    "reversal_candle_size": ((0.5, 0.75, 1, 1.25, 1.5, 1.75, 2), 0.5, 2),
    "key_level_lookback": ((20, 50, 100, 150, 200), 20, 200),
    "stop_distance": ((0.5, 1, 1.5, 2), 0.5, 2),
    "target_multiple": ((1.5, 2, 2.5, 3, 3.5, 4), 1.5, 4),
    "min_stop_density_score": ((0.5,), None, None),
    "max_spread_tolerance": ((None,), None, None),
}


def test_the_names_that_other_tests_use_are_those_of_the_table():
    assert tuple(TABLE) == NAMES


def test_the_table(train_config):
    strategy = train_config().strategy
    assert strategy.grid_size == 201_600
    assert {
        name: (parameter.grid, parameter.low, parameter.high)
        for name, parameter in strategy.parameters.items()
    } == TABLE


def test_whole_numbers_stay_whole_and_others_become_floats(train_config):
    parameters = train_config().strategy.parameters
    assert all(type(value) is int for value in parameters["key_level_lookback"].grid)
    assert type(parameters["key_level_lookback"].low) is int
    assert all(type(value) is float for value in parameters["stop_distance"].grid)


def test_a_grid_is_shrunk_on_the_command_line(train_config):
    strategy = train_config("strategy.parameters.pierce_depth.grid=[0.001,0.002]").strategy
    assert strategy.parameters["pierce_depth"].grid == (0.001, 0.002)
    assert strategy.grid_size == 67_200


def test_a_filter_may_be_off_or_on(train_config):
    parameter = train_config("strategy.parameters.max_spread_tolerance.grid=[null,2,5]")
    assert parameter.strategy.parameters["max_spread_tolerance"].grid == (None, 2, 5)


def test_a_grid_is_searched_whole_or_drawn_from_up_to_a_number(train_config):
    two = ("stop_distance=1:10001:1", "target_multiple=1:10001:1")
    four = (*two, "pierce_depth=0.0001:1:0.0001", "reversal_candle_size=0:1:0.0001")
    five = (*four, "volume_spike_threshold=1:5000:1")

    def configured(values, *words):
        return train_config("market=demo", *words, *(f"strategy.parameters.{v}" for v in values))

    with pytest.raises(UserError, match=r"at most 10,000,000,000 .* has 840,168,008,400"):
        configured(two, "optimizer=grid")
    drawn = configured(four, "optimizer=random")
    assert drawn.strategy.grid_size == 2_000_600_060_002_000_000
    for optimizer in ("optimizer=random", "optimizer=bayesian"):
        with pytest.raises(UserError, match=r"9,223,372,036,854,775,807 .* space=continuous"):
            configured(five, optimizer)
        assert configured(five, optimizer, "space=continuous").strategy.grid_size > 2**63
