"""Define the configuration of each command but training: what it may be told, and the checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pipeline.config.data import CcxtData, DataConfig, FileData, SyntheticData
from pipeline.config.market import MarketConfig
from pipeline.config.run import (
    BackendConfig,
    CostsConfig,
    ExecutorConfig,
    RiskConfig,
    StorageConfig,
)
from pipeline.config.search import StrategyConfig
from pipeline.config.section import Count, List, Section
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


class BacktestConfig(SimulationConfig):
    """One combination on the whole history.

    Attributes
    ----------
    parameters : dict of str to float or None
        One value for each parameter of the strategy.
    trades : int or None
        How many of the last trades to print; None prints all.
    json_file : str or None
        Where metrics and all trades go as JSON, relative to the working directory.
    """

    parameters: dict[str, float | None]
    trades: Count | None
    json_file: str | None

    def _complaints(self) -> Iterator[str]:
        yield from super()._complaints()
        yield from self.combination_complaints("parameters", self.parameters)


class FetchConfig(Section):
    """Which candles come into the store, and from where.

    Attributes
    ----------
    import_path : str or None
        ``import`` on the command line: a file, a zip or a folder to take candles from; None
        fetches them from the exchange.
    truth : {"stored", "imported"}
        Whose candle is kept where an import disagrees with the store.
    """

    market: MarketConfig
    data: CcxtData
    import_path: Annotated[str, Field(min_length=1)] | None = Field(alias="import")
    truth: Literal["stored", "imported"]

    @model_validator(mode="before")
    @classmethod
    def _from_an_exchange(cls, values: Any) -> Any:
        """Refuse invented candles in one sentence, not in one for each key they bring."""
        market, data = values.get("market") or {}, values.get("data") or {}
        if (market.get("exchange") or {}).get("ccxt_id") is None:
            raise ValueError(
                "This market is on no exchange: choose one such as market=btc_binance_5m."
            )
        if data.get("source") != "ccxt":
            raise ValueError(
                f"data={data.get('source')} is nothing to fetch: leave data=ccxt; import=PATH takes"
                " candles from files."
            )
        return values


#: One name, or a list of them.
Names = Annotated[
    List[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, description="all, or names and patterns of markets"),
]


class SweepConfig(Section):
    """Which markets, on which machines, and what an earlier sweep of the same counts for."""

    markets: Names
    resume: bool
    retry_failed: bool
    dry_run: bool
    storage: StorageConfig
    executor: ExecutorConfig

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if self.executor.several_nodes and self.storage.url.startswith("sqlite"):
            raise ValueError(
                f"executor={self.executor.name} may have several nodes, and an SQLite file serves"
                " one: use storage=postgresql, or executor.address=local."
            )
        return self


class ServeConfig(Section):
    """Where the server listens, what it asks for, and what its jobs may take.

    ``token_file`` None takes the token from the environment, where there is one.
    """

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=0, le=65_535)]
    token_file: Annotated[str, Field(min_length=1)] | None
    concurrent: Annotated[int, Field(ge=1, le=64)]
    starts_a_minute: Annotated[int, Field(ge=1, le=10_000)]
    store: Annotated[str, Field(min_length=1, pattern=r"^[^'$\\]*$")]
    storage: StorageConfig


class DispatchConfig(Section):
    """How many jobs run at a time, and after how many seconds without job or server it ends."""

    concurrent: Annotated[int, Field(ge=1, le=64)]
    idle: Annotated[float, Field(gt=0)]
    server: Annotated[int, Field(gt=0)] | None = None
    storage: StorageConfig


class StorageOnly(Section):
    """Where stored configurations lie."""

    storage: StorageConfig


class StoredConfig(StorageOnly):
    """The same, and candles that take the place of the training's own; None keeps those."""

    data: CcxtData | FileData | SyntheticData | None = Field(default=None, discriminator="source")
