"""Define the tables as SQLAlchemy 2 models, once for SQLite and PostgreSQL.

Four choices that the databases force: JSON is JSONB where there is one; times go in and come out
aware and in UTC, because SQLite forgets the zone it was given; the words of a state are held to
their list by a CHECK, because an ENUM type needs a migration of its own on PostgreSQL and does not
exist on SQLite; and every constraint has a name, because only what has a name can be altered.

The figures that people filter and sort by (out-of-sample Sharpe, profit, trades, p, ...) stand in
plain columns beside the JSON they come from, so that an index can serve them.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from pipeline.results.jsonable import finite
from pipeline.results.records import (
    JOB_EVENT_KINDS,
    MARKET_STATUSES,
    STATUSES,
    JobEventKind,
    MarketStatus,
    Status,
)
from pipeline.validation.stages import STAGES, Stage


class UTCDateTime(sa.TypeDecorator[datetime]):
    """Aware in, aware out, UTC inside. A naive time is refused: nobody knows what it means."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert to UTC on the way in."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(UTC)")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give UTC back, whatever zone the server's session has; SQLite's naive value is UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ZeroOrOne(sa.Boolean):
    """A truth value, which SQLite keeps as a number and does not bound: 2 is none."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        """Refuse what no program stores."""

        def process(value: Any) -> bool | None:
            if value is not None and (not isinstance(value, int) or value not in (0, 1)):
                raise ValueError(f"it holds {str(value)[:20]}, which is neither 0 nor 1")
            return None if value is None else bool(value)

        return process


class Finite(sa.TypeDecorator[float]):
    """A float64 that is finite, which SQLite and PostgreSQL do not demand."""

    impl = sa.Double
    cache_ok = True

    def process_result_value(self, value: float | None, dialect: sa.Dialect) -> float | None:
        """Refuse what no run stores."""
        return None if value is None else finite(value)


Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _one_of(column: str, words: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


class Base(DeclarativeBase):
    """Names for every constraint and index, and types for the annotations."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: sa.String(),
        Status: sa.String(),
        MarketStatus: sa.String(),
        JobEventKind: sa.String(),
        Stage: sa.String(),
        float: Finite(),
        bool: ZeroOrOne(),
        datetime: UTCDateTime(),
        dict[str, Any]: Json,
        Any: Json,
    }


class LeaseRow(Base):
    """The sign of life of one process that owns rows (`pipeline.results.access.leases`)."""

    __tablename__ = "leases"

    identity: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    place: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(sa.Integer)
    started: Mapped[str]
    beat: Mapped[int] = mapped_column(sa.BigInteger)
    renewed_at: Mapped[datetime]


class TrainingJob(Base):
    """One training run of one market; `pipeline.results.records.Job` explains the fields."""

    __tablename__ = "training_jobs"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    market: Mapped[str]
    exchange: Mapped[str]
    pair: Mapped[str]
    timeframe: Mapped[str]
    strategy: Mapped[str]
    optimizer: Mapped[str]
    config: Mapped[dict[str, Any]]
    config_hash: Mapped[str]
    seed: Mapped[int] = mapped_column(sa.BigInteger)
    status: Mapped[Status]
    stage_of_work: Mapped[str | None] = mapped_column(sa.Text)
    progress: Mapped[float]
    error: Mapped[str | None] = mapped_column(sa.Text)
    owner: Mapped[str | None] = mapped_column(sa.String(32))
    heartbeat_at: Mapped[datetime]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    #: Hash of all that a start of one market through a server asks for; a command has none.
    start_key: Mapped[str | None] = mapped_column(sa.String(64))

    __table_args__ = (
        _one_of("status", STATUSES),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name="progress"),
        sa.Index(None, "status"),
        sa.Index(None, "created_at"),
        # Two tabs that start the same in the same moment: the second is refused.
        sa.Index(
            "uq_training_jobs_start",
            "start_key",
            unique=True,
            sqlite_where=sa.text("status IN ('pending', 'running')"),
            postgresql_where=sa.text("status IN ('pending', 'running')"),
        ),
    )


