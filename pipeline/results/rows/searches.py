"""Read the searches of a market: those asked for, and those that looked at the days of another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_, select

from pipeline.results.access.outages import Tables, waits
from pipeline.results.damage import UNREADABLE, read_rows
from pipeline.results.jsonable import loads
from pipeline.results.records import Status
from pipeline.results.tables.models import TrainedConfiguration, TrainingJob

#: States of a job that may store a configuration still.
_OPEN: tuple[Status, ...] = ("pending", "running")


@dataclass(frozen=True)
class EarlierSearches:
    """How many other searches there were.

    ``uncounted`` are the ids of configurations of the market whose provenance cannot be read: what
    they looked at is not known.
    """

    count: int
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """What a stored search is told apart by (configuration, seed, candles), and its days."""

    identity: tuple[str, int, str]
    first: datetime
    last: datetime

    def looked_at(self, other: "Search", synthetic: bool) -> bool:
        """Tell whether two searches had days in common; generated candles are the same or not."""
        if synthetic:
            return self.identity[2] == other.identity[2]
        return self.first <= other.last and self.last >= other.first


def count_searches(
    rows: Iterable[tuple[str, str]], provenance: Mapping[str, Any], *, synthetic: bool
) -> EarlierSearches:
    """Count what differs from a search in configuration, seed or candles and looked at its days.

    Parameters
    ----------
    rows : iterable of (str, str)
        Id and provenance, as JSON, of the configurations of its market.
    provenance : mapping
        Of the search.
    """
    asked, uncounted = search_of(provenance), []
    searches = {asked.identity}
    for identity, text in rows:
        try:
            search = search_of(loads(text))
            if search.looked_at(asked, synthetic):
                searches.add(search.identity)
        except UNREADABLE:
            uncounted.append(identity)
    return EarlierSearches(len(searches) - 1, tuple(sorted(uncounted)))


def search_of(provenance: Mapping[str, Any]) -> Search:
    """Read what a search is told apart by, and its days; refuse what is no such thing."""
    config, seed, data = (provenance[name] for name in ("config_hash", "seed", "data_hash"))
    if not isinstance(config, str) or type(seed) is not int or not isinstance(data, str):
        raise TypeError("a hash is no text, or the seed no whole number")
    first, last = (datetime.fromisoformat(provenance[n]) for n in ("first_candle", "last_candle"))
    if first.tzinfo is None or last.tzinfo is None:
        raise ValueError("a time has no zone")
    return Search((config, seed, data), first, last)


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
