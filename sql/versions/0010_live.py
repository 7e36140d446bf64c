"""Add paper trading, signals and notifications."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
UTC = sa.DateTime(timezone=True)
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    create_follower()
    create_accounts()
    create_events()
    create_notices()


def create_follower() -> None:
    op.create_table(
        "follower",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("since", UTC, nullable=False),
        sa.Column("looked_at", UTC, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_follower_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follower")),
    )
    op.create_table(
        "signals",
        sa.Column("configuration_id", sa.String(80), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("made_at", UTC, nullable=False),
        sa.Column("signal", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["configuration_id"],
            ["trained_configurations.id"],
            name=op.f("fk_signals_configuration_id_trained_configurations"),
        ),
        sa.PrimaryKeyConstraint("configuration_id", name=op.f("pk_signals")),
    )


def create_accounts() -> None:
    op.create_table(
        "paper_accounts",
        sa.Column("configuration_id", sa.String(80), nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("first_candle", UTC, nullable=False),
        sa.Column("through", UTC),
        sa.Column("position", JSON),
        sa.Column("trades", sa.Integer(), nullable=False),
        sa.Column("equity", sa.Double(), nullable=False),
        sa.Column("called", sa.Integer(), nullable=False),
        sa.Column("called_equity", sa.Double(), nullable=False),
        sa.Column("difference", sa.Text()),
        sa.Column("checked_at", UTC),
        sa.Column("checked_through", UTC),
        sa.ForeignKeyConstraint(
            ["configuration_id"],
            ["trained_configurations.id"],
            name=op.f("fk_paper_accounts_configuration_id_trained_configurations"),
        ),
        sa.PrimaryKeyConstraint("configuration_id", name=op.f("pk_paper_accounts")),
    )
    op.create_table(
        "paper_trades",
        sa.Column("configuration_id", sa.String(80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        *(
            sa.Column(f"{name}_at", UTC, nullable=False)
            for name in ("setup", "signal", "entry", "exit")
        ),
        sa.Column("entry", sa.Double(), nullable=False),
        sa.Column("exit", sa.Double(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("ret", sa.Double(), nullable=False),
        sa.Column("stop", sa.Double()),
        sa.Column("target", sa.Double()),
        sa.Column("booked_at", UTC, nullable=False),
        sa.Column("called", sa.Boolean(), nullable=False),
        of_account("paper_trades"),
        sa.PrimaryKeyConstraint("configuration_id", "number", name=op.f("pk_paper_trades")),
    )
    op.create_table(
        "paper_days",
        sa.Column("configuration_id", sa.String(80), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("ret", sa.Double(), nullable=False),
        sa.Column("equity", sa.Double(), nullable=False),
        of_account("paper_days"),
        sa.PrimaryKeyConstraint("configuration_id", "day", name=op.f("pk_paper_days")),
    )


def of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["configuration_id"],
        ["paper_accounts.configuration_id"],
        name=op.f(f"fk_{table}_configuration_id_paper_accounts"),
    )


def create_events() -> None:
    op.create_table(
        "live_events",
        sa.Column("id", COUNTER, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("configuration_id", sa.String(80)),
        sa.Column("market", sa.String()),
        sa.Column("candle", UTC),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["configuration_id"],
            ["trained_configurations.id"],
            name=op.f("fk_live_events_configuration_id_trained_configurations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_events")),
    )
    op.create_index(
        op.f("ix_live_events_configuration_id_id"), "live_events", ["configuration_id", "id"]
    )
    op.create_index(op.f("ix_live_events_at"), "live_events", ["at"])


def create_notices() -> None:
    op.create_table(
        "notice_targets",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("due_at", UTC, nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_notice_targets")),
    )
    op.create_table(
        "notice_marks",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("since", UTC, nullable=False),
        sa.ForeignKeyConstraint(
            ["target"],
            ["notice_targets.target"],
            name=op.f("fk_notice_marks_target_notice_targets"),
        ),
        sa.PrimaryKeyConstraint("target", "kind", name=op.f("pk_notice_marks")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", COUNTER, nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("due_at", UTC),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", UTC),
        sa.Column("error", sa.Text()),
        sa.Column("body", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["target"], ["notice_targets.target"], name=op.f("fk_deliveries_target_notice_targets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index(
        "uq_deliveries_target_source_event_id",
        "deliveries",
        ["target", "source", "event_id"],
        unique=True,
    )
    op.create_index(op.f("ix_deliveries_target_due_at"), "deliveries", ["target", "due_at"])
    # By these a sender finds what is new.
    op.create_index(op.f("ix_configuration_events_at"), "configuration_events", ["at"])
    op.create_index(
        "ix_job_events_of_status_at",
        "job_events",
        ["at"],
        sqlite_where=sa.text("kind = 'status'"),
        postgresql_where=sa.text("kind = 'status'"),
    )
