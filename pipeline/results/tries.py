"""Read which searches of a market were asked for, whatever became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from pipeline.results.damage import read_rows
from pipeline.results.models import TrainingJob
from pipeline.results.patience import Tables, waits
from pipeline.results.records import Status

#: States of a job whose result somebody has seen, or will see.
_COUNTED: tuple[Status, ...] = ("pending", "running", "completed")


@dataclass(frozen=True)
class Try:
    """A search as its job's row has it; ``data`` is that part of its configuration."""

    market: str
    strategy: str
    config_hash: str
    seed: int
    created_at: datetime
    status: Status
    data: Mapping[str, Any]


class Tries(Tables):
    """Searches of one database; `pipeline.results.database.Repository` makes it."""

    @waits
    def of(self, markets: Sequence[str], limit: int) -> list[Try]:
        """Read the newest searches of markets, named as ``binance:BTC/USDT:5m``.

        One that failed or was cancelled has found nothing and is not among them; what cannot be
        read neither.
        """
        row = TrainingJob
        query = (
            select(
                *(row.market, row.strategy, row.config_hash, row.seed, row.created_at, row.status),
                row.config,  # whole: SQLite refuses the query for one row whose JSON it cannot read
            )
            .where(row.market.in_(markets), row.status.in_(_COUNTED))
            .order_by(row.created_at.desc(), row.id)
            .limit(limit)
        )
        with self._sessions() as session:
            return list(read_rows(session, query, row, _try))


def _try(row: Row[Any]) -> Try:
    read = tuple(row)
    return Try(*(*read[:-1], dict(read[-1]).get("data") or {}))
