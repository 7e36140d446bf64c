"""The order of scores: the one place that decides which combination is best (validation §2)."""

from __future__ import annotations

import numpy as np

from gpu_engine.records import Bool, Float
from gpu_engine.scoring import round_significant


def best(scores: Float) -> int | None:
    """Position of the highest score, the first one among equals; None when none is admissible."""
    admissible = np.flatnonzero(~np.isnan(scores))
    if not len(admissible):
        return None
    return int(admissible[np.argmax(scores[admissible])])


def plateau(scores: Float, shape: tuple[int, ...]) -> Float:
    """Mean over each combination and its admissible axis neighbours (validation §2).

    Neighbours are one step along one parameter, at most two a parameter. Inadmissible
    combinations stay NaN.
    """
    grid = scores.reshape(shape)
    admissible = ~np.isnan(grid)
    known = np.where(admissible, grid, 0.0)
    total, count = known.copy(), admissible.astype(np.float64)
    for axis in range(len(shape)):
        ahead, behind = _shifted(axis, len(shape))
        total[ahead] += known[behind]
        total[behind] += known[ahead]
        count[ahead] += admissible[behind]
        count[behind] += admissible[ahead]
    mean = np.divide(total, count, out=np.full(shape, np.nan), where=admissible)
    return round_significant(mean.ravel())


def stability(scores: Float, shape: tuple[int, ...], winner: int) -> float | None:
    """Share of the winner's admissible axis neighbours with a positive score; None without any."""
    grid = scores.reshape(shape)
    at = np.unravel_index(winner, shape)
    neighbours = []
    for axis, position in enumerate(at):
        for step in (position - 1, position + 1):
            if 0 <= step < shape[axis]:
                neighbours.append(grid[(*at[:axis], step, *at[axis + 1 :])])
    admissible: Bool = ~np.isnan(np.array(neighbours, np.float64))
    if not admissible.any():
        return None
    return float((np.array(neighbours)[admissible] > 0).mean())


def _shifted(axis: int, ndim: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of all elements but the first, and all but the last, along ``axis``."""
    everything = [slice(None)] * ndim
    ahead, behind = everything.copy(), everything.copy()
    ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
    return tuple(ahead), tuple(behind)
