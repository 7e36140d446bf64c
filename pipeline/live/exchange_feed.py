"""Follow the candles of an exchange: one request a candle, after the first load.

A candle that was seen stays as it was seen. Coarse candles are built of finer ones where
``data.resample_from`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpu_engine import Candles, Float
from pipeline.config import CcxtData, FileData, MarketConfig, moment
from pipeline.errors import BannedError, Note, UnreachableError
from pipeline.live.clients import Clients, Clock, now_ms
from pipeline.live.feed import Feed, FileFeed, Revision
from pipeline.market_data.exchange.connection import CLOCK_ERROR_MS, Backoff, Connection
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt, settled
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import (
    COLUMNS,
    RawCandles,
    Span,
    clipped,
    concatenate,
    first_of_each,
    united,
)
from pipeline.market_data.resample import resampled
from pipeline.market_data.sources import check_quality, load_funding
from pipeline.market_data.store.store import Page, candle_path, load, locked, save
from pipeline.market_data.timeframe import timeframe_ms

if TYPE_CHECKING:
    import ccxt

#: Milliseconds after the close of a candle at which it is asked for first, and between two tries
#: where it is not there yet: they double up to the longest.
ASK_AFTER_MS, AGAIN_AFTER_MS, LONGEST_PAUSE_MS = 250, 2_000, 60_000

#: Fine candles back from the newest one among which a hole is asked for once more after a start:
#: every exchange serves so many.
RECENT = 360


def feed_of(
    market: MarketConfig,
    data: CcxtData | FileData,
    first_ms: int,
    note: Note,
    clock: Clock = now_ms,
    clients: Clients | None = None,
) -> Feed:
    """Make the feed of a market from a first candle on; nothing is still loading."""
    whole = data.model_copy(update={"since": moment(first_ms), "until": None, "history": None})
    if isinstance(whole, CcxtData):
        return ExchangeFeed(market, whole, note, clock, clients or Clients())
    return FileFeed(market, whole, note, clock)


class _Fetched(NamedTuple):
    """Candles as an exchange gave them, and the time for which they are all there are.

    What is missing before ``settled_ms``, the exchange no longer serves: candles that are built
    leave it out, as those of a training do.
    """

    raw: RawCandles
    answered: tuple[Span, ...]
    settled_ms: int

    def hole(self) -> int | None:
        """Return the open of the first candle that is not there and may still come."""
        gaps = pairwise(self.answered)
        return next((end for (_, end), (start, _) in gaps if start > self.settled_ms), None)

    def with_rows(self, rows: Float, answered: tuple[Span, ...]) -> _Fetched:
        """Add rows; a candle that was seen stays as it was seen."""
        raw = first_of_each(concatenate([self.raw, RawCandles.of(rows)], RawCandles))
        return self._replace(raw=raw, answered=united((*self.answered, *answered)))


class ExchangeFeed(Feed):
    """Candles of an exchange: one request a candle, after the first load.

    Coarse candles that are built from finer ones end before one that lacks a fine candle which may
    still come (`settled`): the exchange is asked for it again, at least once a minute.
    """

    def __init__(
        self, market: MarketConfig, data: CcxtData, note: Note, clock: Clock, clients: Clients
    ) -> None:
        assert market.exchange.ccxt_id is not None, "generated candles have no feed"
        super().__init__(market, note)
        self._data = data
        self.exchange = market.exchange.ccxt_id
        self._clock, self._clients = clients.clock(self.exchange, clock), clients
        self.timeframe = data.resample_from or market.timeframe
        self.step, self.built_step = timeframe_ms(self.timeframe), timeframe_ms(market.timeframe)
        self.is_built = self.step != self.built_step
        self._fetched: _Fetched | None = None
        self._connection: Connection | None = None
        self._pause_ms = AGAIN_AFTER_MS
        self._fresh: list[Page] = []

    @property
    def ahead_ms(self) -> int:
        """How far the exchange's clock is ahead of this machine's, milliseconds."""
        return self._clock.ahead_ms

    def load(self) -> None:
        """Take all candles from the store, and fetch what it lacks.

        What has closed by now the exchange's clock says, if the exchange answers.

        Raises
        ------
        UserError
            As `pipeline.market_data.exchange.fetching.fetch_ccxt`.
        """
        self._ask_clock()
        since, until = self._data.span_ms(self._clock.now())
        request = CandleRequest(
            self.exchange,
            self.market.pair,
            self.timeframe,
            -(-since // self.built_step) * self.built_step,
            until,
            self._data.kraken,
            self._data.archive,
        )
        fetched = fetch_ccxt(
            request,
            self._data.store,
            on_note=self._note,
            client=self._client(),
            network=self._data.network,
        )
        settled_ms = self._clock.now() - max(CLOCK_ERROR_MS, RECENT * self.step)
        known, pages = _Fetched(fetched.raw, fetched.answered, settled_ms), list[Page]()
        if self.is_built and (hole := known.hole()) is not None:
            known, pages = self._asked(known, hole)
        self._go_on(known, self._clock.ours())
        self._fresh += pages

    def advance(self, now: int) -> bool:
        """Ask for the candles that have closed since the newest one.

        Raises
        ------
        UserError
            As `load`; the next try is later each time.
        """
        self._put_off(now)
        if self._fetched is None:
            self.load()
            return True
        following = int(self._fetched.raw.timestamp[-1]) + self.step
        hole = self._fetched.hole() if self.is_built else None
        fetched, pages = self._asked(self._fetched, following if hole is None else hole)
        if not pages and not self._payments.until:
            return False
        before = int(self.candles.timestamp[-1])
        self._go_on(fetched, now)
        self._fresh += pages
        return int(self.candles.timestamp[-1]) != before

    def persist(self) -> None:
        """Put the candles that came into the store; what it has of their time stays."""
        fresh = list(self._fresh)  # meanwhile `advance` may add to it
        if not fresh:
            return
        path = candle_path(Path(self._data.store), self.exchange, self.market.pair, self.timeframe)
        with locked(path, self._note) as writable:
            if writable:
                stored = load(path, writable)
                for rows, span in fresh:
                    new = rows[~np.isin(rows[:, 0], stored.rows.timestamp)]
                    stored = stored.add([(new, span)])
                save(path, stored, "through ccxt")
        del self._fresh[: len(fresh)]

    def revisions(self, since_ms: int) -> Iterator[Revision]:
        """Ask for the candles since a time again, and yield those that are other ones now.

        Raises
        ------
        UserError
            As `load`.
        """
        assert self._fetched is not None, "load comes first"
        raw = self._fetched.raw
        seen = raw.take(raw.timestamp >= since_ms)
        start, end = since_ms, int(raw.timestamp[-1]) + self.step
        now: dict[int, tuple[float, ...]] = {}
        while start < end:
            rows = self._connected().candles_from(start, self.step)
            rows = rows[rows[:, 0] < end]
            if not len(rows):
                break
            now |= {int(row[0]): tuple(row[1:].tolist()) for row in rows}
            start = int(rows[-1, 0]) + self.step
        before = {
            int(seen.timestamp[i]): tuple(float(getattr(seen, name)[i]) for name in COLUMNS[1:])
            for i in range(len(seen))
        }
        for opened in sorted(before.keys() | now.keys()):
            if before.get(opened) != now.get(opened):
                yield Revision(opened, before.get(opened), now.get(opened))

    def _client(self) -> ccxt.Exchange:
        return self._clients.of(self.exchange, self.market.perpetual, self._data.network)

    def _connected(self) -> Connection:
        """Return the open connection; the markets and the clock are asked for once."""
        if self._connection is None:
            client = self._client()
            backoff = Backoff(attempts=1)
            connection = Connection(
                client,
                self.market.pair,
                self.timeframe,
                backoff,
                self._note,
                kept="It is asked again",
                network=self._data.network,
            )
            connection.check_market()
            self._clock.ask(connection)
            self._connection = connection
        return self._connection

    def _ask_clock(self) -> None:
        """Ask for the exchange's clock; where it does not answer, this machine's stands in."""
        try:
            self._connected()
        except BannedError:
            raise
        except UnreachableError:
            return

    def _asked(self, fetched: _Fetched, start: int) -> tuple[_Fetched, list[Page]]:
        """Ask for what has closed from ``start`` on; return all there is then, and what came."""
        rows = self._closed(self._connected(), start)
        if not len(rows):
            return fetched, []
        span = start, int(rows[-1, 0]) + self.step
        pages = list(settled(rows, span, self.step, self._clock.now()))
        return fetched.with_rows(rows, tuple(span for _, span in pages)), pages

    def _closed(self, connection: Connection, start: int) -> Float:
        """Ask for the closed candles from ``start`` on; a hole is asked for twice."""

        def ask() -> Float:
            rows = connection.candles_from(start, self.step)
            now = self._clock.of_answer(connection)
            closed: Float = rows[(rows[:, 0] >= start) & (rows[:, 0] + self.step <= now)]
            return closed

        def is_whole(rows: Float) -> bool:
            last = start + self.step * (len(rows) - 1)
            return len(rows) == 0 or bool(rows[-1, 0] == last)

        return replace(connection, backoff=Backoff(attempts=3, first_s=0.2)).steadily(
            ask, is_whole, lambda rows: rows[:, 0]
        )

    def _go_on(self, fetched: _Fetched, now: int) -> None:
        """Have what was fetched from now on; ask again soon where a candle waits for a part."""
        self._take(self._laid(fetched))
        self._fetched = fetched
        if not self._payments.until and self._complete(fetched) is None:
            self._schedule(now, int(fetched.raw.timestamp[-1]))

    def _complete(self, fetched: _Fetched) -> int | None:
        """Return where coarse candles end that lack no fine one; None where all that closed do."""
        hole = fetched.hole() if self.is_built else None
        closed = (int(fetched.raw.timestamp[-1]) + self.step) // self.built_step * self.built_step
        return hole if hole is not None and hole < closed else None

    def _laid(self, fetched: _Fetched) -> Candles:
        """Lay rows on their grid; `UserError` where the candles are broken."""
        raw = fetched.raw
        if self.is_built:
            end = self._complete(fetched)
            answered = fetched.answered if end is None else clipped(fetched.answered, (0, end))
            raw = resampled(raw, self.step, self.built_step, answered)
        candles, report = make_regular(raw, self.market.timeframe, self.market.id)
        check_quality(report, self._data)
        if not self.market.perpetual:
            return candles
        # What was paid is asked for once an hour, and while it is late.
        history, now = None, self._clock.now()
        if not self._payments.are_known(candles):
            history = load_funding(self.market, self._data, candles, self._note, now=now)
        return self._payments.laid(candles, history, now)

    def _schedule(self, now: int, newest: int) -> None:
        """Ask again when the next candle has closed, by the exchange's clock."""
        self._pause_ms = AGAIN_AFTER_MS
        following = newest + 2 * self.step
        if self.is_built:
            following = -(-following // self.built_step) * self.built_step
        self.due_ms = max(following - self._clock.ahead_ms + ASK_AFTER_MS, now)

    def _put_off(self, now: int) -> None:
        """Ask later where nothing comes of the next question."""
        self.due_ms = now + self._pause_ms
        self._pause_ms = min(2 * self._pause_ms, LONGEST_PAUSE_MS)
