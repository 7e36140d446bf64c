"""The configuration of a training run, and the checks that need more than one part of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.data import CcxtData, DataConfig, SyntheticData
from pipeline.config.market import MarketConfig
from pipeline.config.run import (
    BackendConfig,
    CostsConfig,
    ExecutorConfig,
    RiskConfig,
    StorageConfig,
)
from pipeline.config.search import PLATEAU_LIMIT, OptimizerConfig, StrategyConfig
from pipeline.config.section import Section
from pipeline.config.validation import ValidationConfig
from pipeline.errors import suggestion

#: Metrics of strategy spec §10 that can be an objective (validation §2).
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


class TrainConfig(Section):
    """Everything that decides what a training run does."""

    market: MarketConfig
    strategy: StrategyConfig
    optimizer: OptimizerConfig
    backend: BackendConfig
    data: DataConfig
    validation: ValidationConfig
    risk: RiskConfig
    storage: StorageConfig
    executor: ExecutorConfig
    costs: CostsConfig
    seed: Annotated[int, Field(ge=0)]
    space: Literal["grid", "continuous"]
    objective: Objective
    selection: Literal["auto", "plateau", "peak"]
    min_trades: Annotated[int, Field(ge=0)]

    @property
    def synthetic(self) -> bool:
        """Whether the candles are invented, so that everything derived from them must say so."""
        return self.data.source == "synthetic"

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        complaints = list(self._complaints())
        if complaints:
            raise ValueError("\n".join(complaints))
        return self

    def _complaints(self) -> Iterator[str]:
        """Whole sentences, one for each contradiction between parts."""
        yield from self._search_complaints()
        yield from self._data_complaints()
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

    def _data_complaints(self) -> Iterator[str]:
        if isinstance(self.data, CcxtData) and self.market.exchange.ccxt_id is None:
            yield (
                f"data=ccxt has no exchange to ask for {self.market.id}: choose another market,"
                " data=file or data=synthetic."
            )
        if isinstance(self.data, SyntheticData) and self.data.plant is not None:
            yield from self._plant_complaints(self.data.plant.parameters)

    def _plant_complaints(self, planted: dict[str, float | None]) -> Iterator[str]:
        declared = self.strategy.parameters
        for name in declared:
            if name not in planted:
                yield f"data.plant.parameters.{name} must be given: a plant is one combination."
        for name, value in planted.items():
            if name not in declared:
                yield (
                    f"data.plant.parameters.{name} is not a parameter of {self.strategy.name}"
                    f" ({', '.join(declared)}).{suggestion(name, declared)}"
                )
                continue
            try:
                declared[name].possible(value)
            except ValueError as reason:
                yield f"data.plant.parameters.{name} {reason}."
