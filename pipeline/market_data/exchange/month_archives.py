"""Fetch whole months of candles from the public archive of an exchange, each checked by its hash.

Binance publishes a zip for every month that is over, with the SHA-256 beside it
(https://github.com/binance/binance-public-data). A month of 5m candles is then two requests instead
of nine pages. What the archive lacks (the running month, time before the listing) and what it does
not give whole is left to the pages.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from pipeline.errors import Note, UserError
from pipeline.market_data.exchange.connection import impossible_rows
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.market_files import read_market_files
from pipeline.market_data.raw import COLUMNS, Span, clipped, uncovered
from pipeline.market_data.store.month import month_names, month_span
from pipeline.market_data.store.store import Page
from pipeline.market_data.timeframe import timeframe_ms

if TYPE_CHECKING:
    import requests

#: Whether candles come from the archive: where it saves requests, not at all, or from it alone.
ArchiveUse = Literal["auto", "never", "only"]

#: Where Binance keeps its archives; the environment variable names a mirror, empty there is none.
ADDRESS, VARIABLE = "https://data.binance.vision", "CANDLE_ARCHIVE"

#: ccxt's names of the exchanges that have an archive, and its folders of pairs and of perpetuals.
EXCHANGES = ("binance", "binanceusdm")
SPOT, PERPETUAL = "spot", "futures/um"

#: Months before this one are in no archive.
FIRST_MONTH = "2017-08"

#: Bars that the archive must save: those of as many pages as a month takes requests.
WORTH_BARS = 2_000

#: Bytes of a packed month: 1m candles take 3 MB. Seconds to connect, between two answers of the
#: network, and for a whole file.
LARGEST, CONNECT_S, SILENCE_S, WHOLE_S = 64 << 20, 5.0, 20.0, 120.0

#: Seconds before a file is asked for once more.
PAUSE_S = 1.0

#: Months that fail one after the other before the archive is asked for no more.
MOST_FAILURES = 2


class Month(NamedTuple):
    """The candles of a month, the span that they answer, and the file that they come from."""

    page: Page
    source: str


class BadFileError(Exception):
    """A file that came but cannot be used; its text is the reason."""


class _AwayError(Exception):
    """An archive that cannot be reached; its text is the reason."""


T = TypeVar("T")
A = TypeVar("A", bound="MonthArchive")


@dataclass(frozen=True)
class MonthArchive:
    """The archive of one market.

    Attributes
    ----------
    session : requests.Session
        The one that its exchange is asked with.
    address : str
        Without a slash at the end.
    folder : str
        ``spot`` or ``futures/um``.
    symbol : str
        ccxt's, such as ``BTC/USDT`` or ``BTC/USDT:USDT``.
    timeframe : str
    note : callable
        Takes a sentence about what the archive did not give.
    """

    session: requests.Session
    address: str
    folder: str
    symbol: str
    timeframe: str
    note: Note

    #: The end of every sentence about what the archive did not give.
    otherwise: ClassVar = " Its candles come by pages."

    @property
    def step_ms(self) -> int:
        """Milliseconds from one row to the next."""
        return timeframe_ms(self.timeframe)

    @property
    def pair(self) -> str:
        """The pair without the asset it is settled in."""
        return self.symbol.partition(":")[0]

    def months(self, missing: Span, least_bars: int = WORTH_BARS) -> Iterator[Month]:
        """Fetch the months that are over and lie in ``missing``, oldest first.

        Parameters
        ----------
        missing : Span
            Half-open, open times in milliseconds; it has ended.
        least_bars : int
            Of a month with fewer missing bars nothing is fetched.

        Yields
        ------
        Month
            Its candles in ``missing``, which are all there are in the span that they answer.
        """
        failures = 0
        for name in month_names(np.empty(0, np.int64), [missing]):
            wanted = clipped([month_span(name)], missing)[0]
            bars = (wanted[1] - wanted[0]) // self.step_ms
            # The archive of a month that is not over does not exist.
            if bars < least_bars or wanted[1] < month_span(name)[1] or name < FIRST_MONTH:
                continue
            try:
                month = self._month(name, wanted)
            except _AwayError as error:
                self.note(f"The archive {self.address} cannot be used ({error}).{self.otherwise}")
                return
            except BadFileError as error:
                failures += 1
                self.note(
                    f"{self._file(name)} of the archive cannot be used ({error}).{self.otherwise}"
                )
                if failures == MOST_FAILURES:
                    self.note(f"{failures} files in a row: the archive is asked no more.")
                    return
                continue
            failures = 0
            if month is not None:
                yield month

    def _month(self, name: str, wanted: Span) -> Month | None:
        """Fetch a month, a second time where the first went wrong; None where there is no file."""
        try:
            return self._attempt(name, wanted)
        except BadFileError:
            time.sleep(PAUSE_S)
            return self._attempt(name, wanted)

    def _attempt(self, name: str, wanted: Span) -> Month | None:
        file = self._file(name)
        content = self._get(file)
        if content is None:
            return None
        checksum = self._get(f"{file}.CHECKSUM")
        if checksum is None:
            raise BadFileError("it has no checksum")
        if checksum.decode("utf-8", "replace").split()[:1] != [hashlib.sha256(content).hexdigest()]:
            raise BadFileError("it is not what its checksum describes")
        return Month(self._page(file, content, wanted, month_span(name)), f"archive {file}")

    def _page(self, file: str, content: bytes, wanted: Span, month: Span) -> Page:
        """Read the candles of a zip that lie in ``wanted``."""
        step = self.step_ms
        candles = self._read(
            file,
            content,
            lambda path: read_market_files(Request(path, "binance", self.symbol, self.timeframe)),
        )
        rows = np.column_stack([getattr(candles.raw, name) for name in COLUMNS])
        if impossible_rows(rows, step).any():
            raise BadFileError("a row of it cannot be a candle")
        if uncovered((int(rows[0, 0]), int(rows[-1, 0]) + step), [month]):
            raise BadFileError("it has candles of another month")
        inside = (rows[:, 0] >= wanted[0]) & (rows[:, 0] < wanted[1])
        answered = clipped(candles.answered, wanted)
        if not answered:
            raise BadFileError("it has no candle of the time that is missing")
        return rows[inside], (answered[0][0], answered[-1][1])

    def _read(self, file: str, content: bytes, read: Callable[[Path], T]) -> T:
        """Read what came as a file of its name."""
        with TemporaryDirectory(prefix="archive-") as folder:
            path = Path(folder, file)
            path.write_bytes(content)
            try:
                return read(path)
            except UserError as error:
                raise BadFileError(str(error).replace(f"{folder}/", "").rstrip(".")) from error

    def _file(self, month: str) -> str:
        return f"{self.pair.replace('/', '')}-{self.timeframe}-{month}.zip"

    def _place(self, file: str) -> str:
        pair = self.pair.replace("/", "")
        return f"data/{self.folder}/monthly/klines/{pair}/{self.timeframe}/{file}"

    def _get(self, file: str) -> bytes | None:
        """Ask for a file once; None where there is none."""
        import requests

        deadline = time.monotonic() + WHOLE_S
        content = bytearray()
        try:
            with self.session.get(
                f"{self.address}/{self._place(file)}", timeout=(CONNECT_S, SILENCE_S), stream=True
            ) as answer:
                if answer.status_code == 404:
                    return None
                if answer.status_code in (403, 451):
                    raise _AwayError(f"it answers with status {answer.status_code}")
                if answer.status_code != 200:
                    raise BadFileError(f"status {answer.status_code}")
                for chunk in answer.iter_content(1 << 16):
                    content += chunk
                    if len(content) > LARGEST:
                        raise BadFileError(f"it has over {LARGEST:,} bytes")
                    if time.monotonic() > deadline:
                        raise BadFileError(f"it did not come in {WHOLE_S:.0f} s")
        except requests.RequestException as error:
            reason = reason_of(error)
            # A connection that there was may be there again; one that never was will not.
            lost = isinstance(next(iter(error.args), None), ProtocolError | ReadTimeoutError)
            if isinstance(error, requests.ConnectionError) and not lost:
                raise _AwayError(reason) from error
            raise BadFileError(reason) from error
        return bytes(content)


def reason_of(error: Exception) -> str:
    """Name what stopped a request, in the words of the system where it has some."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return getattr(cause, "strerror", None) or type(cause).__name__


def archive_of(
    kind: type[A], session: requests.Session, exchange: str, symbol: str, timeframe: str, note: Note
) -> A | None:
    """Return the archive of a market; None where its exchange has none, or none is wanted."""
    address = os.environ.get(VARIABLE, ADDRESS).rstrip("/")
    if exchange not in EXCHANGES or not address:
        return None
    folder = PERPETUAL if ":" in symbol else SPOT
    return kind(session, address, folder, symbol, timeframe, note)
