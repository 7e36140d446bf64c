"""Define what commands need besides candles and a search: costs, engine, storage, receivers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.section import Cost, CostOrRebate, Count, List, Section, is_none

if TYPE_CHECKING:
    from gpu_engine import records

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]

_LIVE = "live trading alone knows it"

#: Of a small position at most exchanges.
MAINTENANCE_RATE = 0.005

NoticeKind = Literal["enter", "leave", "stage", "decay", "job", "sweep", "stale", "check", "alarm"]

#: What names the receivers. They are secrets: in no key, no database, no message, no log.
WEBHOOK_VARIABLE, SECRET_VARIABLE, APPRISE_VARIABLE = NOTIFY_VARIABLES = (
    "NOTIFY_WEBHOOK",
    "NOTIFY_SECRET",
    "NOTIFY_APPRISE",
)


class CostsConfig(Section):
    """What a trade costs."""

    fee_rate: Cost = Field(description="fraction of the notional, each way; else the exchange's")
    slippage: Cost = Field(description="the same, of market orders only")
    maker_fee: CostOrRebate | None = Field(
        default=None,
        exclude_if=is_none,
        description="of an exit at a target; negative: a rebate; null: fee_rate",
    )
    borrow_rate: Annotated[float, Field(ge=0, le=0.02)] | None = Field(
        default=None,
        exclude_if=is_none,
        description="fraction of the notional a day, of a short on a spot market; null: none",
    )

    def record(self) -> records.Costs:
        """Return the engine's record."""
        from gpu_engine import records

        return records.Costs(
            self.fee_rate, self.slippage, self.maker_fee, borrow_rate=self.borrow_rate
        )


class RiskConfig(Section):
    """Position size, direction and circuit breakers (fills rules §9).

    The first five and the last two act in a backtest. The rest need live trading: they are carried
    into the stored configuration and act nowhere here.
    """

    position_fraction: float = Field(gt=0, le=1, description="of equity, in every trade")
    direction: Literal["both", "long", "short"] = Field(description="of the trades")
    max_holding_bars: Count | None = Field(description="out at the close of this bar of the trade")
    max_daily_loss: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        description="no entries for the rest of the UTC day after such a loss"
    )
    consecutive_losses_limit: Count | None = Field(description="the same after so many losses")

    max_correlation_spike: Fraction | None = Field(description=f"correlation; {_LIVE}")
    unusual_market_threshold: Positive | None = Field(description=f"standard deviations; {_LIVE}")
    latency_threshold_ms: Positive | None = Field(description=f"milliseconds; {_LIVE}")
    max_adverse_selection: Fraction | None = Field(description=f"share of trades; {_LIVE}")
    regime_break_threshold: Fraction | None = Field(description=f"fraction; {_LIVE}")

    leverage: Annotated[float, Field(ge=1, le=1000)] | None = Field(
        default=None,
        exclude_if=is_none,
        description="a position is so many times its margin, and may be liquidated; null: off",
    )
    maintenance_rate: Cost = Field(
        default=MAINTENANCE_RATE,
        exclude_if=lambda rate: rate == MAINTENANCE_RATE,
        description="share of a position's value at which it is liquidated",
    )

    @model_validator(mode="after")
    def _margin_is_above_maintenance(self) -> Self:
        if self.leverage is not None and not 1.0 / self.leverage > self.maintenance_rate:
            raise ValueError(
                f"leverage {self.leverage:g} would be liquidated at once: its margin,"
                f" {1.0 / self.leverage:g} of the position, must be above maintenance_rate"
                f" ({self.maintenance_rate:g}). Take a smaller risk.leverage, or the"
                " risk.maintenance_rate of your exchange"
            )
        return self

    @property
    def exposure(self) -> float:
        """Notional of a trade as a share of the equity."""
        return self.limits().exposure

    def limits(self) -> records.RiskLimits:
        """Return the engine's record: what a candle backtest can honour."""
        from gpu_engine import records

        return records.RiskLimits(
            position_fraction=self.position_fraction,
            max_daily_loss=self.max_daily_loss,
            consecutive_losses_limit=self.consecutive_losses_limit,
            max_holding_bars=self.max_holding_bars,
            direction=self.direction,
            leverage=self.leverage,
            maintenance_rate=self.maintenance_rate,
        )


