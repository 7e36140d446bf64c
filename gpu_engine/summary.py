"""Summarise a grid too large to store: its best K, and the best score of every pair of values.

Memory is O(K + cells of the pairs), whatever the size of the grid.
"""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from gpu_engine.grid import Grid
from gpu_engine.records import Float, Int64


@dataclass(frozen=True, eq=False)
class GridSummary:
    """A search in one window.

    Attributes
    ----------
    index, score : int64 and float64 arrays of shape (k,)
        The best combinations, best first, the lower index first among equals; k <= K.
    admissible : int
        Combinations with a score.
    pairs : dict of (axis, axis) to float64 array
        For axes a < b the best score at each of their values over all other axes, of shape
        (size of a, size of b); NaN where nothing is admissible.
    """

    index: Int64
    score: Float
    admissible: int
    pairs: dict[tuple[int, int], Float]


@dataclass(eq=False)
class SummaryBuilder:
    """A summary in the making: takes scores a stretch at a time, in any order."""

    grid: Grid
    k: int
    index: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    score: Float = field(default_factory=lambda: np.zeros(0))
    admissible: int = 0

    def __post_init__(self) -> None:
        shape = self.grid.shape
        axes = range(len(shape))
        self.pairs = {
            (a, b): np.full((shape[a], shape[b]), -np.inf) for a, b in combinations(axes, 2)
        }

    def add(self, index: Int64, scores: Float) -> None:
        """Take scores of some combinations, float64 of shape (n,), NaN inadmissible."""
        admissible = ~np.isnan(scores)
        index, scores = index[admissible], scores[admissible]
        self.admissible += len(scores)
        self.offer(index, scores)
        at = np.unravel_index(index, self.grid.shape)
        for (a, b), table in self.pairs.items():
            np.maximum.at(table, (at[a], at[b]), scores)

    def offer(self, index: Int64, scores: Float) -> None:
        """Take scores as candidates for the best K, and for nothing else."""
        near = scores >= self.bar
        index = np.concatenate((self.index, index[near]))
        scores = np.concatenate((self.score, scores[near]))
        if len(scores) > self.k:  # millions may tie: find the best K before they are put in order
            index, scores = _best(index, scores, self.k)
        order = np.lexsort((index, -scores))
        self.index, self.score = index[order], scores[order]

    def take(self, summary: GridSummary) -> None:
        """Add the summary of other combinations, made with the same K or a larger one."""
        self.admissible += summary.admissible
        self.offer(summary.index, summary.score)
        for axes, table in self.pairs.items():
            np.fmax(table, summary.pairs[axes], out=table)

    @property
    def full(self) -> bool:
        """Whether there are K scores."""
        return len(self.score) == self.k

    @property
    def bar(self) -> float:
        """A score below this cannot be among the best K any more."""
        return float(self.score[-1]) if self.full else -np.inf

    def finish(self) -> GridSummary:
        """Return the summary."""
        pairs = {
            axes: np.where(np.isneginf(table), np.nan, table) for axes, table in self.pairs.items()
        }
        return GridSummary(self.index, self.score, self.admissible, pairs)


def _best(index: Int64, scores: Float, k: int) -> tuple[Int64, Float]:
    """Return the best ``k`` of more than ``k`` scores in any order; of ties the lowest indices."""
    bar = np.partition(scores, -k)[-k]
    above, ties = scores > bar, scores == bar
    ties_kept = k - np.count_nonzero(above)
    last = np.partition(index[ties], ties_kept - 1)[ties_kept - 1]
    best = above | (ties & (index <= last))
    return index[best], scores[best]
