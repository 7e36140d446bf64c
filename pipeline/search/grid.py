"""Exhaustive search: the whole discrete space, streamed once for any number of windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import Float, Window
from pipeline.search.evaluator import Evaluator
from pipeline.search.ranking import scores_of

#: Scores held at once, over all windows of a pass: 256 MB.
SCORES_PER_PASS = 1 << 25
#: Metrics that a score surface keeps beside the score.
SURFACE_METRICS = ("net_profit", "sharpe_ratio", "max_drawdown", "win_rate", "sample_size")

Surface = dict[str, NDArray[np.float32]]
Advance = Callable[[int], None]


def score_grid(
    evaluator: Evaluator,
    windows: Sequence[Window],
    objective: str,
    min_trades: int,
    advance: Advance,
) -> Iterator[Float]:
    """Yield every window's scores of all combinations, float64 of shape (size,) in grid order."""
    size = evaluator.space.size
    per_pass = max(1, SCORES_PER_PASS // size)
    for first in range(0, len(windows), per_pass):
        some = windows[first : first + per_pass]
        scores = np.full((len(some), size), np.nan)
        for index, metrics in evaluator.grid(some):
            scores[:, index] = scores_of(metrics, objective, min_trades)
            advance(metrics.size)
        yield from scores


def peak_of_grid(
    evaluator: Evaluator,
    windows: Sequence[Window],
    objective: str,
    min_trades: int,
    advance: Advance,
) -> Iterator[tuple[int | None, int]]:
    """Yield every window's best index and number of admissible combinations, holding no scores."""
    score = np.full(len(windows), -np.inf)
    winner: list[int | None] = [None] * len(windows)
    admissible = np.zeros(len(windows), np.int64)
    for index, metrics in evaluator.grid(windows):
        block = scores_of(metrics, objective, min_trades)
        admissible += (~np.isnan(block)).sum(axis=1)
        for w, row in enumerate(block):
            top = np.fmax.reduce(row, initial=-np.inf)
            if np.isnan(row).all() or top < score[w]:
                continue
            first = int(index[row == top].min())  # blocks need not come in the order of indices
            held = winner[w]
            winner[w] = first if held is None or top > score[w] else min(held, first)
            score[w] = top
        advance(metrics.size)
    yield from zip(winner, admissible.tolist(), strict=True)


def surface_of(evaluator: Evaluator, window: Window, objective: str, min_trades: int) -> Surface:
    """Score and main metrics of every combination in one window, float32 of the grid's shape."""
    size = evaluator.space.size
    names = ("score", *SURFACE_METRICS)
    layers = {name: np.full(size, np.nan, np.float32) for name in names}
    for index, metrics in evaluator.grid((window,)):
        layers["score"][index] = scores_of(metrics[0], objective, min_trades)
        for name in SURFACE_METRICS:
            layers[name][index] = metrics[name][0]
    return {name: layer.reshape(evaluator.space.shape) for name, layer in layers.items()}
