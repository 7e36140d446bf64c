"""What happens to a stored configuration: an event a row."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
STAGES = "('DECAY', 'PAPER', 'DISCOVERY', 'VALIDATION', 'MATURE')"


def upgrade() -> None:
    op.create_table(
        "configuration_events",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("configuration_id", sa.String(80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("from_stage", sa.String(), nullable=False),
        sa.Column("to_stage", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("figures", JSON, nullable=False),
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
    )
    op.create_index(
        op.f("ix_configuration_events_configuration_id_at"),
        "configuration_events",
        ["configuration_id", "at"],
    )
