"""Follow the candles of one market: all that is stored once, then each candle as it closes.

A candle that was seen stays as it was seen: the exchange is asked for what follows it, and once a
day what it says of the day before is compared (`Feed.revisions`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gpu_engine import Candles
from pipeline.config import CcxtData, FileData, MarketConfig, milliseconds
from pipeline.errors import Note
from pipeline.live.clients import Clock
from pipeline.market_data.funding import HOUR_MS, FundingHistory
from pipeline.market_data.sources import load_candles
from pipeline.market_data.timeframe import utc

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


class Payments:
    """What a followed contract pays.

    A payment belongs to the candle that opens then: the one that closes then does not have it yet.
    While it is late the candles end before it: what stands in would be booked. After
    `PAYMENT_WAIT_MS` it stands in.

    Attributes
    ----------
    until : int
        When the wait for a payment ends, milliseconds UTC; 0 where none is late.
    """

    def __init__(self, market: str, note: Note) -> None:
        self._market, self._note = market, note
        self._late: int | None = None
        self._history: FundingHistory | None = None
        self._hour = self.until = 0

    def are_known(self, candles: Candles) -> bool:
        """Whether the payments of before do for these candles: new ones fall on hours."""
        return int(candles.timestamp[-1]) // HOUR_MS == self._hour and not self.until

    def laid(self, candles: Candles, history: FundingHistory | None, now: int) -> Candles:
        """Return candles with what was paid, up to the first whose payment may still come.

        Without a ``history`` it is that of before.
        """
        history = history or self._history
        assert history is not None, "nothing is known before the first"
        self._history, self._hour = history, int(candles.timestamp[-1]) // HOUR_MS
        late = history.overdue(int(candles.timestamp[-1]))
        ends = 0 if late is None else late + PAYMENT_WAIT_MS
        before, self.until = (self._late, self.until), ends if now < ends else 0
        self._late = late
        candles = replace(candles, funding=history.funding)
        if late is None:
            return candles
        if before != (late, self.until):
            self._note(f"{self._market}: the payment of {utc(late)} {self._said(history, late)}.")
        if not self.until:
            return candles
        return candles.cut(0, int(np.searchsorted(candles.timestamp, late)))

    def _said(self, history: FundingHistory, late: int) -> str:
        if self.until:
            return "is not listed yet: its candle waits"
        if late in history.funding.timestamp:
            return "is not listed in time: a rate stands in"
        return "is not listed in time: none is charged"


class Feed(ABC):
    """Candles of one market.

    ``due_ms`` is when `advance` may bring more, by this machine's clock; ``edition`` becomes
    another one when candles that were there are other ones now: what was computed of them holds no
    more.
    """

    def __init__(self, market: MarketConfig, note: Note) -> None:
        self.market, self._note = market, note
        self.due_ms = self.edition = 0
        self._payments = Payments(market.id, note)
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

    @property
    def ahead_ms(self) -> int:
        """How far the clock of its source is ahead of this machine's, milliseconds.

        What its candles and their orders are late by is counted on that clock.
        """
        return 0

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


class FileFeed(Feed):
    """Candles of a file that somebody else appends to."""

    def __init__(self, market: MarketConfig, data: FileData, note: Note, clock: Clock) -> None:
        super().__init__(market, note)
        self._data, self._clock = data, clock
        self._state: list[tuple[str, int, int]] = []

    def load(self) -> None:
        """Read the file."""
        state = self._look()
        loaded = load_candles(self.market, self._data, lambda n: None, self._note, growing=True)
        candles = loaded.candles
        if loaded.funding is not None:
            candles = self._payments.laid(candles, loaded.funding, self._clock())
        self._take(candles)
        self._state = state  # of a file that cannot be read nothing is known: it is read again

    def advance(self, now: int) -> bool:
        """Read the file again where it has changed, and where a payment is waited for no more."""
        self.due_ms = now + LOOK_AGAIN_MS
        is_over = 0 < self._payments.until <= now
        if self._candles is not None and not is_over and self._look() == self._state:
            return False
        before = None if self._candles is None else int(self._candles.timestamp[-1])
        self.load()
        return int(self.candles.timestamp[-1]) != before

    def persist(self) -> None:
        """Do nothing: the file is where they are kept."""

    def revisions(self, since_ms: int) -> Iterator[Revision]:
        """Yield nothing: a file says what it says."""
        yield from ()

    def _look(self) -> list[tuple[str, int, int]]:
        """Return name, time and size of its files, candles and payments; of a folder those in it.

        A file that is not there, or goes away meanwhile, is left out.
        """
        state = []
        for path in map(Path, filter(None, (self._data.path, self._data.funding))):
            with suppress(OSError):
                for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                    found = file.stat()
                    state.append((str(file), found.st_mtime_ns, found.st_size))
        return state