class JobEventRow(Base):
    """One change of a job; `pipeline.results.records.JobEvent` explains the fields."""

    __tablename__ = "job_events"

    # SQLite counts up by itself only where the type is INTEGER.
    id: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
    )
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("training_jobs.id"))
    at: Mapped[datetime]
    kind: Mapped[JobEventKind]
    payload: Mapped[dict[str, Any]]

    __table_args__ = (
        _one_of("kind", JOB_EVENT_KINDS),
        sa.Index(None, "job_id", "id"),
        # What has ended lately, among the lines of progress (`pipeline.results.rows.news`).
        sa.Index(
            "ix_job_events_of_status_at",
            "at",
            sqlite_where=sa.text("kind = 'status'"),
            postgresql_where=sa.text("kind = 'status'"),
        ),
    )


class DispatcherRow(Base):
    """The one process that runs queued jobs: a row, once there has been any."""

    __tablename__ = "dispatcher"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(sa.String(32))

    __table_args__ = (sa.CheckConstraint("id = 1", name="one"),)


#: Columns that a list is sorted by; ``id`` follows.
SORTED_BY = (
    *("created_at", "oos_sharpe_ratio", "oos_net_profit", "sample_size", "p_value"),
    *("max_drawdown", "fdr_q_value", "market", "stage_rank", "optimizer", "seed", "first_day"),
)
#: Those that may be null, which comes last in both directions.
NULLABLE = ("p_value", "max_drawdown", "fdr_q_value")
_FILTERS = ("lifecycle_stage", "exchange", "pair", "timeframe", "strategy", "synthetic")


def _listing_index(key: str, *order: Any) -> sa.Index:
    """Hold a sort key with every filter: a page's ids are read from the index alone."""
    name = f"ix_trained_configurations_by_{key}"
    return sa.Index(name, *(order or (key, "id")), *_FILTERS, "is_active")


class TrainedConfiguration(Base):
    """One stored result; `pipeline.results.records.Configuration` explains the fields."""

    __tablename__ = "trained_configurations"

    id: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("training_jobs.id"))
    strategy: Mapped[str]
    exchange: Mapped[str]
    pair: Mapped[str]
    timeframe: Mapped[str]
    lifecycle_stage: Mapped[Stage]
    synthetic: Mapped[bool]
    parameters: Mapped[dict[str, Any]]
    in_sample: Mapped[dict[str, Any]]
    out_of_sample: Mapped[dict[str, Any]]
    statistics: Mapped[dict[str, Any]]
    gates: Mapped[Any]
    circuit_breakers: Mapped[dict[str, Any]]
    provenance: Mapped[dict[str, Any]]
    document: Mapped[dict[str, Any]]
    artifacts: Mapped[str | None]
    artifact_digests: Mapped[dict[str, Any]]
    oos_sharpe_ratio: Mapped[float]
    oos_net_profit: Mapped[float]
    sample_size: Mapped[int] = mapped_column(sa.Integer)
    p_value: Mapped[float | None]
    #: To be sorted by alone: what follows from documents and the job, so no event vouches for it.
    max_drawdown: Mapped[float | None]
    fdr_q_value: Mapped[float | None]
    market: Mapped[str] = mapped_column(server_default=sa.text("''"))
    stage_rank: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    optimizer: Mapped[str] = mapped_column(server_default=sa.text("''"))
    seed: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    first_day: Mapped[str] = mapped_column(server_default=sa.text("''"))
    created_at: Mapped[datetime]
    is_active: Mapped[bool] = mapped_column(server_default=sa.false())
    #: Hash of the newest event (`pipeline.results.rows.chain`).
    head: Mapped[str] = mapped_column(sa.String(64))
    #: Digest of the head and of ``verified_at``.
    seal: Mapped[str] = mapped_column(sa.String(64))
    verified_at: Mapped[datetime | None]

    __table_args__ = (
        _one_of("lifecycle_stage", STAGES),
        sa.Index(None, "job_id"),
        *(_listing_index(key) for key in SORTED_BY),
        # PostgreSQL's indices have nulls last, so one read backwards has them first: without this
        # one it sorts the table. SQLite reads the ascending one in both directions.
        *(
            _listing_index(
                f"{key}_descending", sa.text(f"{key} DESC NULLS LAST"), sa.text("id DESC")
            ).ddl_if(dialect="postgresql")
            for key in NULLABLE
        ),
        # What a live trader polls: a handful of rows among a hundred thousand.
        sa.Index(
            "ix_trained_configurations_active",
            "created_at",
            "id",
            "is_active",  # which makes it a covering one for SQLite
            "head",
            sqlite_where=sa.text("is_active = 1"),
            postgresql_where=sa.text("is_active"),
        ),
    )

    @validates("lifecycle_stage")
    def _ranked(self, _: str, stage: Stage) -> Stage:
        self.stage_rank = STAGES.index(stage) if stage in STAGES else -1
        return stage


