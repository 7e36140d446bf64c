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
from pipeline.config.search import OptimizerConfig, StrategyConfig
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

#: The largest grid that ``selection=auto`` ranks by plateau (validation §2).
PLATEAU_LIMIT = 10**7


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

    @property
    def ranking(self) -> Literal["plateau", "peak"]:
        """How the winner is chosen, with ``auto`` decided (validation §2)."""
        if self.selection != "auto":
            return self.selection
        enumerated = self.optimizer.name == "grid" and self.strategy.grid_size <= PLATEAU_LIMIT
        return "plateau" if enumerated else "peak"

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
