"""The peak of a stream that comes in any order is the peak of all scores, held at once."""

import math
from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpu_engine.records import METRICS
from pipeline.search.grid import peak_of_grid, score_grid
from pipeline.search.ranking import best

#: Few values, so that ties are common; NaN is a combination without enough trades.
SCORES = st.sampled_from([math.nan, -2.0, -1.0, 0.0, 1.0, math.inf])


class Stream:
    """An evaluator of ready-made scores, of shape (W, size), streamed in the given order."""

    def __init__(self, scores, order, block):
        self.space = SimpleNamespace(size=len(order))
        self._scores, self._order, self._block = scores, order, block

    def grid(self, windows):
        for first in range(0, len(self._order), self._block):
            index = self._order[first : first + self._block]
            metrics = np.zeros((len(windows), len(index)), METRICS)
            metrics["net_profit"] = self._scores[list(windows)][:, index]
            metrics["sample_size"] = ~np.isnan(metrics["net_profit"])
            yield index, metrics


@st.composite
def streams(draw):
    size = draw(st.integers(1, 12))
    windows = draw(st.integers(1, 3))
    scores = draw(st.lists(st.lists(SCORES, min_size=size, max_size=size), min_size=windows,
                           max_size=windows))  # fmt: skip
    order = np.array(draw(st.permutations(range(size))))
    return np.array(scores), Stream(np.array(scores), order, draw(st.integers(1, size)))


@given(streams())
def test_peak_is_the_first_of_the_best_in_the_order_of_the_indices(drawn):
    scores, stream = drawn
    advanced = []
    found = list(peak_of_grid(stream, range(len(scores)), "net_profit", 1, advanced.append))
    assert found == [(best(row), int((~np.isnan(row)).sum())) for row in scores]
    assert sum(advanced) == scores.size


@given(streams())
def test_scores_are_laid_down_in_the_order_of_the_indices(drawn):
    scores, stream = drawn
    held = list(score_grid(stream, range(len(scores)), "net_profit", 1, lambda _: None))
    np.testing.assert_array_equal(held, scores)
