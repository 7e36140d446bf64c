"""Fetch what the store lacks of a span: months of an archive, then pages, kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from gpu_engine import DAY_MS
from pipeline.market_data.exchange.connection import Connection
from pipeline.market_data.exchange.month_archives import WORTH_BARS, MonthArchive
from pipeline.market_data.raw import COLUMNS, Span
from pipeline.market_data.store.store import Page, StoredCandles
from pipeline.market_data.timeframe import timeframe_ms

#: Takes (bars answered, bars asked): what the store has before the first page, then after each one.
BarProgress = Callable[[int, int], None]

#: Asks for a span in milliseconds, given the step and the exchange's time, page by page.
PageSource = Callable[[Connection, Span, int, int], Iterator[Page]]

#: Takes what the store shall be, and where the new candles come from.
Keep = Callable[[StoredCandles, str], None]

#: Candles that are asked for in turn, the coarsest first, and their length.
COARSE = {"1w": 7 * DAY_MS, "1d": DAY_MS}


class Method(NamedTuple):
    """A way to get candles: pages of a span, how many of them a kill may lose, and its name.

    ``windowed`` says that an answer may be of a window alone, so that an empty one tells nothing.
    """

    pages: PageSource
    pages_per_save: int
    name: str
    windowed: bool


@dataclass
class Missing:
    """The part of a span that a store lacks, while it is fetched.

    Attributes
    ----------
    connection : Connection
    method : Method
        How the exchange is asked.
    stored : StoredCandles
        What the store has, with what came.
    span : Span
        Half-open, open times in milliseconds; it has ended.
    now : int
        The exchange's clock, milliseconds.
    keep : callable
    on_progress : callable or None
    """

    connection: Connection
    method: Method
    stored: StoredCandles
    span: Span
    now: int
    keep: Keep
    on_progress: BarProgress | None
    _unsaved: list[Page] = field(default_factory=list)
    _done: int = 0
    _total: int = 0

    @property
    def _step(self) -> int:
        return timeframe_ms(self.connection.timeframe)

    @property
    def _source(self) -> str:
        return f"{self.connection.client.id} {self.method.name}"

    def fetch(
        self, archive: MonthArchive | None, *, archive_only: bool, all_there_is: bool
    ) -> StoredCandles:
        """Fetch all of it, of ``archive`` what it has; return what the store then has.

        What came before a failure is kept.
        """
        try:
            if not archive_only and (archive is not None or all_there_is):
                self._find_beginning(archive)
            self._begin_progress()
            if archive is not None:
                self._fetch_months(archive, 1 if archive_only else WORTH_BARS)
            if not archive_only:
                self._fetch_pages()
        finally:
            self._save()
        return self.stored

    def _find_beginning(self, archive: MonthArchive | None) -> None:
        """Take the first page of a long part: months before the first candle are in no archive.

        Where an exchange without an archive answers for windows, the empty time is answered too.
        """
        start, end = next(iter(self.stored.missing(*self.span)), (0, 0))
        if end - start < WORTH_BARS * self._step:
            return
        first = start
        if self.method.windowed and not archive:
            first = empty_until(self.connection, (start, end), self._step)
        page = next(self.method.pages(self.connection, (first, end), self._step, self.now), None)
        if page is not None:
            nothing = [(np.empty((0, len(COLUMNS))), (start, first))] if first > start else []
            self._unsaved += [*nothing, page]
            self._save()

    def _begin_progress(self) -> None:
        """Count the bars of the span, without the time before the market's first candle."""
        start, end = self.span
        first = self.stored.between(start, end).timestamp[:1].tolist()
        if first and not self.stored.missing(start, first[0]):
            start = first[0]
        self._total = (end - start) // self._step
        lacking = sum(after - before for before, after in self.stored.missing(*self.span))
        self._done = self._total - lacking // self._step
        self._tell(0)

    def _fetch_months(self, archive: MonthArchive, least_bars: int) -> None:
        for part in self.stored.missing(*self.span):
            for month in archive.months(part, least_bars):
                self.stored = self.stored.add([month.page])
                self.keep(self.stored, month.source)
                start, end = month.page[1]
                self._tell((end - start) // self._step)

    def _fetch_pages(self) -> None:
        for first, after in self.stored.missing(*self.span):
            before, times = first - self._step, self.stored.rows.timestamp
            # An answer that begins with the candle before a hole shows that it is one.
            inside = self.method.windowed and np.isin((before, after), times).all()
            part = (before if inside else first, after)
            for rows, (start, end) in self.method.pages(
                self.connection, part, self._step, self.now
            ):
                self._unsaved.append((rows[rows[:, 0] >= first], (max(start, first), end)))
                if len(self._unsaved) == self.method.pages_per_save:
                    self._save()
                self._tell((end - max(start, first)) // self._step)

    def _save(self) -> None:
        if self._unsaved:
            self.stored, self._unsaved = self.stored.add(self._unsaved), []
            self.keep(self.stored, self._source)

    def _tell(self, bars: int) -> None:
        self.connection.check_stop()
        self._done += bars
        if self.on_progress:
            self.on_progress(self._done, self._total)


def empty_until(connection: Connection, span: Span, step_ms: int) -> int:
    """Return a time of the span before which the market has no candle: its start where one is.

    Binance begins its answer with the first candle that it has. OKX, Bybit and others answer for
    the time of one page from the start that is asked for, and with nothing where no candle is in
    it. Weeks and days are asked for there, window after window without a gap: a few requests prove
    that nothing was traded before.

    Parameters
    ----------
    connection : Connection
    span : (int, int)
        Half-open, open times in milliseconds.
    step_ms : int
        Length of a candle.
    """
    start, end = span
    if len(connection.candles_from(start, step_ms)):
        return start
    for timeframe, length in COARSE.items():
        if length > step_ms and timeframe in (connection.client.timeframes or {}):
            first = _first(connection, timeframe, length, (start, end))
            # A day is not everywhere that of UTC.
            start = max(start, min(first - DAY_MS, end) // step_ms * step_ms)
    return start


def _first(connection: Connection, timeframe: str, length: int, span: Span) -> int:
    """Open time of the first candle of a coarser timeframe, or the end of the span."""
    client, symbol, page = connection.client, connection.symbol, connection.page
    start, end = span
    while start < end:
        rows = connection.ask(partial(client.fetch_ohlcv, symbol, timeframe, start, page))
        times = np.array([row[0] for row in rows], dtype=np.int64)
        if (times >= start).any():
            return int(times[times >= start].min())
        start += page * length
    return end
