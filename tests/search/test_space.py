"""Points, indices and names of combinations (validation rules §2.10)."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.search.space import single_point
from pipeline.strategies.liquidity_sweep import LiquiditySweep
from support.parameters import (
    DENSITY,
    DEPTH,
    LOOKBACK,
    REJECTION,
    SIZE,
    SPREAD,
    STOP,
    TARGET,
    VOLUME,
    combination,
)
from support.spaces import LOOSE, small_space

FIRST = combination(0.0005, 1, 1.5, 0.5, 20, 0.5, 1.5)


def parameters_at(space, index):
    return space.parameters(space.points(np.array([index]))[0])


def test_default_grid_has_201_600_combinations_in_the_order_of_the_spec(default_space):
    space = default_space()
    assert space.discrete
    assert space.shape == (6, 5, 8, 7, 5, 4, 6, 1, 1)
    assert space.size == 201_600


@pytest.mark.parametrize(
    ("index", "changed"),
    [
        (0, {}),
        (1, {TARGET: 2.0}),
        (6, {STOP: 1.0}),
        (24, {LOOKBACK: 50}),
        (24 * 5, {SIZE: 0.75}),
        (24 * 35, {VOLUME: 2.0}),
        (24 * 35 * 8, {REJECTION: 2}),
        (24 * 35 * 8 * 5, {DEPTH: 0.001}),
    ],
)
def test_last_parameter_runs_fastest(default_space, index, changed):
    assert parameters_at(default_space(), index) == {**FIRST, **changed}


def test_last_index_is_the_last_value_of_every_grid(default_space):
    assert parameters_at(default_space(), 201_599) == {
        **FIRST,
        DEPTH: 0.005,
        REJECTION: 5,
        VOLUME: 5.0,
        SIZE: 2.0,
        LOOKBACK: 200,
        STOP: 2.0,
        TARGET: 4.0,
    }


def test_whole_numbers_come_out_as_int_and_all_others_as_float(default_space):
    kinds = {name: type(value) for name, value in parameters_at(default_space(), 7).items()}
    integers = {name for name, kind in kinds.items() if kind is int}
    assert integers == {REJECTION, LOOKBACK}
    assert kinds.pop(SPREAD) is type(None)
    assert set(kinds.values()) == {int, float}


@given(
    st.lists(st.integers(1, 4), min_size=4, max_size=4),
    st.data(),
)
def test_indices_decode_row_major(sizes, data):
    names = (DEPTH, LOOKBACK, STOP, DENSITY)
    grids = {name: tuple(range(10, 10 + n)) for name, n in zip(names, sizes, strict=True)}
    space = small_space(**grids)
    index = data.draw(st.integers(0, space.size - 1))
    expected = list(itertools.product(*grids.values()))[index]
    decoded = parameters_at(space, index)
    assert space.size == math.prod(sizes)
    assert tuple(decoded[name] for name in names) == expected


def test_none_is_the_infinity_that_lets_everything_pass():
    space = small_space(**{SPREAD: (None, 5.0)})
    off, five = space.points(np.arange(2))
    assert (off[-1], five[-1]) == (math.inf, 5.0)
    assert space.parameters(off)[SPREAD] is None
    assert space.parameters(five)[SPREAD] == 5.0


@given(st.integers(0, 201_599))
def test_a_combination_by_name_is_its_point(default_space, index):
    space = default_space()
    point = space.points(np.array([index]))[0]
    assert space.point(space.parameters(point)).tolist() == point.tolist()


def test_loosest_is_the_most_permissive_threshold_of_the_grid(default_space):
    assert default_space().loosest() == {
        DEPTH: 0.0005,
        REJECTION: 5.0,
        VOLUME: 1.5,
        DENSITY: 0.5,
    }


def test_loosest_names_the_spread_filter_only_when_the_search_sets_it():
    assert SPREAD not in small_space().loosest()
    assert small_space(**{SPREAD: (3.0, 5.0)}).loosest()[SPREAD] == 5.0
    # Off is among the choices: rows of any spread are needed, and the spread of every row too.
    mixed = small_space(**{SPREAD: (None, 5.0)}).loosest()
    assert mixed[SPREAD] == math.inf


def test_continuous_space_keeps_parameters_without_a_range_on_their_grid(default_space):
    space = default_space(True)
    assert not space.discrete
    chosen = {d.parameter.name: d.choices for d in space.dimensions if d.choices is not None}
    assert {name: values.tolist() for name, values in chosen.items()} == {
        DENSITY: [0.5],
        SPREAD: [math.inf],
    }
    ranges = {d.parameter.name: (d.low, d.high) for d in space.dimensions if d.choices is None}
    assert ranges == {
        DEPTH: (0.0005, 0.005),
        REJECTION: (1, 5),
        VOLUME: (1.5, 5),
        SIZE: (0.5, 2),
        LOOKBACK: (20, 200),
        STOP: (0.5, 2),
        TARGET: (1.5, 4),
    }


def test_continuous_loosest_is_the_open_end_of_each_range(default_space):
    assert default_space(True).loosest() == default_space().loosest()


def test_continuous_without_any_range_is_discrete():
    assert small_space(continuous=True, **{DEPTH: (0.1, 0.2)}).discrete


def test_single_point_is_a_space_of_one():
    space = single_point(LiquiditySweep(), LOOSE)
    assert (space.size, space.discrete) == (1, True)
    assert parameters_at(space, 0) == LOOSE
