"""Parts of a grid: runs of the index that hold whole units, and together are the grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_engine import Axis, Grid

KINDS = ("structural", "threshold", "exit")


@st.composite
def grids(draw):
    """A grid of a few axes in any order; an exit axis may be anywhere, or nowhere."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    sizes = [draw(st.integers(1, 4)) for _ in kinds]
    columns = [kinds[:i].count("threshold") for i in range(len(kinds))]
    axes = zip(kinds, sizes, columns, strict=True)
    return Grid(tuple(Axis(kind, np.arange(float(size)), at) for kind, size, at in axes))


def grid_of(**sizes):
    """Axes by kind, in the order given: ``a_threshold=3`` is one of three values."""
    return Grid(
        tuple(Axis(n.split("_")[1], np.arange(float(size)), 0) for n, size in sizes.items())
    )


@given(grids(), st.integers(1, 300))
def test_parts_are_the_grid_cut_once(grid, most):
    parts = grid.parts(most)
    assert [i for part in parts for i in part] == list(grid.whole)
    assert all(len(part) <= max(most, grid.slab) for part in parts)


@given(grids(), st.integers(1, 300), st.integers(1, 9))
def test_a_part_streams_its_own_indices_and_whole_units(grid, most, block):
    for part in grid.parts(most):
        blocks = list(grid.units(block, part))
        streamed = np.concatenate([index for index, _ in blocks])
        assert sorted(streamed.tolist()) == list(part)
        assert sum(len(batch.table) for _, batch in blocks) == len(grid.units_of(part))
        assert len(streamed) == len(grid.units_of(part)) * grid.n_exits


def test_a_slab_starts_at_the_first_exit_axis():
    assert grid_of(a_threshold=3, b_exit=4, c_structural=2, d_exit=5).slab == 40
    assert grid_of(a_threshold=3, b_structural=2).slab == 1
    assert grid_of(a_exit=4, b_threshold=3).parts(1) == [range(12)]


def test_units_of_a_part_are_numbered_in_the_order_of_the_index():
    grid = grid_of(a_threshold=3, b_exit=4, c_structural=2)
    assert grid.units_of(range(8, 24)) == range(2, 6)
    assert grid.units_of(range(8, 8)) == range(2, 2)


@pytest.mark.parametrize("part", [range(1, 8), range(9), range(16, 32), range(0, 16, 8)])
def test_what_cuts_through_units_is_no_part(part):
    with pytest.raises(ValueError, match="a grid of 24 starts and ends at multiples of 8 in it"):
        grid_of(a_threshold=3, b_exit=4, c_structural=2).units_of(part)
