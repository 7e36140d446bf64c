"""Ask an exchange for the funding history of a perpetual contract, and keep it in the store."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gpu_engine import Float
from pipeline.errors import Note, UnreachableError
from pipeline.market_data.exchange.connection import CLOCK_ERROR_MS, Backoff, Connection, new_client
from pipeline.market_data.exchange.month_archives import (
    ArchiveUse,
    BadFileError,
    MonthArchive,
    archive_of,
)
from pipeline.market_data.exchange.network import AS_USUAL, Network, new_session
from pipeline.market_data.files.funding import read_funding
from pipeline.market_data.funding import FUNDING, INTERVAL_MS, LARGEST_RATE
from pipeline.market_data.raw import RawFunding, Span, uncovered
from pipeline.market_data.store.month import month_names, month_span
from pipeline.market_data.store.store import Page, Stored, candle_path, load_rows, locked, save

if TYPE_CHECKING:
    import ccxt

#: What a person can do about funding that cannot be fetched.
IMPORT = (
    "What is missing is the funding of a perpetual contract: scripts/fetch market=... import=FILE"
    " stores it from a file whose name has funding in it (docs/perpetuals.md)."
)

#: Payments in one answer: what every exchange gives, and where more are known to be given.
PAGE, PAGES = 100, {"binance": 1_000, "binanceusdm": 1_000}

#: Where ccxt does not translate ``until``: what the exchange calls it.
UNTIL = {"okx": "after", "myokx": "after", "okxus": "after"}


def fetch_funding(
    exchange: str,
    symbol: str,
    span: Span,
    store_dir: str | Path,
    *,
    archive: ArchiveUse = "auto",
    on_note: Note | None = None,
    client: ccxt.Exchange | None = None,
    backoff: Backoff | None = None,
    network: Network = AS_USUAL,
) -> RawFunding:
    """Take the payments of a span from the store, and fetch the rest from the exchange.

    Parameters
    ----------
    exchange, symbol : str
        ccxt's names, such as ``binanceusdm`` and ``BTC/USDT:USDT``.
    span : (int, int)
        Half-open, milliseconds since the epoch, UTC.
    store_dir : path
        Where they are kept, beside the candles. One that may only be read stays as it is.
    archive : {"auto", "never", "only"}
        ``only`` takes whole months from the exchange's archive alone. Otherwise pages come from the
        exchange, which gives a year of payments in two: an archive would save nothing.
    on_note, client, backoff, network
        As in `pipeline.market_data.exchange.fetching.fetch_ccxt`.

    Returns
    -------
    RawFunding
        By time. An exchange that has no history of them gives what the store has.

    Raises
    ------
    UserError
        If the exchange refuses.
    UnreachableError
        If it does not answer after all attempts.
    """
    note = on_note or (lambda _: None)
    path = candle_path(Path(store_dir), exchange, symbol, FUNDING)
    with locked(path, on_note) as writable:
        stored = load_rows(path, RawFunding, writable)
        for damage in stored.notes:
            note(damage)
        # A shorter end is as it was when it was asked for: a result is computed again from it.
        if any(end - start > CLOCK_ERROR_MS for start, end in stored.missing(*span)):
            client = client or new_client(exchange)
            client.session = new_session(network)
            connection = Connection(
                client, symbol, FUNDING, backoff or Backoff(), note, network=network
            )
            if archive == "only":
                stored = _fetch_months(connection, stored, span, path if writable else None)
            elif client.has["fetchFundingRateHistory"]:
                try:
                    stored = _fetch_missing(connection, stored, span, path if writable else None)
                except UnreachableError as error:
                    raise type(error)(f"{error} {IMPORT}") from error
            else:
                note(f"{connection}: ccxt knows no funding history of {exchange}.")
    return stored.between(*span)


def _fetch_months(
    connection: Connection, stored: Stored[RawFunding], span: Span, path: Path | None
) -> Stored[RawFunding]:
    """Fetch the months that are over and are missing, and keep each."""
    client, symbol, note = connection.client, connection.symbol, connection.note
    months = archive_of(FundingArchive, client.session, client.id, symbol, FUNDING, note)
    if months is None:
        return stored
    for part in stored.missing(*span):
        names = month_names(np.empty(0, np.int64), [part])
        whole = month_span(names[0])[0], month_span(names[-1])[1]
        for month in months.months(whole, 1):
            stored = stored.add([month.page])
            if path is not None:
                save(path, stored, month.source)
    return stored


def _fetch_missing(
    connection: Connection, stored: Stored[RawFunding], span: Span, path: Path | None
) -> Stored[RawFunding]:
    """Fetch what is missing, and keep it where ``path`` says; what came before a failure too."""
    connection.check_market(timeframe_needed=False)
    # What was paid just now may not be listed yet: that time will be asked for again.
    start, now = span[0], connection.now()
    settled, end = now - CLOCK_ERROR_MS, min(span[1], now)
    pages: list[Page] = []
    try:
        for part in stored.missing(start, end) if start < end else ():
            for rows, (first, after) in funding_pages(connection, part):
                pages.append((rows, (min(first, settled), min(after, settled))))
    finally:
        if pages:
            stored = stored.add(pages)
            if path is not None:
                save(path, stored, f"{connection.client.id} funding through ccxt")
    return stored


def funding_pages(connection: Connection, span: Span) -> Iterator[Page]:
    """Fetch a span page by page.

    A page answers for the time between its first and its last payment alone, and for what lies at
    its ends where that is shorter than two payments are apart: exchanges give fewer than they are
    asked for, some the oldest of a span, some the newest. The rest is asked for by itself, and an
    answer without a payment is final. A page of which all lies after the span was asked of an
    exchange that does not honour its end: it answers for nothing.
    """
    limit = PAGES.get(connection.client.id, PAGE)
    length = limit * INTERVAL_MS
    spans = [(start, min(start + length, span[1])) for start in range(*span, length)]
    waiting = spans[::-1]
    while waiting:
        start, end = waiting.pop()
        rows = connection.steadily(
            partial(_answer, connection, (start, end), limit),
            partial(_is_whole, span=(start, end)),
            lambda rows: rows,
        )
        inside = rows[(rows[:, 0] >= start) & (rows[:, 0] < end)]
        if not len(inside):
            if not len(rows) or rows[-1, 0] < start:
                yield inside, (start, end)
            continue
        first, after = int(inside[0, 0]), int(inside[-1, 0]) + 1
        apart = float(np.median(np.diff(inside[:, 0]))) if len(inside) > 1 else INTERVAL_MS
        near = 1.5 * min(apart, INTERVAL_MS)
        if end - after > near:
            waiting.append((after, end))
            end = after
        if first - start > near:
            waiting.append((start, first))
            start = first
        yield inside, (start, end)


def _is_whole(rows: Float, span: Span) -> bool:
    """Tell whether no two payments, nor one and an end of the span, are too far apart."""
    inside = rows[(rows[:, 0] >= span[0]) & (rows[:, 0] < span[1]), 0]
    edges = np.concatenate(([span[0]], inside, [span[1]]))
    return bool((np.diff(edges) <= INTERVAL_MS + CLOCK_ERROR_MS).all())


def _answer(connection: Connection, span: Span, limit: int) -> Float:
    """Ask for one page; float64 of shape (n, 2), time and rate, by time."""
    import ccxt

    client = connection.client
    until = {UNTIL.get(client.id, "until"): span[1] - 1}

    def call() -> Float:
        answer = client.fetch_funding_rate_history(connection.symbol, span[0], limit, until)
        rows = np.array(
            [(row["timestamp"], row["fundingRate"]) for row in answer], dtype=np.float64
        ).reshape(-1, 2)
        possible = (rows[:, 0] > 0) & (np.abs(rows[:, 1]) <= LARGEST_RATE)
        if not possible.all():
            row = answer[int(np.argmin(possible))]["info"]
            raise ccxt.BadResponse(f"{client.id} answered with what cannot be funding: {row}")
        return rows[np.unique(rows[:, 0], return_index=True)[1]]

    return connection.ask(call)


class FundingArchive(MonthArchive):
    """The months of a contract's payments in Binance's public archive, each checked by its hash."""

    otherwise: ClassVar = " Its payments are not known."

    @property
    def step_ms(self) -> int:
        """Milliseconds from one payment to the next, at most."""
        return INTERVAL_MS

    def _file(self, month: str) -> str:
        return f"{self.pair.replace('/', '')}-fundingRate-{month}.zip"

    def _place(self, file: str) -> str:
        return f"data/{self.folder}/monthly/fundingRate/{self.pair.replace('/', '')}/{file}"

    def _page(self, file: str, content: bytes, wanted: Span, month: Span) -> Page:
        """Read the payments of a zip that lie in ``wanted``, for which they are all there are."""
        raw = self._read(file, content, lambda path: read_funding(path, self.symbol))
        rows = np.column_stack((raw.timestamp.astype(np.float64), raw.rate))
        rows = rows[np.unique(rows[:, 0], return_index=True)[1]]
        if len(rows) and uncovered((int(rows[0, 0]), int(rows[-1, 0]) + 1), [month]):
            raise BadFileError("it has payments of another month")
        return rows[(rows[:, 0] >= wanted[0]) & (rows[:, 0] < wanted[1])], wanted
