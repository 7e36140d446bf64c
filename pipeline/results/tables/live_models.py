"""Define the tables of paper trading and signals, and the frozen records of their rows.

They follow configurations and never change them: what decides a stage stays in
``configuration_events`` (`pipeline.results.tables.models`).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.results.records import utc_now
from pipeline.results.tables.models import Base

#: What a journal tells (docs/live.md): ``kind`` of a `LiveEvent`.
ENTER, LEAVE, ORDER, REVISED, STALE, FRESH, CHECK, STAGE, ALARM, SERVICE = (
    "enter",
    "leave",
    "order",
    "revised",
    "stale",
    "fresh",
    "check",
    "stage",
    "alarm",
    "service",
)


class FollowerRow(Base):
    """The one process that follows active configurations: a row, once there has been any."""

    __tablename__ = "follower"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(String(32))
    #: When it took the role, and when it looked last at what is due.
    since: Mapped[datetime]
    looked_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("id = 1", name="one"),)


class PaperAccountRow(Base):
    """How far the paper ledger of one configuration is.

    ``first_candle`` is the first of its series, ``through`` the last one that is booked; times of
    candles are their opens. ``position`` is what it holds, ``equity`` that of the closed trades.
    ``called`` counts the trades of which ``PaperTradeRow.called`` is true, and ``called_equity`` is
    that of these alone.
    """

    __tablename__ = "paper_accounts"

    configuration_id: Mapped[str] = mapped_column(
        ForeignKey("trained_configurations.id"), primary_key=True
    )
    started_at: Mapped[datetime]
    first_candle: Mapped[datetime]
    through: Mapped[datetime | None]
    position: Mapped[dict[str, Any] | None]
    trades: Mapped[int] = mapped_column(Integer)
    equity: Mapped[float]
    called: Mapped[int] = mapped_column(Integer)
    called_equity: Mapped[float]
    #: What the newest check against the backtest said: None before the first, "" where they agree.
    difference: Mapped[str | None] = mapped_column(Text)
    checked_at: Mapped[datetime | None]
    #: The newest candle that the check held against it.
    checked_through: Mapped[datetime | None]


class PaperTradeRow(Base):
    """One closed paper trade; the fields of `gpu_engine.TRADE` with times for bars.

    ``called`` tells that its order was in the journal in time: somebody could follow it.
    """

    __tablename__ = "paper_trades"

    configuration_id: Mapped[str] = mapped_column(
        ForeignKey("paper_accounts.configuration_id"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    side: Mapped[int] = mapped_column(Integer)
    setup_at: Mapped[datetime]
    signal_at: Mapped[datetime]
    entry_at: Mapped[datetime]
    exit_at: Mapped[datetime]
    entry: Mapped[float]
    exit: Mapped[float]
    reason: Mapped[str]
    ret: Mapped[float]
    stop: Mapped[float | None]
    target: Mapped[float | None]
    booked_at: Mapped[datetime]
    called: Mapped[bool]


class PaperDayRow(Base):
    """The return of one full UTC day of a paper account, marked to market, of a full position."""

    __tablename__ = "paper_days"

    configuration_id: Mapped[str] = mapped_column(
        ForeignKey("paper_accounts.configuration_id"), primary_key=True
    )
    #: Days since the epoch.
    day: Mapped[int] = mapped_column(Integer, primary_key=True)
    ret: Mapped[float]
    equity: Mapped[float]


class LiveEventRow(Base):
    """One thing that happened while configurations were followed: the journal of the ledger.

    ``configuration_id`` is None of what concerns a market or the service; ``candle`` is the open of
    the candle that it rests on.
    """

    __tablename__ = "live_events"

    # SQLite counts up by itself only where the type is INTEGER.
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    configuration_id: Mapped[str | None] = mapped_column(ForeignKey("trained_configurations.id"))
    market: Mapped[str | None]
    candle: Mapped[datetime | None]
    text: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]]

    __table_args__ = (Index(None, "configuration_id", "id"), Index(None, "at"))


class SignalRow(Base):
    """What the follower said last of one configuration: `pipeline.live.signal` explains the JSON.

    ``version`` is one higher with every signal of any configuration.
    """

    __tablename__ = "signals"

    configuration_id: Mapped[str] = mapped_column(
        ForeignKey("trained_configurations.id"), primary_key=True
    )
    version: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime]
    signal: Mapped[dict[str, Any]]


@dataclass(frozen=True)
class PaperAccount:
    """How far a ledger is; fields as of `pipeline.results.tables.live_models.PaperAccountRow`."""

    configuration_id: str
    started_at: datetime
    first_candle: datetime
    through: datetime | None = None
    position: dict[str, Any] | None = None
    trades: int = 0
    equity: float = 1.0
    called: int = 0
    called_equity: float = 1.0
    difference: str | None = None
    checked_at: datetime | None = None
    checked_through: datetime | None = None


@dataclass(frozen=True)
class PaperTrade:
    """One closed trade: prices in the quote currency, ``ret`` net of all costs, on notional.

    ``called`` tells that its order stood in the journal in time, so that somebody could follow it.
    """

    number: int
    side: int
    setup_at: datetime
    signal_at: datetime
    entry_at: datetime
    exit_at: datetime
    entry: float
    exit: float
    reason: str
    ret: float
    stop: float | None
    target: float | None
    booked_at: datetime = field(default_factory=utc_now)
    called: bool = False


@dataclass(frozen=True)
class PaperDay:
    """One full UTC day (since the epoch) of a full position, marked to market."""

    day: int
    ret: float
    equity: float


@dataclass(frozen=True)
class LiveEvent:
    """One line of the journal; ``id`` is None before it is stored."""

    kind: str
    text: str
    configuration_id: str | None = None
    market: str | None = None
    candle: datetime | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=utc_now)
    id: int | None = None


@dataclass(frozen=True)
class StoredSignal:
    """The newest signal of a configuration."""

    configuration_id: str
    version: int
    made_at: datetime
    signal: dict[str, Any]
