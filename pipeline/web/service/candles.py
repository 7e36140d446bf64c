"""Answer what the store of candles holds; nothing is fetched, and no text becomes a path."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from pipeline.config import milliseconds, moment
from pipeline.errors import NotFoundError, suggestion
from pipeline.market_data.store.inventory import (
    StoredMarket,
    figures,
    market_folders,
    stored_market,
    with_quality,
)
from pipeline.market_data.store.levels import StoredSeries, level_for, level_name
from pipeline.market_data.timeframe import TIMEFRAMES
from pipeline.report.candles import HOLES, panels, stored_days
from pipeline.report.theme import Figure
from pipeline.web.service.candle_models import CandleFilter, CandlePage, StoredCandles
from pipeline.web.service.charts import ChartCandles
from pipeline.web.service.fetches import Fetches, Imports

#: Markets that a refusal names.
NAMED = 12


class CandleSeries(NamedTuple):
    """Candles of a market; ``level`` in ms, None as they are stored."""

    id: str
    series: StoredSeries
    level: int | None
    level_name: str

    @property
    def tag(self) -> str:
        """What changes with the content."""
        return f"{self.series.tag}-{self.level_name}"


class CandleService:
    """Reads the store of candles; ``imports`` and ``fetches`` bring others into it.

    Parameters
    ----------
    store : Path
        Its folder.
    """

    def __init__(self, store: Path) -> None:
        self._store, self._measuring = store, Lock()
        self.imports = Imports(store)
        self.fetches = Fetches(store)

    def markets(self, query: CandleFilter) -> CandlePage:
        """Read a page of the markets that are stored; the footers of those alone are read."""
        asked = (query.exchange, query.pair, query.timeframe)
        folders = [
            folder
            for identity, folder in market_folders(self._store).items()
            if all(word in (None, part) for word, part in zip(asked, _parts(identity), strict=True))
        ]
        page = folders[query.offset : query.offset + query.limit]
        return CandlePage(
            candles=[StoredCandles(**figures(stored_market(folder))) for folder in page],
            total=len(folders),
            limit=query.limit,
            offset=query.offset,
        )

    def parts(self) -> dict[str, list[str]]:
        """Return the exchanges, pairs and timeframes of which candles are stored, each once."""
        ids = [_parts(identity) for identity in market_folders(self._store)]
        names = ("exchange", "pair", "timeframe")
        values = zip(*ids, strict=True) if ids else ((), (), ())
        return {name: list(dict.fromkeys(v)) for name, v in zip(names, values, strict=True)}

    def market(self, identity: str) -> StoredMarket:
        """Describe one market, month by month.

        Raises
        ------
        NotFoundError
            When none of its candles are stored.
        """
        folder = self._folder(identity)
        market = stored_market(folder)
        if market.quality is None:
            with self._measuring:  # ten years take 150 MB: one at a time, and who waited finds it
                market = with_quality(stored_market(folder))
        return market

    def picture(self, market: StoredMarket) -> Figure | None:
        """Draw its candles by day; None where it has none.

        Raises
        ------
        ConflictError
            When a month is damaged.
        """
        if not market.candles:
            return None
        step = TIMEFRAMES[market.timeframe]
        days = stored_days(StoredSeries(market.folder, step, (0, 2**62)), step)
        return panels(days, market.holes, HOLES)

    def chart(self, market: StoredMarket, span: tuple[int, int], most: int) -> ChartCandles:
        """Read the candles that touch a span, the shortest of which there are at most ``most``.

        Raises
        ------
        ConflictError
            When a month is damaged.
        """
        found = self.series(market.id, moment(span[0]), moment(span[1]), most)
        series, level = found.series, found.level
        if level is None:
            return ChartCandles(series.as_stored(0, len(series)), TIMEFRAMES[market.timeframe])
        return ChartCandles(series.at(level), level)

    def _folder(self, identity: str) -> Path:
        folders = market_folders(self._store)
        folder = folders.get(identity)
        if folder is None:
            raise NotFoundError(_unknown(identity, list(folders)))
        return folder

    def series(
        self, identity: str, since: datetime | None, until: datetime | None, bars: int | None
    ) -> CandleSeries:
        """Find the candles of a market; ``bars`` joins them until there are at most so many.

        Raises
        ------
        NotFoundError
            When none of this market are stored: it names those that are.
        ConflictError
            When a month is damaged.
        """
        folder = self._folder(identity)
        step = TIMEFRAMES[folder.name]
        start = 0 if since is None else milliseconds(since)
        end = 2**62 if until is None else milliseconds(until)
        if bars is None:
            return CandleSeries(
                identity, StoredSeries(folder, step, (start, end)), None, folder.name
            )
        market = stored_market(folder)
        if market.first is not None and market.last is not None:
            start, end = max(start, market.first), min(end, market.last + step)
        level = level_for((start, max(start, end)), step, bars)
        span = (start // level * level, -(-end // level) * level)
        series, joined = StoredSeries(folder, step, span), None if level == step else level
        return CandleSeries(identity, series, joined, level_name(level))


def _parts(identity: str) -> tuple[str, str, str]:
    exchange, _, rest = identity.partition(":")
    pair, _, timeframe = rest.rpartition(":")
    return exchange, pair, timeframe


def _unknown(identity: str, stored: list[str]) -> str:
    if not stored:
        return "No candles are stored: scripts/fetch market=... fetches some."
    others = f" and {len(stored) - NAMED} more" if len(stored) > NAMED else ""
    return (
        f"No candles of this market are stored; those of {', '.join(stored[:NAMED])}{others} are."
        + suggestion(identity, stored)
    )
