"""Sweeps: what was asked for, and a row for every market of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
STATUSES = "('pending', 'running', 'completed', 'failed', 'cancelled')"
MARKET_STATUSES = "('pending', 'running', 'done', 'failed', 'skipped')"
RUNNING = sa.text("status = 'running'")


def upgrade() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("optimizer", sa.String(), nullable=False),
        sa.Column("config", JSON, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.String(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"status IN {STATUSES}", name=op.f("ck_sweeps_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
    )
    op.create_index(op.f("ix_sweeps_key_created_at"), "sweeps", ["key", "created_at"])
    op.create_index(
        "uq_sweeps_running",
        "sweeps",
        ["key"],
        unique=True,
        sqlite_where=RUNNING,
        postgresql_where=RUNNING,
    )
    op.create_table(
        "sweep_markets",
        sa.Column("sweep_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("market", sa.String(), nullable=False),
        sa.Column("task_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("configuration_id", sa.String(80), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("fdr_q_value", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
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
