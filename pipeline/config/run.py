"""What a run needs besides candles and a search: costs, limits, engine, places for results."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gpu_engine import records
from pipeline.config.section import Cost, Count, List, Section


class CostsConfig(Section):
    """What a trade costs: fractions of the notional, the fee on both sides."""

    fee_rate: Cost
    slippage: Cost

    def record(self) -> records.Costs:
        """Return the engine's record."""
        return records.Costs(self.fee_rate, self.slippage)


class RiskConfig(Section):
    """Position size, direction and circuit breakers (fills rules §9).

    The first five act in a backtest. The rest need live trading: they are carried into the stored
    configuration and act nowhere here.
    """

    position_fraction: Annotated[float, Field(gt=0, le=1)]
    direction: records.Direction
    max_holding_bars: Count | None
    max_daily_loss: Annotated[float, Field(gt=0, lt=1)] | None
    consecutive_losses_limit: Count | None

    max_correlation_spike: Annotated[float, Field(gt=0, le=1)] | None
    unusual_market_threshold: Annotated[float, Field(gt=0)] | None
    latency_threshold_ms: Annotated[float, Field(gt=0)] | None
    max_adverse_selection: Annotated[float, Field(gt=0, le=1)] | None
    regime_break_threshold: Annotated[float, Field(gt=0, le=1)] | None

    def limits(self) -> records.RiskLimits:
        """Return the engine's record: what a candle backtest can honour."""
        return records.RiskLimits(
            position_fraction=self.position_fraction,
            max_daily_loss=self.max_daily_loss,
            consecutive_losses_limit=self.consecutive_losses_limit,
            max_holding_bars=self.max_holding_bars,
            direction=self.direction,
        )


class BackendConfig(Section):
    """Which engine computes, and how much of the machine it takes; None lets it choose.

    ``threads`` of a CPU backend, ``block`` combinations at a time, ``devices`` GPU numbers.
    """

    name: Literal["auto", "reference", "numpy", "numba", "cuda"]
    threads: Count | None
    block: Count | None
    devices: Annotated[List[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None


#: How many more workers a task is given to when the one that had it died.
Retries = Annotated[int, Field(ge=0, le=100)]

_DATABASES = ("sqlite", "postgresql", "postgresql+psycopg2")


class StorageConfig(Section):
    """Where results go: a database by SQLAlchemy ``url``, and a folder for ``artifacts``."""

    url: Annotated[str, Field(repr=False)]
    artifacts: Annotated[str, Field(min_length=1)]

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


class _Executor(Section):
    @property
    def several_nodes(self) -> bool:
        """Whether tasks may run on other machines, which see neither this disk nor its SQLite."""
        return False


class LocalExecutor(_Executor):
    """One task after another, in this process."""

    name: Literal["local"]


class ProcessesExecutor(_Executor):
    """Worker processes of this machine; ``workers`` None is one a core.

    A task whose worker died is given to another, ``retries`` times.
    """

    name: Literal["processes"]
    workers: Count | None
    retries: Retries


class RayExecutor(_Executor):
    """Tasks of Ray, each with ``num_cpus`` cores and ``num_gpus`` GPUs, or shares of one.

    ``address`` is ``local`` for a cluster of this machine that ends with the command, ``auto`` for
    the cluster that this machine belongs to, and ``ray://HOST:PORT`` for one elsewhere. It is never
    None: with None a forgotten cluster of this machine would be joined or refused by surprise.
    """

    name: Literal["ray"]
    address: str
    num_cpus: Count
    num_gpus: Annotated[float, Field(ge=0)]
    retries: Retries

    @field_validator("address")
    @classmethod
    def _known_address(cls, address: str) -> str:
        if address not in ("local", "auto") and not re.fullmatch(r"ray://[^/\s]+:\d+", address):
            raise ValueError("must be local, auto or ray://HOST:PORT")
        return address

    @property
    def several_nodes(self) -> bool:
        """Whether tasks may run on other machines, which see neither this disk nor its SQLite."""
        return self.address != "local"


#: Where a run's work is done.
ExecutorConfig = Annotated[
    LocalExecutor | ProcessesExecutor | RayExecutor, Field(discriminator="name")
]
