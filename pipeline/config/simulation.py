"""What every command that simulates a market needs, and the checks between its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import model_validator

from pipeline.config.data import DataConfig, SyntheticData
from pipeline.config.market import MarketConfig
from pipeline.config.run import BackendConfig, CostsConfig, RiskConfig
from pipeline.config.search import StrategyConfig
from pipeline.config.section import Section
from pipeline.errors import suggestion


class SimulationConfig(Section):
    """A market, its candles, a strategy, and what trading it costs and risks."""

    market: MarketConfig
    strategy: StrategyConfig
    backend: BackendConfig
    data: DataConfig
    risk: RiskConfig
    costs: CostsConfig

    @property
    def synthetic(self) -> bool:
        """Whether the candles are invented or rearranged: all derived from them must say so."""
        return self.data.synthetic

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        complaints = list(self._complaints())
        if complaints:
            raise ValueError("\n".join(complaints))
        return self

    def _complaints(self) -> Iterator[str]:
        """Whole sentences, one for each contradiction between parts."""
        if self.market.synthetic != isinstance(self.data, SyntheticData):
            yield (
                f"data={self.data.source} and {self.market.id} do not belong together: generated"
                " candles are for market=demo and market=demo_null, which take nothing else."
            )
        if isinstance(self.data, SyntheticData) and self.data.plant is not None:
            yield from self.combination_complaints(
                "data.plant.parameters", self.data.plant.parameters
            )

    def combination_complaints(self, key: str, values: dict[str, float | None]) -> Iterator[str]:
        """Say what keeps ``values``, given at ``key``, from being one combination."""
        declared = self.strategy.parameters
        for name in declared:
            if name not in values:
                yield f"{key}.{name} must be given: every parameter has one value."
        for name, value in values.items():
            if name not in declared:
                yield (
                    f"{key}.{name} is not a parameter of {self.strategy.name}"
                    f" ({', '.join(declared)}).{suggestion(name, declared)}"
                )
                continue
            try:
                declared[name].possible(value)
            except ValueError as reason:
                yield f"{key}.{name} {reason}."
