"""Follow the candles of one market: all that is stored once, then each candle as it closes.

A candle that was seen stays as it was seen: the exchange is asked for what follows it, and once a
day what it says of the day before is compared (`ExchangeFeed.revisions`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpu_engine import Candles, Float, Funding
from pipeline.config import CcxtData, FileData, MarketConfig, milliseconds, moment
from pipeline.errors import Note
from pipeline.live.clients import Clients, Clock, ExchangeClock, now_ms
from pipeline.market_data.exchange.connection import Backoff, Connection
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt, settled
from pipeline.market_data.funding import HOUR_MS
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import COLUMNS, RawCandles, concatenate
from pipeline.market_data.resample import resampled
from pipeline.market_data.sources import check_quality, load_candles, load_funding
from pipeline.market_data.store.store import Page, candle_path, load, locked, save
from pipeline.market_data.timeframe import timeframe_ms, utc

if TYPE_CHECKING:
    import ccxt

#: Milliseconds after the close of a candle at which it is asked for first, and between two tries
#: where it is not there yet: they double up to the longest.
ASK_AFTER_MS, AGAIN_AFTER_MS, LONGEST_PAUSE_MS = 250, 2_000, 60_000

#: Milliseconds between two looks at a file.
LOOK_AGAIN_MS = 1_000

#: Milliseconds for which a candle waits for the payment that was due when it opened.
PAYMENT_WAIT_MS = HOUR_MS


class Revision(NamedTuple):
    """A candle that the exchange gives differently than it gave it when it closed."""

    opened_ms: int
    seen: tuple[float, ...] | None
    now: tuple[float, ...] | None

    def __str__(self) -> str:
        return f"{utc(self.opened_ms)}: {_row(self.seen)} became {_row(self.now)}"


def _row(row: tuple[float, ...] | None) -> str:
    return "no candle" if row is None else "/".join(f"{value:.10g}" for value in row)


def _continues(before: Candles, now: Candles) -> bool:
    """Whether candles begin with all that were there before, and their payments."""
    now = now.cut(0, len(before))
    columns = [(getattr(before, name), getattr(now, name)) for name in Candles.COLUMNS]
    if before.funding is not None and now.funding is not None:
        paid = before.funding.within(before.timestamp)
        columns += [(paid.timestamp, now.funding.timestamp), (paid.rate, now.funding.rate)]
    elif before.funding is not now.funding:
        return False
    return all(np.array_equal(one, other) for one, other in columns)


class Feed(ABC):
    """Candles of one market.

    ``due_ms`` is when `advance` may bring more; ``edition`` becomes another one when candles that
    were there are other ones now: what was computed of them holds no more.
    """

    def __init__(self, market: MarketConfig, note: Note) -> None:
        self.market, self._note = market, note
        self.due_ms = self.edition = 0
        self._candles: Candles | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether there are candles."""
        return self._candles is not None

    @property
    def candles(self) -> Candles:
        """All closed candles so far."""
        assert self._candles is not None, "load comes first"
        return self._candles

    def reaches(self, opened: datetime) -> bool:
        """Whether the candle that opened then is there: after a start it may be still loading."""
        return self.is_loaded and int(self.candles.timestamp[-1]) >= milliseconds(opened)

    def _take(self, candles: Candles) -> None:
        """Have these candles from now on; another edition where they do not continue the old."""
        if self._candles is not None and not _continues(self._candles, candles):
            self.edition += 1
        self._candles = candles

    @abstractmethod
    def load(self) -> None:
        """Load all there is by now; `UserError` where that fails."""

    @abstractmethod
    def advance(self, now: int) -> bool:
        """Ask for what has closed by now; tell whether a candle came."""

    @abstractmethod
    def persist(self) -> None:
        """Keep what came where it is kept."""

    @abstractmethod
    def revisions(self, since_ms: int) -> Iterator[Revision]:
        """Compare what was seen since with what its source says now."""


@dataclass(frozen=True)
class FeedKey:
    """What tells one feed from another: a market, and where its candles come from."""

    market: str
    data: str

    @classmethod
    def of(cls, market: MarketConfig, data: CcxtData | FileData) -> FeedKey:
        """Make the key of a configuration's candles, whatever span it was trained on."""
        plain = data.model_copy(update={"since": None, "until": None, "history": None})
        return cls(market.id, plain.model_dump_json())


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
    return FileFeed(market, whole, note)


class FileFeed(Feed):
    """Candles of a file that somebody else appends to."""

    def __init__(self, market: MarketConfig, data: FileData, note: Note) -> None:
        super().__init__(market, note)
        self._data = data
        self._state: list[tuple[int, int]] = []

    def load(self) -> None:
        """Read the file."""
        self._state = self._look()
        loaded = load_candles(self.market, self._data, lambda n: None, self._note, growing=True)
        self._take(loaded.candles)

    def advance(self, now: int) -> bool:
        """Read the file again where it has changed."""
        self.due_ms = now + LOOK_AGAIN_MS
        if self._candles is not None and self._look() == self._state:
            return False
        before = None if self._candles is None else int(self._candles.timestamp[-1])
        self.load()
        return int(self.candles.timestamp[-1]) != before

    def persist(self) -> None:
        """Do nothing: the file is where they are kept."""

    def revisions(self, since_ms: int) -> Iterator[Revision]:
        """Yield nothing: a file says what it says."""
        yield from ()

    def _look(self) -> list[tuple[int, int]]:
        """Return time and size of its files, candles and payments; fewer where one is not there."""
        state = []
        for path in filter(None, (self._data.path, self._data.funding)):
            with suppress(OSError):
                found = Path(path).stat()
                state.append((found.st_mtime_ns, found.st_size))
        return state


