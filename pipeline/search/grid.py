"""Exhaustive search: scores of the whole space, or a summary where it is too large to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gpu_engine import exhaustive
from gpu_engine.records import Float, Window
from gpu_engine.scoring import ScoreRule, scores_of
from pipeline.search.evaluator import Evaluator

#: Scores held at once, over all windows of a pass: 256 MB.
SCORES_PER_PASS = 1 << 25
#: Metrics that a score surface keeps beside the score.
SURFACE_METRICS = ("net_profit", "sharpe_ratio", "max_drawdown", "win_rate", "sample_size")

Surface = dict[str, NDArray[np.float32]]
Advance = Callable[[int], None]


def score_grid(
    evaluator: Evaluator, windows: Sequence[Window], rule: ScoreRule, advance: Advance
) -> Iterator[Float]:
    """Yield every window's scores of all combinations, float64 of shape (size,) in grid order."""
    per_pass = max(1, SCORES_PER_PASS // evaluator.space.size)
    for first in range(0, len(windows), per_pass):
        some = windows[first : first + per_pass]
        yield from exhaustive.score(
            evaluator.market, evaluator.grid, some, rule, advance, evaluator.block
        )


def surface_of(evaluator: Evaluator, window: Window, rule: ScoreRule) -> Surface:
    """Score and main metrics of every combination in one window, float32 of the grid's shape."""
    size = evaluator.space.size
    layers = {name: np.full(size, np.nan, np.float32) for name in ("score", *SURFACE_METRICS)}
    for index, metrics in evaluator.stream((window,)):
        layers["score"][index] = scores_of(metrics[0], rule)
        for name in SURFACE_METRICS:
            layers[name][index] = metrics[name][0]
    return {name: layer.reshape(evaluator.space.shape) for name, layer in layers.items()}
