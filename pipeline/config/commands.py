"""Define the configuration of each command: its keys, and the checks that need several of them."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from pipeline.config.data import CcxtData, DataConfig, FileData, MarketConfig, SyntheticData, Zone
from pipeline.config.run import (
    BackendConfig,
    CostsConfig,
    ExecutorConfig,
    NotifyConfig,
    RiskConfig,
    StorageConfig,
)
from pipeline.config.search import (
    MOST_COMBINATIONS,
    MOST_DRAWN,
    PLATEAU_LIMIT,
    OptimizerConfig,
    StrategyConfig,
)
from pipeline.config.section import Count, List, OwnText, Section, Seed, Setting, listing
from pipeline.config.validation import ValidationConfig, too_few_bars
from pipeline.errors import suggestion

#: One word, or a list of them.
Words = Annotated[
    List[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


ON_NO_EXCHANGE = "This market is on no exchange: choose one such as market=btc_binance_5m."
TRADED = "EXCHANGE:SYMBOL:TIMEFRAME of ccxt, or a name"


class SimulationConfig(Section):
    """A market, its candles, a strategy, and what trading it costs and risks."""

    market: MarketConfig = Field(description=TRADED)
    strategy: StrategyConfig = Field(description="the rules")
    backend: BackendConfig = Field(description="what computes")
    data: DataConfig = Field(description="where candles come from")
    risk: RiskConfig = Field(description="position size, direction and circuit breakers")
    costs: CostsConfig = Field(description="what a trade costs")
    strategy_path: Words | None = Field(
        None, exclude=True, description="folders whose files are strategies to choose"
    )

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
        elif isinstance(self.data, CcxtData) and self.market.exchange.ccxt_id is None:
            yield f"{self.market.id}: {ON_NO_EXCHANGE}"
        if self.risk.leverage is not None and not self.market.perpetual:
            yield (
                f"risk.leverage={self.risk.leverage:g} is for perpetual contracts, and"
                f" {self.market.id} is a spot market: take one such as"
                " market=binanceusdm:BTC/USDT:USDT:5m, or leave risk.leverage=null."
            )
        if self.risk.leverage is not None and self.risk.position_fraction > self._largest_fraction:
            most = math.floor(self._largest_fraction * 100) / 100
            yield (
                f"risk.position_fraction={self.risk.position_fraction:g} leaves nothing for the"
                f" fees of a position of {self.risk.leverage:g} times its margin: liquidated, it"
                f" would cost more than the account has. Take at most risk.position_fraction={most}"
                " or a smaller risk.leverage."
            )
        if self.costs.borrow_rate and self.market.perpetual:
            yield (
                f"costs.borrow_rate is for shorts of a spot market, and {self.market.id} is a"
                " perpetual contract, which pays funding instead: leave it out."
            )
        if getattr(self.data, "funding", None) is not None and not self.market.perpetual:
            yield (
                f"data.funding is for perpetual contracts, and {self.market.id} is a spot market:"
                " leave it out, or take one such as market=binanceusdm:BTC/USDT:USDT:5m."
            )
        plant = getattr(self.data, "plant", None)  # what an exchange sends has none
        if plant is not None:
            yield from self._value_complaints("data.plant.parameters", plant.parameters)

    @property
    def _largest_fraction(self) -> float:
        """The margin, of equity, at which a liquidation and its fees take all (exits rules §8)."""
        leverage, fee = self.risk.leverage or 1.0, self.costs.fee_rate
        return 1.0 / (1.0 + fee * (2.0 * leverage + 1.0))

    def _value_complaints(self, key: str, values: dict[str, float | None]) -> Iterator[str]:
        """Say which of ``values``, given at ``key``, no parameter of the strategy can have."""
        declared = self.strategy.parameters
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

    optimizer: OptimizerConfig = Field(description="how the space is searched")
    validation: ValidationConfig = Field(description="how the search is tested")
    storage: StorageConfig = Field(description="where results go")
    executor: ExecutorConfig = Field(description="who does the work")
    seed: Seed = Field(description="of everything random in the search and its statistics")
    space: Literal["grid", "continuous"] = Field(
        description="grid: the grid's values; continuous: any value of the ranges"
    )
    objective: Objective | str = Field(description="made best, or a Python file")
    objective_text: OwnText
    objective_file: str | None = Field(None, exclude=True)
    selection: Literal["auto", "plateau", "peak"] = Field(
        description="plateau: best neighbourhood; peak: best score; auto: plateau on a grid"
    )
    min_trades: int = Field(ge=0, description="with fewer in a window a combination cannot win")

    @model_validator(mode="before")
    @classmethod
    def _read_objective(cls, values: Any) -> Any:
        """Put the text of a file in the place of its path: a worker and a reader need no file."""
        word = values.get("objective")
        if not isinstance(word, str) or not word.endswith(".py"):
            return values
        from pipeline.strategies.own_code import read_text

        path = Path(word)
        return values | {
            "objective": path.stem,
            "objective_text": read_text(path),
            "objective_file": word,
        }

    @field_validator("objective_text")
    @classmethod
    def _has_a_name(cls, text: str | None, info: ValidationInfo) -> str | None:
        name, named = info.data.get("objective"), get_args(Objective)
        if text is not None and name in named:
            raise ValueError(f"belongs to a file, and {name} is a metric: call the file otherwise")
        return text

    def _complaints(self) -> Iterator[str]:
        yield from super()._complaints()
        named = get_args(Objective)
        if self.objective_text is None and self.objective not in named:
            yield (
                f"objective must be {listing(named)}, or the path of a Python file; given:"
                f' "{self.objective}".{suggestion(self.objective, named)}'
            )
        yield from self._search_complaints()
        if self.data.days is not None:
            complaint = self.validation.complaint(self.data.days)
            if complaint:
                yield complaint

    def objections(self) -> Iterator[str]:
        """Yield what makes no sense of the days and the windows."""
        yield from super().objections()
        few = too_few_bars(self.validation, self.market, self.data, self.min_trades)
        if few:
            yield few

    def _search_complaints(self) -> Iterator[str]:
        size, whole = self.strategy.grid_size, self.optimizer.name == "grid"
        most = MOST_COMBINATIONS if whole else MOST_DRAWN
        if self.space == "grid" and size > most:
            other = "optimizer=random, which draws some" if whole else "space=continuous"
            yield (
                f"optimizer={self.optimizer.name} takes a grid of at most {most:,} combinations;"
                f" this one has {size:,}: give fewer values or a coarser range"
                f" (strategy.parameters.NAME=LOW:HIGH:STEP), or use {other}."
            )
            return
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


class CheckConfig(TrainConfig):
    """What a training takes, of which a check of the strategy needs neither search nor windows."""

    def _complaints(self) -> Iterator[str]:
        return SimulationConfig._complaints(self)

    def objections(self) -> Iterator[str]:
        """Yield what makes no sense of the days: there are no windows."""
        yield from SimulationConfig.objections(self)


class BacktestConfig(SimulationConfig):
    """One combination on the whole history."""

    parameters: dict[str, Setting] = Field(description="its value in this backtest")
    trades: Count | None = Field(description="how many of the last to print; null: all")
    json_file: str | None = Field(description="a file for metrics and all trades")

    def _complaints(self) -> Iterator[str]:
        yield from super()._complaints()
        for name, declared in self.strategy.parameters.items():
            if name not in self.parameters:
                off = " (off, or a number)" if declared.nullable else ""
                yield f"parameters.{name} must be given{off}: every parameter has one value."
        yield from self._value_complaints("parameters", self.parameters)


class FetchConfig(Section):
    """Which candles come into the store, and from where."""

    market: MarketConfig = Field(description=TRADED)
    data: CcxtData = Field(description="which days, and where they are kept")
    import_path: Annotated[str, Field(min_length=1)] | None = Field(
        alias="import", description="a file, a zip or a folder of either; null: from the exchange"
    )
    truth: Literal["stored", "imported"] = Field(
        description="whose candle is kept where an import disagrees with the store"
    )
    timezone: Zone | None = Field(
        None, description="of imported dates without an offset, such as Europe/Berlin; null: UTC"
    )
    decimal: Literal["point", "comma"] | None = Field(
        None, description="the decimal mark of imported numbers; null: the numbers tell"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_an_exchange(cls, values: Any) -> Any:
        """Refuse invented candles in one sentence, not in one for each key they bring."""
        market, data = values.get("market") or {}, values.get("data") or {}
        if (market.get("exchange") or {}).get("ccxt_id") is None:
            raise ValueError(ON_NO_EXCHANGE)
        if data.get("source") != "ccxt":
            raise ValueError(
                f"data={data.get('source')} is nothing to fetch: leave data=ccxt; import=PATH takes"
                " candles from files."
            )
        return values


Names = Annotated[Words, Field(min_length=1)]


class SweepConfig(Section):
    """Which markets and strategies, on which machines, and what an earlier sweep counts for."""

    markets: Names = Field(description="all, names, patterns, or EXCHANGE:SYMBOL:TIMEFRAME")
    strategies: Names | None = Field(
        description="all, or words and files: [liquidity_sweep,mine.py]; null: strategy=... alone"
    )
    resume: bool = Field(description="false: a new sweep that computes everything again")
    retry_failed: bool = Field(description="true: markets that failed are tried again")
    dry_run: bool = Field(description="true: say what it would take, and compute nothing")
    storage: StorageConfig = Field(description="where results go")
    executor: ExecutorConfig = Field(description="who does the work")

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if self.executor.several_nodes and self.storage.url.startswith("sqlite"):
            raise ValueError(
                f"executor={self.executor.name} may have several nodes, and an SQLite file serves"
                " one: use storage=postgresql, or executor.address=local."
            )
        return self


#: The environment variable of a server's API token, which is nobody else's business.
TOKEN_VARIABLE = "API_TOKEN"

Jobs = Annotated[
    int, Field(ge=1, le=64, description="jobs that run at a time; they share the cores")
]


class ServeConfig(Section):
    """Where the server listens, what it asks for, and what its jobs may take."""

    host: str = Field(min_length=1, description="any but this machine alone needs a token")
    port: int = Field(ge=0, le=65_535, description="0: any that is free")
    token_file: Annotated[str, Field(min_length=1)] | None = Field(
        description=f"file of the API token; null: environment variable {TOKEN_VARIABLE}"
    )
    concurrent: Jobs
    starts_a_minute: int = Field(ge=1, le=10_000, description="more are refused for a while")
    connections_a_peer: int = Field(
        ge=8,
        le=100_000,
        description="open connections from one address; at most half are event streams",
    )
    import_bytes: int = Field(
        ge=1, le=2**40, description="bytes of a file of candles that is uploaded"
    )
    store: str = Field(min_length=1, description="folder of fetched candles")
    strategy_path: Words | None = Field(
        None, description="folders whose files are strategies to choose"
    )
    storage: StorageConfig = Field(description="where results go")
    notify: NotifyConfig = Field(description="what is told, and to whom")


class DispatchConfig(Section):
    """How many jobs run at a time, and when the dispatcher ends."""

    concurrent: Jobs
    idle: float = Field(gt=0, description="seconds without a job after which it ends")
    server: Annotated[int, Field(gt=0)] | None = Field(
        None, description="process id of a server; it stays while that lives"
    )
    storage: StorageConfig = Field(description="where results go")


class StorageOnly(Section):
    """Where stored configurations lie."""

    storage: StorageConfig = Field(description="where results are")


class OutboxConfig(StorageOnly):
    """The same, and what is told of them."""

    notify: NotifyConfig = Field(description="what is told, and to whom")


class StoredConfig(StorageOnly):
    """The same, and candles that take the place of the training's own; None keeps those."""

    data: CcxtData | FileData | SyntheticData | None = Field(
        default=None,
        discriminator="source",
        description="candles to use instead; null: where the training's came from",
    )
