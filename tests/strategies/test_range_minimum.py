"""Range queries against looking at every value."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.strategies.indicators import RangeMinimum


@st.composite
def marked_values(draw):
    values = draw(st.lists(st.integers(-5, 5), min_size=1, max_size=70))
    marked = draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    return np.array(values, np.float64), np.array(marked)


def all_ranges(n):
    first, after = np.indices((n + 1, n + 1)).reshape(2, -1)
    return first, after  # also those with after < first, which are empty


@given(marked_values())
def test_minimum_of_every_range(case):
    values, marked = case
    first, after = all_ranges(len(values))
    expected = [
        min(values[a:b][marked[a:b]], default=np.nan) for a, b in zip(first, after, strict=True)
    ]
    np.testing.assert_array_equal(RangeMinimum(values, marked).minimum(first, after), expected)


@given(marked_values(), st.integers(0, 3))
def test_count_near_of_every_range(case, width):
    values, marked = case
    first, after = all_ranges(len(values))
    centre = np.resize(np.arange(-5.0, 6.0), len(first))
    expected = [
        np.count_nonzero(np.abs(values[a:b][marked[a:b]] - c) <= width)
        for a, b, c in zip(first, after, centre, strict=True)
    ]
    index = RangeMinimum(values, marked)
    counts = index.count_near(first, after, centre, np.full(len(first), float(width)))
    assert counts.tolist() == expected


def test_without_queries_there_are_no_answers():
    index, none = RangeMinimum(np.arange(3.0), np.ones(3, bool)), np.zeros(0, np.int64)
    assert index.minimum(none, none).shape == (0,)
    assert index.count_near(none, none, np.zeros(0), np.zeros(0)).shape == (0,)