class ExchangeFeed(Feed):
    """Candles of an exchange: one request a candle, after the first load."""

    def __init__(
        self, market: MarketConfig, data: CcxtData, note: Note, clock: Clock, clients: Clients
    ) -> None:
        assert market.exchange.ccxt_id is not None, "generated candles have no feed"
        super().__init__(market, note)
        self._data = data
        self._clock, self._clients = ExchangeClock(clock), clients
        self.exchange = market.exchange.ccxt_id
        self.timeframe = data.resample_from or market.timeframe
        self.step, self.built_step = timeframe_ms(self.timeframe), timeframe_ms(market.timeframe)
        self._raw: RawCandles | None = None
        self._funding: tuple[int, Funding | None] = (0, None)
        self._late: int | None = None
        self._waits = False
        self._connection: Connection | None = None
        self._pause_ms = AGAIN_AFTER_MS
        self._fresh: list[Page] = []

    def load(self) -> None:
        """Take all candles from the store, and fetch what it lacks.

        Raises
        ------
        UserError
            As `pipeline.market_data.exchange.fetching.fetch_ccxt`.
        """
        now = self._clock.ours()
        since, until = self._data.span_ms(now)
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
        self._take(self._laid(fetched.raw))
        self._raw = fetched.raw
        if not self._waits:
            self._schedule(now)

    def advance(self, now: int) -> bool:
        """Ask for the candles that have closed since the newest one.

        Raises
        ------
        UserError
            As `load`; the next try is later each time.
        """
        self._put_off(now)
        if self._raw is None:
            self.load()
            return True
        connection = self._connected()
        start = int(self._raw.timestamp[-1]) + self.step
        rows = self._closed(connection, start)
        if not len(rows) and not self._waits:
            return False
        before = int(self.candles.timestamp[-1])
        raw = concatenate([self._raw, RawCandles.of(rows)], RawCandles) if len(rows) else self._raw
        self._take(self._laid(raw))
        self._raw = raw
        if len(rows):
            span = start, int(rows[-1, 0]) + self.step
            self._fresh += settled(rows, span, self.step, now + self._clock.ahead_ms)
        if not self._waits:
            self._schedule(now)
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
        assert self._raw is not None, "load comes first"
        seen = self._raw.take(self._raw.timestamp >= since_ms)
        start, end = since_ms, int(self._raw.timestamp[-1]) + self.step
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
            self._clock.ahead_ms = self._clients.ahead_ms(connection, self._clock.ours)
            self._connection = connection
        return self._connection

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

    def _laid(self, raw: RawCandles) -> Candles:
        """Lay rows on their grid; `UserError` where the candles are broken."""
        if self.step != self.built_step:
            span = int(raw.timestamp[0]), int(raw.timestamp[-1]) + self.step
            raw = resampled(raw, self.step, self.built_step, (span,))
        candles, report = make_regular(raw, self.market.timeframe, self.market.id)
        check_quality(report, self._data)
        if self.market.perpetual:
            candles = self._paid(candles)
        return candles

    def _paid(self, candles: Candles) -> Candles:
        """Return candles with what was paid: asked for once an hour, and while it is late.

        A payment falls on an hour, and belongs to the candle that opens then: the one that closes
        then does not have it yet. While it is late the candles end before it: what stands in would
        be booked. After `PAYMENT_WAIT_MS` it stands in.
        """
        newest = int(candles.timestamp[-1])
        if newest // HOUR_MS != self._funding[0] or self._waits:
            now = self._clock.ours() + self._clock.ahead_ms
            history = load_funding(self.market, self._data, candles, self._note, now=now)
            self._funding, late = (newest // HOUR_MS, history.funding), history.overdue(newest)
            before, self._waits = (self._late, self._waits), now < (late or 0) + PAYMENT_WAIT_MS
            self._late = late
            if late is not None and before != (late, self._waits):
                ends = "yet: its candle waits" if self._waits else "in time: a rate stands in"
                self._note(f"{self.market.id}: the payment of {utc(late)} is not listed {ends}.")
        candles = replace(candles, funding=self._funding[1])
        if self._waits and self._late is not None:
            candles = candles.cut(0, int(np.searchsorted(candles.timestamp, self._late)))
        return candles

    def _schedule(self, now: int) -> None:
        """Ask again when the next candle has closed, by the exchange's clock."""
        assert self._raw is not None, "rows come first"
        self._pause_ms = AGAIN_AFTER_MS
        following = int(self._raw.timestamp[-1]) + 2 * self.step
        if self.step != self.built_step:
            following = -(-following // self.built_step) * self.built_step
        self.due_ms = max(following - self._clock.ahead_ms + ASK_AFTER_MS, now)

    def _put_off(self, now: int) -> None:
        """Ask later where nothing comes of the next question."""
        self.due_ms = now + self._pause_ms
        self._pause_ms = min(2 * self._pause_ms, LONGEST_PAUSE_MS)
