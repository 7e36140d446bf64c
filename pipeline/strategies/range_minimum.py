"""Minimum and near-minimum counts over marked bars of any range, vectorised."""

from __future__ import annotations

import numpy as np

from gpu_engine.records import Bool, Float, Int64


class RangeMinimum:
    """Answers queries over the marked bars of ``[first, after)``.

    A sparse table over the marked values alone: level ``k`` holds minima of ``2**k`` of them, and
    two overlapping blocks cover any range (Bender & Farach-Colton 2000, "The LCA problem
    revisited"). Built once, used for every lookback.

    Parameters
    ----------
    values : float64 array of shape (n,)
    marked : bool array of shape (n,)
    """

    def __init__(self, values: Float, marked: Bool) -> None:
        self._rank = np.concatenate(([0], np.cumsum(marked)))
        self._levels = [values[marked]]
        half = 1
        while 2 * half <= len(self._levels[0]):
            below = self._levels[-1]
            self._levels.append(np.minimum(below[:-half], below[half:]))
            half *= 2

    def minimum(self, first: Int64, after: Int64) -> Float:
        """Return the minima over ``[first, after)``, float64 of shape (q,); NaN where none."""
        lo, hi = self._rank[first], self._rank[np.maximum(after, first)]
        result = np.full(len(lo), np.nan)
        level = np.frexp(hi - lo)[1] - 1  # floor(log2(size)), exactly; -1 for an empty range
        for k in np.unique(level[level >= 0]):
            rows = np.flatnonzero(level == k)
            block = self._levels[k]
            result[rows] = np.minimum(block[lo[rows]], block[hi[rows] - (1 << k)])
        return result

    def count_near(self, first: Int64, after: Int64, centre: Float, width: Float) -> Int64:
        """Count marked values of ``[first, after)`` within ``width`` of ``centre``, int64 (q,)."""
        lo, hi = self._rank[first], self._rank[np.maximum(after, first)]
        size = hi - lo
        query = np.repeat(np.arange(len(lo)), size)
        offset = np.arange(len(query)) - np.repeat(np.cumsum(size) - size, size)
        value = self._levels[0][lo[query] + offset]
        near = np.abs(value - centre[query]) <= width[query]
        return np.bincount(query[near], minlength=len(lo))
