"""Put a grid, its costs and its limits on any candles and backend; NumPy is enough to import it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from gpu_engine import Backend, Candles, Costs, RiskLimits
from pipeline.search import Dimension, Evaluator, Space


@dataclass(frozen=True)
class Setting:
    """A discrete space, what trades cost and what they may do."""

    space: Space
    costs: Costs
    risk: RiskLimits

    def evaluator(self, candles: Candles, backend: Backend) -> Evaluator:
        """Prepare an evaluator as a search does."""
        return Evaluator(candles, self.space, self.costs, self.risk, backend)

    def refined(self) -> Setting:
        """Twice as many values for two filters and two exits: up to 16 times the combinations.

        They are the first of each kind that may have any value between two.
        """
        refined: list[Dimension] = []
        for kind in ("threshold", "exit"):
            own = [self.space.dimensions[i] for i in self.space.of_kind(kind)]
            fine = [d for d in own if not d.parameter.integer and d.low < d.high < math.inf]
            refined += fine[:2]
        dimensions = [_doubled(d) if d in refined else d for d in self.space.dimensions]
        return replace(self, space=Space(self.space.strategy, tuple(dimensions)))


def repeated(candles: Candles, times: int) -> Candles:
    """Repeat candles end to end on one grid; the price may jump in between."""
    n = len(candles) * times
    return Candles(
        candles.timestamp[0] + candles.step_ms * np.arange(n, dtype=np.int64),
        np.tile(candles.open, times),
        np.tile(candles.high, times),
        np.tile(candles.low, times),
        np.tile(candles.close, times),
        np.tile(candles.volume, times),
        np.tile(candles.filled, times),
        candles.step_ms,
    )


def _doubled(dimension: Dimension) -> Dimension:
    assert dimension.choices is not None, "a discrete space has choices"
    values = np.linspace(dimension.low, dimension.high, 2 * len(dimension.choices))
    return replace(dimension, choices=values)
