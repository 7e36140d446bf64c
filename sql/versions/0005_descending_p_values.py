"""An index for the largest p-values first, unknown ones last, which PostgreSQL had to sort."""

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

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
    if op.get_context().dialect.name == "postgresql":  # SQLite's index serves both directions
        op.create_index(
            "ix_trained_configurations_by_p_value_descending",
            "trained_configurations",
            [text("p_value DESC NULLS LAST"), text("id DESC"), *FILTERS],
        )
