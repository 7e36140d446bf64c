"""Scores and their order: the one place that decides which combination is best (validation §2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import Bool, Float

MINIMISED = ("max_drawdown",)
SIGNIFICANT_DIGITS = 12


def scores_of(metrics: NDArray[Any], objective: str, min_trades: int) -> Float:
    """Score every combination; more is better, NaN is inadmissible.

    Parameters
    ----------
    metrics : array of dtype `METRICS`, any shape
    objective : a field of `METRICS`
    min_trades : fewest trades of an admissible combination

    Returns
    -------
    float64 array of the same shape, rounded so that backends rank alike.
    """
    score: Float = metrics[objective].astype(np.float64)
    if objective == "profit_factor":  # strategy spec §10: no loss and a win is the best there is
        score = np.where(np.isnan(score) & (metrics["win_rate"] > 0), np.inf, score)
    if objective in MINIMISED:
        score = -score
    score = np.where(metrics["sample_size"] >= min_trades, score, np.nan)
    return round_significant(score)


def round_significant(values: Float) -> Float:
    """Round to 12 significant digits; NaN, infinities and 0 stay what they are."""
    finite = np.isfinite(values) & (values != 0)
    magnitude = np.floor(np.log10(np.abs(values), where=finite, out=np.zeros_like(values)))
    # Dividing by a power of ten is exact to the last bit more often than multiplying by its
    # inverse; equal inputs give equal outputs either way, which is all that ranking needs.
    scale = 10.0 ** (SIGNIFICANT_DIGITS - 1 - np.where(finite, magnitude, 0.0))
    return np.where(finite, np.rint(values * scale) / scale, values)


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
