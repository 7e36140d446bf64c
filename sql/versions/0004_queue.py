"""The queue: what happens to jobs, who runs them, and an index for every order of the results."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
RESULTS = "trained_configurations"
#: A listing is read from one index, which holds a sort key with all filters; these hold some.
REPLACED = (
    ("created_at",),
    ("oos_sharpe_ratio",),
    ("lifecycle_stage", "created_at"),
    ("exchange", "pair", "timeframe", "created_at"),
)
FILTERS = (
    "lifecycle_stage",
    "exchange",
    "pair",
    "timeframe",
    "strategy",
    "synthetic",
    "is_active",
)
KINDS = "('status', 'progress', 'note', 'result')"


def upgrade() -> None:
    op.create_table(
        "job_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.CheckConstraint(f"kind IN {KINDS}", name=op.f("ck_job_events_kind")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["training_jobs.id"], name=op.f("fk_job_events_job_id_training_jobs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    op.create_index(op.f("ix_job_events_job_id_id"), "job_events", ["job_id", "id"])
    op.create_table(
        "dispatcher",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.String(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_dispatcher_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatcher")),
    )
    for columns in REPLACED:
        op.drop_index(op.f(f"ix_{RESULTS}_{'_'.join(columns)}"), RESULTS)
    for key in ("created_at", "oos_sharpe_ratio", "oos_net_profit", "sample_size", "p_value"):
        op.create_index(f"ix_{RESULTS}_by_{key}", RESULTS, [key, "id", *FILTERS])
    op.drop_index("ix_trained_configurations_active", RESULTS)
    op.create_index(
        "ix_trained_configurations_active",
        RESULTS,
        ["created_at", "id", "is_active"],
        sqlite_where=sa.text("is_active = 1"),
        postgresql_where=sa.text("is_active"),
    )
