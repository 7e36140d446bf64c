"""A summary made of pieces in any order equals that of all scores at once."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpu_engine import Axis, Grid, SummaryBuilder

#: Few values, so that ties are common; NaN is a combination without enough trades.
SCORES = st.sampled_from([math.nan, -2.0, -1.0, 0.0, 1.0, math.inf])


@st.composite
def pieces(draw):
    """A grid, its scores in index order, and the same cut into pieces of a shuffled order."""
    shape = draw(st.lists(st.integers(1, 3), min_size=2, max_size=3))
    grid = Grid(tuple(Axis("exit", np.arange(float(size))) for size in shape))
    scores = np.array(draw(st.lists(SCORES, min_size=grid.size, max_size=grid.size)))
    order = np.array(draw(st.permutations(range(grid.size))))
    block = draw(st.integers(1, grid.size))
    return grid, scores, [order[i : i + block] for i in range(0, grid.size, block)]


def summary(grid, scores, parts, k):
    builder = SummaryBuilder(grid, k)
    for part in parts:
        builder.add(part, scores[part])
    return builder.finish()


@given(pieces(), st.integers(1, 8))
def test_the_best_are_the_best_in_the_order_of_score_and_index(drawn, k):
    grid, scores, parts = drawn
    actual = summary(grid, scores, parts, k)
    ranked = sorted((i for i in range(grid.size) if scores[i] == scores[i]),
                    key=lambda i: (-scores[i], i))  # fmt: skip
    assert actual.index.tolist() == ranked[:k]
    assert actual.score.tolist() == [scores[i] for i in ranked[:k]]
    assert actual.admissible == len(ranked)


def test_of_millions_that_tie_few_are_put_in_order(monkeypatch):
    sorted_sizes = []
    lexsort = np.lexsort

    def counting(keys):
        sorted_sizes.append(len(keys[0]))
        return lexsort(keys)

    monkeypatch.setattr(np, "lexsort", counting)
    builder = SummaryBuilder(Grid((Axis("exit", np.arange(3.0)),)), 100)
    index = np.random.default_rng(0).permutation(1 << 20)
    builder.offer(index, np.where(index == 9, np.inf, 0.0))
    assert builder.index.tolist() == [9, *range(9), *range(10, 100)]
    assert sorted_sizes == [100]


@given(pieces())
def test_pairs_hold_the_best_over_all_other_axes(drawn):
    grid, scores, parts = drawn
    actual = summary(grid, scores, parts, 1)
    table = np.where(np.isnan(scores), -np.inf, scores).reshape(grid.shape)
    assert set(actual.pairs) == {
        (a, b) for a in range(table.ndim) for b in range(a + 1, table.ndim)
    }
    for pair, cells in actual.pairs.items():
        others = tuple(axis for axis in range(table.ndim) if axis not in pair)
        best = table.max(axis=others) if others else table
        np.testing.assert_array_equal(cells, np.where(np.isneginf(best), np.nan, best))
