"""What is benchmarked: the default configuration's grid, costs, limits and validation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gpu_engine.backend import Backend
from gpu_engine.records import DAY_MS, Candles, Costs, RiskLimits
from pipeline.config import TrainConfig, ValidationConfig
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import Dimension, Space, make_space
from pipeline.strategies.liquidity_sweep import LiquiditySweep

#: Parameters whose grids are refined, two threshold filters and both exits.
REFINED = ("pierce_depth", "volume_spike_threshold", "stop_distance", "target_multiple")


@dataclass(frozen=True)
class Setting:
    """A discrete space under costs and limits; it travels to other processes."""

    space: Space
    costs: Costs
    risk: RiskLimits
    validation: ValidationConfig

    @classmethod
    def of(cls, config: TrainConfig) -> Setting:
        """Take what a training run of ``config`` would."""
        space = make_space(LiquiditySweep(), config.strategy.parameters, continuous=False)
        return cls(space, config.costs.record(), config.risk.limits(), config.validation)

    def evaluator(self, candles: Candles, backend: Backend) -> Evaluator:
        """Prepare an evaluator as a search does."""
        return Evaluator(candles, self.space, self.costs, self.risk, backend)

    def refined(self) -> Setting:
        """Twice as many values for each of four parameters: 16 times the combinations."""
        dimensions = tuple(
            _doubled(d) if d.parameter.name in REFINED else d for d in self.space.dimensions
        )
        return replace(self, space=Space(self.space.strategy, dimensions))


def _doubled(dimension: Dimension) -> Dimension:
    choices = np.linspace(dimension.low, dimension.high, 2 * len(dimension.choices or ()))
    return replace(dimension, choices=choices)


def repeated(candles: Candles, times: int) -> Candles:
    """Candles repeated end to end, from midnight to midnight; the price may jump in between."""
    return candles
