"""Evaluate every combination of a grid or of a part: a stream of metrics, scores, or a summary.

A backend that decodes indices itself (`GridBackend`: CUDA) is handed the whole part, unless the
rule has a scorer. For the others it is streamed unit by unit, filtering each unit's rows once for
all windows and exit settings.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gpu_engine.engine import Market, evaluate
from gpu_engine.grid import Grid
from gpu_engine.records import METRICS, Advance, Float, Int64, Window
from gpu_engine.scoring import ScoreRule, scores_of
from gpu_engine.summary import GridSummary, SummaryBuilder

#: Combinations and windows evaluated in one engine call; bounds the memory of their metrics.
DEFAULT_BLOCK = 1 << 16


@runtime_checkable
class GridBackend(Protocol):
    """A backend that scores a part of a grid by itself."""

    def score_grid(
        self,
        loaded: Any,
        grid: Grid,
        part: range,
        window: Window,
        rule: ScoreRule,
        advance: Advance,
    ) -> Float:
        """Score in index order, float64 of shape (len(part),)."""
        ...

    def summarise_grid(
        self,
        loaded: Any,
        grid: Grid,
        part: range,
        window: Window,
        rule: ScoreRule,
        k: int,
        advance: Advance,
    ) -> GridSummary:
        """Find best K and pair maxima."""
        ...


def stream(
    market: Market,
    grid: Grid,
    windows: Sequence[Window],
    block: int = DEFAULT_BLOCK,
    part: range | None = None,
    fields: tuple[str, ...] = METRICS.names or (),
) -> Iterator[tuple[Int64, NDArray[Any]]]:
    """Yield indices of shape (n,) and ``fields`` of their `METRICS`, of shape (W, n)."""
    units = max(1, block // (grid.n_exits * len(windows)))
    for index, batch in grid.units(units, part):
        yield index, evaluate(market, batch, windows, fields)


def score(
    market: Market,
    grid: Grid,
    windows: Sequence[Window],
    rule: ScoreRule,
    advance: Advance,
    block: int = DEFAULT_BLOCK,
    part: range | None = None,
) -> Float:
    """Score a part, float64 of shape (W, len(part)) in index order; NaN is inadmissible."""
    part = grid.whole if part is None else part
    result = np.full((len(windows), len(part)), np.nan)
    if isinstance(market.backend, GridBackend) and rule.scorer is None:
        for row, window in zip(result, windows, strict=True):
            row[:] = market.backend.score_grid(market.loaded, grid, part, window, rule, advance)
        return result
    for index, metrics in stream(market, grid, windows, block, part, rule.fields):
        result[:, index - part.start] = scores_of(metrics, rule)
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
    part: range | None = None,
) -> list[GridSummary]:
    """Summarise a part in each window, in memory that does not grow with the part."""
    part = grid.whole if part is None else part
    if isinstance(market.backend, GridBackend) and rule.scorer is None:
        own = market.backend
        return [
            own.summarise_grid(market.loaded, grid, part, window, rule, k, advance)
            for window in windows
        ]
    builders = [SummaryBuilder(grid, k) for _ in windows]
    for index, metrics in stream(market, grid, windows, block, part, rule.fields):
        for builder, scores in zip(builders, scores_of(metrics, rule), strict=True):
            builder.add(index, scores)
        advance(metrics.size)
    return [builder.finish() for builder in builders]