class ConfigurationEventRow(Base):
    """One thing that happened to a configuration: `pipeline.results.records.ConfigurationEvent`.

    ``kind`` has no list to hold it to: what may happen to a configuration is open.
    """

    __tablename__ = "configuration_events"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    configuration_id: Mapped[str] = mapped_column(sa.ForeignKey("trained_configurations.id"))
    at: Mapped[datetime]
    kind: Mapped[str]
    from_stage: Mapped[Stage]
    to_stage: Mapped[Stage]
    reason: Mapped[str] = mapped_column(sa.Text)
    figures: Mapped[dict[str, Any]]
    #: 0 for the first of a configuration; `pipeline.results.rows.chain` explains the other two.
    number: Mapped[int] = mapped_column(sa.Integer)
    previous: Mapped[str] = mapped_column(sa.String(64))
    digests: Mapped[dict[str, Any]]

    __table_args__ = (
        _one_of("from_stage", STAGES),
        _one_of("to_stage", STAGES),
        sa.UniqueConstraint("configuration_id", "number"),
        sa.Index(None, "at"),
    )


class SweepRow(Base):
    """One sweep; `pipeline.results.records.Sweep` explains the fields."""

    __tablename__ = "sweeps"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(64))
    strategy: Mapped[str]
    optimizer: Mapped[str]
    config: Mapped[dict[str, Any]]
    since: Mapped[datetime | None]
    until: Mapped[datetime]
    engine_version: Mapped[str]
    status: Mapped[Status]
    owner: Mapped[str] = mapped_column(sa.String(32))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    pooled: Mapped[Any | None]
    #: Digest of what it says (`pipeline.results.rows.sweep_rows`).
    seal: Mapped[str] = mapped_column(sa.String(64))

    __table_args__ = (
        _one_of("status", STATUSES),
        sa.Index(None, "key", "created_at"),
        # Two commands that begin the same sweep in the same moment: the second is refused.
        sa.Index(
            "uq_sweeps_running",
            "key",
            unique=True,
            sqlite_where=sa.text("status = 'running'"),
            postgresql_where=sa.text("status = 'running'"),
        ),
    )


class SweepMarketRow(Base):
    """One market of a sweep; `pipeline.results.records.SweepMarket` explains the fields."""

    __tablename__ = "sweep_markets"

    sweep_id: Mapped[str] = mapped_column(sa.ForeignKey("sweeps.id"), primary_key=True)
    position: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    market: Mapped[str]
    task_hash: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[MarketStatus]
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("training_jobs.id"))
    configuration_id: Mapped[str | None] = mapped_column(sa.ForeignKey("trained_configurations.id"))
    p_value: Mapped[float | None]
    surrogate_p: Mapped[float | None]
    fdr_q_value: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(sa.Text)
    seconds: Mapped[float | None]

    __table_args__ = (
        _one_of("status", MARKET_STATUSES),
        sa.UniqueConstraint("sweep_id", "market"),
        sa.Index(None, "task_hash", "status"),
        sa.Index(None, "job_id"),
    )
