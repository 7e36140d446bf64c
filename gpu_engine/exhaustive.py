"""Every combination of a grid: its metrics in a stream, its scores, or a summary of them.

A backend that decodes indices itself (`GridBackend`: CUDA) is handed the whole grid; for the others
it is streamed unit by unit, filtering each unit's rows once for all windows and exit settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gpu_engine.engine import Market, evaluate
from gpu_engine.grid import Grid
from gpu_engine.records import Float, Int64, Window
from gpu_engine.scoring import ScoreRule, scores_of
from gpu_engine.summary import GridSummary, SummaryBuilder

Advance = Callable[[int], None]

#: Combinations and windows evaluated in one engine call; bounds the memory of their metrics.
DEFAULT_BLOCK = 1 << 16


@runtime_checkable
class GridBackend(Protocol):
    """A backend that scores a whole grid by itself."""

    def score_grid(
        self, loaded: Any, grid: Grid, window: Window, rule: ScoreRule, advance: Advance
    ) -> Float:
        """Scores in index order, float64 of shape (size,)."""
        ...

    def summarise_grid(
        self, loaded: Any, grid: Grid, window: Window, rule: ScoreRule, k: int, advance: Advance
    ) -> GridSummary:
        """Best K and pair maxima."""
        ...


def stream(
    market: Market, grid: Grid, windows: Sequence[Window], block: int = DEFAULT_BLOCK
) -> Iterator[tuple[Int64, NDArray[Any]]]:
    """Yield indices of shape (n,) and their metrics (`METRICS`) of shape (W, n)."""
    units = max(1, block // (grid.n_exits * len(windows)))
    for index, batch in grid.units(units):
        yield index, evaluate(market, batch, windows)


def score(
    market: Market,
    grid: Grid,
    windows: Sequence[Window],
    rule: ScoreRule,
    advance: Advance,
    block: int = DEFAULT_BLOCK,
) -> Float:
    """Score the whole grid, float64 of shape (W, size) in index order; NaN is inadmissible."""
    if isinstance(market.backend, GridBackend):
        own = market.backend
        return np.array(
            [own.score_grid(market.loaded, grid, w, rule, advance) for w in windows]
        ).reshape(len(windows), grid.size)
    result = np.full((len(windows), grid.size), np.nan)
    for index, metrics in stream(market, grid, windows, block):
        result[:, index] = scores_of(metrics, rule)
        advance(metrics.size)
    return result


def summarise(
    market: Market,
    grid: Grid,
    windows: Sequence[Window],
    rule: ScoreRule,
    k: int,
    advance: Advance,
    block: int = DEFAULT_BLOCK,
) -> list[GridSummary]:
    """Summarise the whole grid in each window, holding nothing of its size."""
    if isinstance(market.backend, GridBackend):
        own = market.backend
        return [own.summarise_grid(market.loaded, grid, w, rule, k, advance) for w in windows]
    builders = [SummaryBuilder(grid, k) for _ in windows]
    for index, metrics in stream(market, grid, windows, block):
        for builder, scores in zip(builders, scores_of(metrics, rule), strict=True):
            builder.add(index, scores)
        advance(metrics.size)
    return [builder.finish() for builder in builders]
