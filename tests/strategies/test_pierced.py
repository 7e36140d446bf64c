"""The levels that lows pierce, in NumPy and compiled, against looking at every point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.strategies import compiled, indicators, sweeps


def in_numba(*queries):
    n = len(queries[1])
    out = np.empty(n, np.int64), np.empty(n), np.empty(n, np.int64)
    count = compiled.kernels().pierced(*queries, *out)
    return tuple(column[:count] for column in out)


both = pytest.mark.parametrize("pierced", [sweeps.pierced, in_numba])
numbers = st.integers(-5, 5).map(float)


@both
@given(
    points=st.lists(numbers, max_size=40),
    lows=st.lists(numbers, min_size=1, max_size=7),
    befores=st.lists(numbers, min_size=1, max_size=5),
    width=st.sampled_from([0.0, 1.0, 2.5, np.nan]),
)
def test_every_range_of_points(pierced, points, lows, befores, width):
    # All of 0 .. n, also those that end before they start: they are empty.
    start, after = np.indices((len(points) + 1,) * 2, np.int32).reshape(2, -1)
    low, before = np.resize(lows, len(start)), np.resize(befores, len(start))
    expected = []
    for row, (a, b) in enumerate(zip(start, after, strict=True)):
        level = min(points[a:b], default=np.nan)
        if low[row] < level < before[row]:
            touches = sum(abs(point - level) <= width for point in points[a:b])
            expected.append((row, level, touches))
    queries = np.array(points, np.float64), start, after, low, before, np.full(len(low), width)
    assert list(zip(*pierced(*queries), strict=True)) == expected


@both
def test_without_queries_there_are_no_answers(pierced):
    none, ranks = np.zeros(0), np.zeros(0, np.int32)
    answers = pierced(np.arange(3.0), ranks, ranks, none, none, none)
    assert [column.shape for column in answers] == [(0,)] * 3


def test_count_near_counts_an_empty_range_as_zero():
    start, after = np.array([0, 2, 3], np.int32), np.array([3, 2, 1], np.int32)
    counts = indicators.count_near(np.arange(3.0), start, after, np.ones(3), np.ones(3))
    assert counts.tolist() == [3, 0, 0]
