"""Let configurations be sorted by every column of their list."""

import json
import math

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STAGES = ("DECAY", "PAPER", "DISCOVERY", "VALIDATION", "MATURE")
TABLE = "trained_configurations"
FILTERS = ("lifecycle_stage", "exchange", "pair", "timeframe", "strategy", "synthetic", "is_active")
KEYS = ("max_drawdown", "fdr_q_value", "market", "stage_rank", "optimizer", "seed", "first_day")


def upgrade() -> None:
    for column in (
        sa.Column("max_drawdown", sa.Double()),
        sa.Column("fdr_q_value", sa.Double()),
        sa.Column("market", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("stage_rank", sa.Integer(), server_default="0", nullable=False),
        sa.Column("optimizer", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("seed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_day", sa.String(), server_default=sa.text("''"), nullable=False),
    ):
        op.add_column(TABLE, column)
    for key in KEYS:
        op.create_index(f"ix_{TABLE}_by_{key}", TABLE, [key, "id", *FILTERS])
    if op.get_context().dialect.name == "postgresql":
        for name in ("max_drawdown", "fdr_q_value"):
            order = [sa.text(f"{name} DESC NULLS LAST"), sa.text("id DESC")]
            op.create_index(f"ix_{TABLE}_by_{name}_descending", TABLE, [*order, *FILTERS])
    if not op.get_context().as_sql:
        fill(op.get_bind())


def fill(connection: sa.Connection) -> None:
    """Write the columns of what is stored already, from its documents."""
    documents = ("out_of_sample", "statistics", "gates", "provenance")
    told = [f"CAST({name} AS TEXT)" for name in documents]
    every = sa.text(
        f"SELECT {TABLE}.id, lifecycle_stage, optimizer_of_job, {', '.join(told)} FROM {TABLE}"
        " JOIN (SELECT id AS job, optimizer AS optimizer_of_job FROM training_jobs) jobs"
        f" ON jobs.job = {TABLE}.job_id"
    )
    write = sa.text(
        f"UPDATE {TABLE} SET max_drawdown = :max_drawdown, fdr_q_value = :fdr_q_value,"
        " market = exchange || ' ' || pair || ' ' || timeframe, stage_rank = :stage_rank,"
        " optimizer = :optimizer, seed = :seed, first_day = :first_day"
        " WHERE id = :id"
    )
    for identity, stage, optimizer, *texts in connection.execute(every).all():
        try:
            out_of_sample, statistics, gates, provenance = map(json.loads, texts)
            known = statistics | {gate["name"]: gate["value"] for gate in gates}
            values = {
                "max_drawdown": number(out_of_sample.get("max_drawdown")),
                "fdr_q_value": number(known.get("fdr_q_value")),
                "stage_rank": STAGES.index(stage),
                "seed": provenance.get("seed") or 0,
                "first_day": (provenance.get("first_candle") or "")[:10],
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a damaged row is sorted last or first, and its page says what is wrong
        connection.execute(write, {"id": identity, "optimizer": optimizer, **values})


def number(value: object) -> float | None:
    """Return a number that can be sorted by."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
