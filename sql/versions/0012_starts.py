"""Tell starts apart: of one start no second job waits or runs."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

IS_OPEN = sa.text("status IN ('pending', 'running')")


def upgrade() -> None:
    op.add_column("training_jobs", sa.Column("start_key", sa.String(64)))
    op.create_index(
        "uq_training_jobs_start",
        "training_jobs",
        ["start_key"],
        unique=True,
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    )
