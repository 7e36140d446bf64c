"""The configuration of a training run, and the checks that need more than one part of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.commands import SimulationConfig
from pipeline.config.run import ExecutorConfig, StorageConfig
from pipeline.config.search import PLATEAU_LIMIT, OptimizerConfig
from pipeline.config.section import Seed
from pipeline.config.validation import ValidationConfig

#: Metrics of fills rules §10 that can be an objective (validation rules §2).
Objective = Literal[
    "net_profit",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "calmar_ratio",
    "win_rate",
    "avg_win",
    "avg_loss",
    "profit_factor",
]


class TrainConfig(SimulationConfig):
    """Everything that decides what a training run does."""

    optimizer: OptimizerConfig
    validation: ValidationConfig
    storage: StorageConfig
    executor: ExecutorConfig
    seed: Seed
    space: Literal["grid", "continuous"]
    objective: Objective
    selection: Literal["auto", "plateau", "peak"]
    min_trades: Annotated[int, Field(ge=0)]

    def _complaints(self) -> Iterator[str]:
        yield from super()._complaints()
        yield from self._search_complaints()
        if self.data.days is not None:
            complaint = self.validation.complaint(self.data.days)
            if complaint:
                yield complaint

    def _search_complaints(self) -> Iterator[str]:
        if self.space == "continuous" and self.optimizer.name == "grid":
            yield (
                "space=continuous has no grid to walk: use optimizer=random or"
                " optimizer=bayesian, or space=grid."
            )
        elif self.selection == "plateau" and self.optimizer.name != "grid":
            yield (
                "selection=plateau ranks by neighbours on the grid, and"
                f" optimizer={self.optimizer.name} leaves them out: use selection=peak or"
                " optimizer=grid."
            )
        elif self.selection == "plateau" and self.strategy.grid_size > PLATEAU_LIMIT:
            yield (
                f"selection=plateau holds the score of every combination, up to {PLATEAU_LIMIT:,};"
                f" this grid has {self.strategy.grid_size:,}: use selection=peak or a smaller grid."
            )
