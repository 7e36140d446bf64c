"""Count the stored searches of a market that looked at the same days as another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.results.damage import UNREADABLE
from pipeline.results.jsonable import loads


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
