"""Create the tables.

Builds before the first release had the revisions 0001 to 0008. Their databases are refused
(`pipeline.results.access.migrations`).
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
UTC = sa.DateTime(timezone=True)
STATUSES = "('pending', 'running', 'completed', 'failed', 'cancelled')"
MARKET_STATUSES = "('pending', 'running', 'done', 'failed', 'skipped')"
STAGES = "('DECAY', 'PAPER', 'DISCOVERY', 'VALIDATION', 'MATURE')"
EVENT_KINDS = "('status', 'progress', 'note', 'result')"
#: An index for each order of a listing holds all filters: a page is read from it alone.
FILTERS = (
    "lifecycle_stage",
    "exchange",
    "pair",
    "timeframe",
    "strategy",
    "synthetic",
    "is_active",
)


def upgrade() -> None:
    create_jobs()
    create_configurations()
    create_sweeps()


def create_jobs() -> None:
    op.create_table(
        "leases",
        sa.Column("identity", sa.String(32), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started", sa.String(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_leases")),
    )
    op.create_table(
        "training_jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("market", sa.String(), nullable=False),
        sa.Column("exchange", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("timeframe", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("optimizer", sa.String(), nullable=False),
        sa.Column("config", JSON, nullable=False),
        sa.Column("config_hash", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("stage_of_work", sa.Text()),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("owner", sa.String(32)),
        sa.Column("heartbeat_at", UTC, nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("started_at", UTC),
        sa.Column("finished_at", UTC),
        sa.CheckConstraint(
            f"status IN {STATUSES}",
            name=op.f("ck_training_jobs_status"),
        ),
        sa.CheckConstraint(
            "progress >= 0 AND progress <= 1", name=op.f("ck_training_jobs_progress")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_jobs")),
    )
    op.create_index(op.f("ix_training_jobs_status"), "training_jobs", ["status"])
    op.create_index(op.f("ix_training_jobs_created_at"), "training_jobs", ["created_at"])
    op.create_table(
        "job_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.CheckConstraint(f"kind IN {EVENT_KINDS}", name=op.f("ck_job_events_kind")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["training_jobs.id"], name=op.f("fk_job_events_job_id_training_jobs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    op.create_index(op.f("ix_job_events_job_id_id"), "job_events", ["job_id", "id"])
    op.create_table(
        "dispatcher",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_dispatcher_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatcher")),
    )


def create_configurations() -> None:
    op.create_table(
        "trained_configurations",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("exchange", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("timeframe", sa.String(), nullable=False),
        sa.Column("lifecycle_stage", sa.String(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("in_sample", JSON, nullable=False),
        sa.Column("out_of_sample", JSON, nullable=False),
        sa.Column("statistics", JSON, nullable=False),
        sa.Column("gates", JSON, nullable=False),
        sa.Column("circuit_breakers", JSON, nullable=False),
        sa.Column("provenance", JSON, nullable=False),
        sa.Column("document", JSON, nullable=False),
        sa.Column("artifacts", sa.String()),
        sa.Column("artifact_digests", JSON, nullable=False),
        sa.Column("oos_sharpe_ratio", sa.Double(), nullable=False),
        sa.Column("oos_net_profit", sa.Double(), nullable=False),
        sa.Column("sample_size", sa.Integer(), nullable=False),
        sa.Column("p_value", sa.Double()),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.Column("verified_at", UTC),
        sa.CheckConstraint(
            f"lifecycle_stage IN {STAGES}",
            name=op.f("ck_trained_configurations_lifecycle_stage"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["training_jobs.id"],
            name=op.f("fk_trained_configurations_job_id_training_jobs"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trained_configurations")),
    )
    op.create_index(op.f("ix_trained_configurations_job_id"), "trained_configurations", ["job_id"])
    for key in ("created_at", "oos_sharpe_ratio", "oos_net_profit", "sample_size", "p_value"):
        op.create_index(
            f"ix_trained_configurations_by_{key}", "trained_configurations", [key, "id", *FILTERS]
        )
    if op.get_context().dialect.name == "postgresql":  # SQLite's index serves both directions
        op.create_index(
            "ix_trained_configurations_by_p_value_descending",
            "trained_configurations",
            [sa.text("p_value DESC NULLS LAST"), sa.text("id DESC"), *FILTERS],
        )
    op.create_index(
        "ix_trained_configurations_active",
        "trained_configurations",
        ["created_at", "id", "is_active", "head"],
        sqlite_where=sa.text("is_active = 1"),
        postgresql_where=sa.text("is_active"),
    )
    op.create_table(
        "configuration_events",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("configuration_id", sa.String(80), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("from_stage", sa.String(), nullable=False),
        sa.Column("to_stage", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digests", JSON, nullable=False),
        sa.CheckConstraint(
            f"from_stage IN {STAGES}", name=op.f("ck_configuration_events_from_stage")
        ),
        sa.CheckConstraint(f"to_stage IN {STAGES}", name=op.f("ck_configuration_events_to_stage")),
        sa.ForeignKeyConstraint(
            ["configuration_id"],
            ["trained_configurations.id"],
            name=op.f("fk_configuration_events_configuration_id_trained_configurations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_configuration_events")),
        sa.UniqueConstraint(
            "configuration_id",
            "number",
            name=op.f("uq_configuration_events_configuration_id_number"),
        ),
    )


def create_sweeps() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("optimizer", sa.String(), nullable=False),
        sa.Column("config", JSON, nullable=False),
        sa.Column("since", UTC),
        sa.Column("until", UTC, nullable=False),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("finished_at", UTC),
        sa.Column("pooled", JSON),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.CheckConstraint(f"status IN {STATUSES}", name=op.f("ck_sweeps_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
    )
    op.create_index(op.f("ix_sweeps_key_created_at"), "sweeps", ["key", "created_at"])
    op.create_index(
        "uq_sweeps_running",
        "sweeps",
        ["key"],
        unique=True,
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_table(
        "sweep_markets",
        sa.Column("sweep_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("market", sa.String(), nullable=False),
        sa.Column("task_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("configuration_id", sa.String(80)),
        sa.Column("p_value", sa.Double()),
        sa.Column("surrogate_p", sa.Double()),
        sa.Column("fdr_q_value", sa.Double()),
        sa.Column("error", sa.Text()),
        sa.Column("seconds", sa.Double()),
        sa.CheckConstraint(f"status IN {MARKET_STATUSES}", name=op.f("ck_sweep_markets_status")),
        sa.ForeignKeyConstraint(
            ["sweep_id"], ["sweeps.id"], name=op.f("fk_sweep_markets_sweep_id_sweeps")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["training_jobs.id"], name=op.f("fk_sweep_markets_job_id_training_jobs")
        ),
        sa.ForeignKeyConstraint(
            ["configuration_id"],
            ["trained_configurations.id"],
            name=op.f("fk_sweep_markets_configuration_id_trained_configurations"),
        ),
        sa.PrimaryKeyConstraint("sweep_id", "position", name=op.f("pk_sweep_markets")),
        sa.UniqueConstraint("sweep_id", "market", name=op.f("uq_sweep_markets_sweep_id_market")),
    )
    op.create_index(
        op.f("ix_sweep_markets_task_hash_status"), "sweep_markets", ["task_hash", "status"]
    )
    op.create_index(op.f("ix_sweep_markets_job_id"), "sweep_markets", ["job_id"])
