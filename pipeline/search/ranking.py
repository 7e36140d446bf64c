"""Rank scores: which combination is best is decided here alone (validation rules §2)."""

import numpy as np

from gpu_engine import Float, Int64, round_significant


def best(scores: Float) -> int | None:
    """Position of the highest score, the first one among equals; None when none is admissible."""
    admissible = np.flatnonzero(~np.isnan(scores))
    if not len(admissible):
        return None
    return int(admissible[np.argmax(scores[admissible])])


def plateau(scores: Float, shape: tuple[int, ...]) -> Float:
    """Mean over each combination and its admissible axis neighbours (validation rules §2.7).

    Neighbours are one step along one parameter, at most two a parameter. Inadmissible
    combinations stay NaN. An infinite score (nothing lost, validation rules §2.2) stays
    infinite, but is left out of its neighbours' means: it would lift losers above every finite
    plateau.
    """
    grid = scores.reshape(shape)
    admissible = np.isfinite(grid)
    finite = np.where(admissible, grid, 0.0)
    total, count = finite.copy(), admissible.astype(np.float64)
    for axis in range(len(shape)):
        ahead, behind = _shifted(axis, len(shape))
        total[ahead] += finite[behind]
        total[behind] += finite[ahead]
        count[ahead] += admissible[behind]
        count[behind] += admissible[ahead]
    mean = np.divide(total, count, out=grid.copy(), where=admissible)
    return round_significant(mean.ravel())


def stability(scores: Float, shape: tuple[int, ...], winner: int) -> float | None:
    """Share of the winner's admissible axis neighbours with a positive score; None without any."""
    return positive_share(scores[axis_neighbours(winner, shape)])


def positive_share(scores: Float) -> float | None:
    """Share of the admissible scores that are positive; None without any."""
    admissible = scores[~np.isnan(scores)]
    return float((admissible > 0).mean()) if len(admissible) else None


def axis_neighbours(index: int, shape: tuple[int, ...]) -> Int64:
    """Return the indices one step along one axis away, at most two an axis, ascending."""
    step = np.eye(len(shape), dtype=np.int64)
    near = np.array(np.unravel_index(index, shape)) + np.concatenate((step, -step))
    inside = ((near >= 0) & (near < np.array(shape))).all(axis=1)
    return np.sort(np.ravel_multi_index(tuple(near[inside].T), shape))


def _shifted(axis: int, ndim: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of all elements but the first, and all but the last, along ``axis``."""
    everything = [slice(None)] * ndim
    ahead, behind = everything.copy(), everything.copy()
    ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
    return tuple(ahead), tuple(behind)
