"""Add what a sweep's markets came to together, and the p-value of each against surrogates.

Sweeps of before have neither: both are null.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("sweeps", sa.Column("pooled", JSON))
    op.add_column("sweep_markets", sa.Column("surrogate_p", sa.Double()))
