"""Training jobs and trained configurations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
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
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.String(), nullable=False),
        sa.Column("heartbeat_at", UTC, nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("started_at", UTC),
        sa.Column("finished_at", UTC),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_training_jobs_status"),
        ),
        sa.CheckConstraint(
            "progress >= 0 AND progress <= 1", name=op.f("ck_training_jobs_progress")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_jobs")),
    )
    index("training_jobs", "status")
    index("training_jobs", "created_at")

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
        sa.Column("oos_sharpe_ratio", sa.Double(), nullable=False),
        sa.Column("oos_net_profit", sa.Double(), nullable=False),
        sa.Column("sample_size", sa.Integer(), nullable=False),
        sa.Column("p_value", sa.Double()),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint(
            "lifecycle_stage IN ('DECAY', 'PAPER', 'DISCOVERY', 'VALIDATION', 'MATURE')",
            name=op.f("ck_trained_configurations_lifecycle_stage"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["training_jobs.id"],
            name=op.f("fk_trained_configurations_job_id_training_jobs"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trained_configurations")),
    )
    index("trained_configurations", "job_id")
    index("trained_configurations", "created_at")
    index("trained_configurations", "oos_sharpe_ratio")
    index("trained_configurations", "lifecycle_stage", "created_at")
    index("trained_configurations", "exchange", "pair", "timeframe", "created_at")
    op.create_index(
        "ix_trained_configurations_active",
        "trained_configurations",
        ["created_at"],
        sqlite_where=sa.text("is_active = 1"),
        postgresql_where=sa.text("is_active"),
    )


def index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
