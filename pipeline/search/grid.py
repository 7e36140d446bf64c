"""Search a grid exhaustively: keep all scores, or a summary where they are too many to hold.

Each is a `GridPass`: it says what one part of the grid gives, and how parts are joined.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_engine import (
    Advance,
    Float,
    Grid,
    GridSummary,
    ScoreRule,
    SummaryBuilder,
    Window,
    exhaustive,
    scores_of,
)
from pipeline.search.evaluator import Evaluator

#: Scores held at once, over all windows of a pass: 256 MB.
SCORES_PER_PASS = 1 << 25
#: Metrics that a score surface keeps beside the score.
SURFACE_METRICS = ("net_profit", "sharpe_ratio", "max_drawdown", "win_rate", "sample_size")

Surface = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Scores:
    """Scores of every combination in every window, float64 of shape (W, n) in index order."""

    windows: tuple[Window, ...]
    rule: ScoreRule

    def over(self, evaluator: Evaluator, part: range, advance: Advance) -> Float:
        """Score a part."""
        market, grid, block = evaluator.market, evaluator.grid, evaluator.block
        return exhaustive.score(market, grid, self.windows, self.rule, advance, block, part)

    def join(self, grid: Grid, parts: Iterable[tuple[range, Float]]) -> Float:
        """Put every part in its place."""
        return in_place(len(self.windows), grid, parts)


def in_place(rows: int, grid: Grid, parts: Iterable[tuple[range, Float]]) -> Float:
    """Put parts of shape (rows, n) in their places over a whole grid, (rows, size)."""
    result = np.empty((rows, grid.size))
    for part, values in parts:
        result[:, part.start : part.stop] = values
    return result


@dataclass(frozen=True)
class Summaries:
    """The ``kept`` best, pair maxima and count of every window; nothing of the grid's size."""

    windows: tuple[Window, ...]
    rule: ScoreRule
    kept: int

    def over(self, evaluator: Evaluator, part: range, advance: Advance) -> list[GridSummary]:
        """Summarise a part, one summary a window."""
        market, grid, block = evaluator.market, evaluator.grid, evaluator.block
        return exhaustive.summarise(
            market, grid, self.windows, self.rule, self.kept, advance, block, part
        )

    def join(
        self, grid: Grid, parts: Iterable[tuple[range, list[GridSummary]]]
    ) -> list[GridSummary]:
        """Keep the best of all parts, the lower index first among equals."""
        builders = [SummaryBuilder(grid, self.kept) for _ in self.windows]
        for _, summaries in parts:
            for builder, summary in zip(builders, summaries, strict=True):
                builder.take(summary)
        return [builder.finish() for builder in builders]


@dataclass(frozen=True)
class Layers:
    """Score and main metrics of every combination in one window, float32 of shape (n,) each."""

    windows: tuple[Window]
    rule: ScoreRule

    def over(self, evaluator: Evaluator, part: range, advance: Advance) -> Surface:
        """Keep the layers of a part."""
        layers = _layers(len(part))
        fields = tuple(dict.fromkeys((*self.rule.fields, *SURFACE_METRICS)))
        for index, metrics in evaluator.stream(self.windows, part, fields):
            at = index - part.start
            layers["score"][at] = scores_of(metrics[0], self.rule)
            for name in SURFACE_METRICS:
                layers[name][at] = metrics[name][0]
            advance(metrics.size)
        return layers

    def join(self, grid: Grid, parts: Iterable[tuple[range, Surface]]) -> Surface:
        """Put every part in its place."""
        whole = _layers(grid.size)
        for part, layers in parts:
            for name, layer in layers.items():
                whole[name][part.start : part.stop] = layer
        return whole


def _layers(size: int) -> Surface:
    return {name: np.full(size, np.nan, np.float32) for name in ("score", *SURFACE_METRICS)}


def score_grid(
    evaluator: Evaluator, windows: Sequence[Window], rule: ScoreRule, advance: Advance
) -> Iterator[Float]:
    """Yield every window's scores of all combinations, float64 of shape (size,) in grid order."""
    per_pass = max(1, SCORES_PER_PASS // evaluator.space.size)
    for first in range(0, len(windows), per_pass):
        some = tuple(windows[first : first + per_pass])
        yield from evaluator.walk(Scores(some, rule), advance)


def surface_of(evaluator: Evaluator, window: Window, rule: ScoreRule) -> Surface:
    """Score and main metrics of every combination in one window, float32 of the grid's shape."""
    layers = evaluator.walk(Layers((window,), rule), lambda n: None)
    return {name: layer.reshape(evaluator.space.shape) for name, layer in layers.items()}
