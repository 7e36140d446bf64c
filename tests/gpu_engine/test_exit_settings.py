"""Exit settings that the rules allow, and those that they refuse (exits rules §2)."""

import numpy as np
import pytest

from gpu_engine import EventTable, ExitSettings, Tables

ROW = np.zeros(1, np.int32)
PLAIN = EventTable(ROW, ROW, np.ones(1, np.int8), np.ones(1), np.zeros((1, 0)))
LEVELS = EventTable(
    ROW, ROW, np.ones(1, np.int8), np.ones(1), np.zeros((1, 0)), np.ones(1), np.ones(1)
)
NAN = float("nan")

REFUSED = {
    "two stops": ({"stop_distance": [1.0], "stop_fraction": [0.1]}, "at most one of stop_distance"),
    "two targets": ({"target_distance": [1.0], "target_fraction": [0.1]}, "at most one of target"),
    "a multiple without a stop": ({"target_multiple": [2.0]}, "needs a stop"),
    "break-even without a stop": ({"break_even_trigger": [1.0]}, "needs a stop"),
    "half a trail": ({"trail_distance": [1.0]}, "come together"),
    "a distance of 0": ({"stop_distance": [0.0]}, "stop_distance must be above 0"),
    "a fraction below 0": ({"target_fraction": [-0.1]}, "target_fraction must be above 0"),
    "an offset below 0": ({"stop_offset": [-1.0]}, "stop_offset must be at least 0"),
    "half a bar": ({"holding_bars": [1.5]}, "whole number"),
    "no bar": ({"holding_bars": [0.0]}, "holding_bars must be above 0"),
    "no end": ({"stop_distance": [np.inf]}, "finite"),
    "columns of two lengths": (
        {"stop_distance": [1.0], "target_multiple": [1.0, 2.0]},
        r"target_multiple must have shape \(1,\)",
    ),
}
ALLOWED = {
    "nothing": {},
    "a stop here, another there": {"stop_distance": [1.0, NAN], "stop_fraction": [NAN, 0.1]},
    "no stop in one setting": {"stop_distance": [1.0, NAN], "target_multiple": [2.0, NAN]},
    "zero where it makes sense": {
        "stop_offset": [0.0],
        "trail_activation": [0.0],
        "trail_distance": [1.0],
    },
}


def settings(columns):
    return ExitSettings(**{name: np.array(values) for name, values in columns.items()})


@pytest.mark.parametrize(("columns", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        settings(columns).check(Tables((LEVELS,), ()))


@pytest.mark.parametrize("columns", ALLOWED.values(), ids=ALLOWED)
def test_allowed(columns):
    settings(columns).check(Tables((LEVELS,), ()))


@pytest.mark.parametrize(
    ("name", "level"), [("stop_offset", "stop_level"), ("target_reach", "target_level")]
)
def test_a_level_that_tables_lack_is_refused(name, level):
    with pytest.raises(ValueError, match=f"{name} needs the column {level}"):
        settings({name: [1.0]}).check(Tables((LEVELS, PLAIN), ()))
    settings({name: [NAN]}).check(Tables((PLAIN,), ()))  # no setting has it


def test_no_column_is_one_setting():
    assert len(ExitSettings()) == 1
    assert len(settings({"holding_bars": [1.0, 2.0, NAN]})) == 3


@pytest.mark.parametrize(
    ("limit", "bars"), [(None, [2, 0, 7]), (5, [2, 5, 5]), (1, [1, 1, 1]), (9, [2, 9, 7])]
)
def test_the_smaller_of_holding_time_and_limit_holds(limit, bars):
    assert settings({"holding_bars": [2.0, NAN, 7.0]}).holding(limit).tolist() == bars