class BackendConfig(Section):
    """Which engine computes, and how much of the machine it takes; None lets it choose."""

    name: Literal["auto", "reference", "numpy", "numba", "cuda"] = Field(
        description="auto: the fastest that works here; reference: plain Python"
    )
    threads: Count | None = Field(description="of a CPU backend; null: all cores")
    block: Count | None = Field(description="combinations at a time; null: what fits")
    devices: Annotated[List[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = Field(
        description="GPU numbers such as [0,1]; null: the current one"
    )


Retries = Annotated[
    int, Field(ge=0, le=100, description="other workers that get a task whose worker died")
]

_DATABASES = ("sqlite", "postgresql", "postgresql+psycopg2")


#: Of conf/storage: they need not be said.
DEFAULTS = ("sqlite:///var/trainings.db", "var/artifacts")


class StorageConfig(Section):
    """Where results go."""

    url: str = Field(repr=False, description="sqlite:///FILE or postgresql://USER@HOST/NAME")
    artifacts: str = Field(min_length=1, description="folder of series, trades and surfaces")
    patience: Annotated[float, Field(ge=0, le=86_400)] = Field(
        description="seconds to wait for a database that does not answer"
    )

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        database, separator, _ = url.partition("://")
        if not separator or database not in _DATABASES:
            raise ValueError(
                "must be a database address such as sqlite:///FILE or postgresql://USER@HOST/NAME"
            )
        return url

    @property
    def shown_url(self) -> str:
        """The address without its password, for screens and logs."""
        return re.sub(r"(?<=//)[^@/]*@", "***@", self.url)

    @property
    def places(self) -> dict[str, str]:
        """What names the same places on another command line; a password's address as dots."""
        url = "..." if re.search(r"//[^@/]*:[^/]*@", self.url) else self.url
        values = {"storage.url": url, "storage.artifacts": self.artifacts}
        return {key: value for key, value in values.items() if value not in DEFAULTS}


class _Executor(Section):
    @property
    def several_nodes(self) -> bool:
        """Whether tasks may run on other machines, which see neither this disk nor its SQLite."""
        return getattr(self, "address", "local") != "local"


class LocalExecutor(_Executor):
    """One task after another, in this process."""

    name: Literal["local"] = Field(description="In this process; slow searches: a process a core.")


class ProcessesExecutor(_Executor):
    """Worker processes of this machine."""

    name: Literal["processes"] = Field(description="Worker processes share cores and GPUs.")
    workers: Count | None = Field(description="null: one a core")
    retries: Retries


class RayExecutor(_Executor):
    """Tasks of Ray.

    ``address=local`` makes a cluster that ends with the command. It is never None: with None a
    forgotten cluster of this machine would be joined or refused by surprise.
    """

    name: Literal["ray"] = Field(description="Tasks of a Ray cluster; needs the extra ray.")
    address: str = Field(description="local: this machine; auto: its cluster; ray://HOST:PORT")
    num_cpus: Count = Field(description="cores a task takes")
    num_gpus: float = Field(ge=0, description="GPUs a task takes; 0.5 shares one, 0 takes none")
    retries: Retries

    @field_validator("address")
    @classmethod
    def _known_address(cls, address: str) -> str:
        if address not in ("local", "auto") and not re.fullmatch(r"ray://[^/\s]+:\d+", address):
            raise ValueError("must be local, auto or ray://HOST:PORT")
        return address


#: Where a run's work is done.
ExecutorConfig = Annotated[
    LocalExecutor | ProcessesExecutor | RayExecutor, Field(discriminator="name")
]


class NotifyConfig(Section):
    """Which events are told; the environment or a file says to whom (docs/notifications.md)."""

    events: List[NoticeKind] = Field(description="what is told; []: nothing")
    secrets: Annotated[str, Field(min_length=1)] | None = Field(
        description=f"file with lines {WEBHOOK_VARIABLE}=URL, {SECRET_VARIABLE}=KEY and"
        f" {APPRISE_VARIABLE}=URL; null: environment variables of these names"
    )
