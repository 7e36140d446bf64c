"""Let a market of a sweep be cancelled."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME = "ck_sweep_markets_status"
ALLOWED = "status IN ('pending', 'running', 'done', 'failed', 'skipped', 'cancelled')"


def upgrade() -> None:
    with op.batch_alter_table("sweep_markets") as markets:  # SQLite copies the table
        markets.drop_constraint(op.f(NAME), type_="check")
        markets.create_check_constraint(op.f(NAME), ALLOWED)
