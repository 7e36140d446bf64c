"""Read which searches of a market were asked for, whatever became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_, select

from pipeline.results.damage import read_rows
from pipeline.results.models import TrainedConfiguration, TrainingJob
from pipeline.results.patience import Tables, waits
from pipeline.results.records import Status
from pipeline.results.searches import Search, search_of

#: States of a job that may store a configuration still.
_OPEN: tuple[Status, ...] = ("pending", "running")


@dataclass(frozen=True)
class Try:
    """A search as its job's row has it; ``data`` is that part of its configuration.

    ``search`` is what it stored: its candles and their days. It is None while it waits or runs.
    """

    market: str
    strategy: str
    config_hash: str
    seed: int
    created_at: datetime
    status: Status
    data: Mapping[str, Any]
    search: Search | None


class Tries(Tables):
    """Searches of one database; `pipeline.results.database.Repository` makes it."""

    @waits
    def of(self, markets: Sequence[str], limit: int) -> list[Try]:
        """Read the newest searches of markets, named as ``binance:BTC/USDT:5m``.

        They wait, run or stored a configuration (validation rules §3.5). What cannot be read is
        not among them.
        """
        row, stored = TrainingJob, TrainedConfiguration
        query = (
            select(
                *(row.market, row.strategy, row.config_hash, row.seed, row.created_at, row.status),
                row.config,  # whole: SQLite refuses the query for one row whose JSON it cannot read
                stored.provenance,
            )
            .select_from(row)
            .outerjoin(stored, stored.job_id == row.id)
            .where(row.market.in_(markets), or_(row.status.in_(_OPEN), stored.id.is_not(None)))
            .order_by(row.created_at.desc(), row.id)
            .limit(limit)
        )
        with self._sessions() as session:
            return list(read_rows(session, query, row, _try))


def _try(row: Row[Any]) -> Try:
    *read, config, provenance = list[Any](row)
    search = None if provenance is None else search_of(provenance)
    return Try(*[*read, dict(config).get("data") or {}, search])
