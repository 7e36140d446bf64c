"""Fetch the closed candles that the store lacks from an exchange, through ccxt.

Exchanges answer differently to a time they do not serve: Binance begins with its first candle,
Kraken with the oldest of its last 720. Candles that begin later than asked are taken as they are,
and a warning says so. Pages are counted here and not by ccxt's ``paginate``, which starts no
earlier than ten pages ago and cannot be resumed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from gpu_engine import DAY_MS, Float
from pipeline.config import EARLIEST_MS
from pipeline.errors import Note, UnreachableError, UserError
from pipeline.market_data.exchange.connection import CLOCK_ERROR_MS, Backoff, Connection, new_client
from pipeline.market_data.exchange.facts import keep_facts
from pipeline.market_data.exchange.missing import BarProgress, Keep, Method, Missing
from pipeline.market_data.exchange.month_archives import (
    EXCHANGES,
    ArchiveUse,
    MonthArchive,
    archive_of,
)
from pipeline.market_data.exchange.network import AS_USUAL, Network, new_session
from pipeline.market_data.exchange.trade_pages import trade_pages
from pipeline.market_data.raw import RawCandles, Span, clipped, united
from pipeline.market_data.store.store import Page, StoredCandles, candle_path, load, locked, save
from pipeline.market_data.timeframe import timeframe_ms, utc

if TYPE_CHECKING:
    import ccxt

#: What a person can do where an exchange does not serve older candles.
WAYS_OUT = {
    "kraken": (
        "Kraken's candles are its newest 720, whatever is asked. Two ways out: data.kraken=trades"
        " builds candles from the public trades (slow), and scripts/fetch market=MARKET import=PATH"
        " takes Kraken's OHLCVT archives."
    )
}
WAY_OUT = "Older candles come from a file: scripts/fetch market=MARKET import=PATH, or data=file."


class _Answer(NamedTuple):
    """Closed candles, oldest first, and whether the answer held the exchange's newest candle."""

    rows: Float
    newest: bool


def candle_pages(connection: Connection, span: Span, step_ms: int, now: int) -> Iterator[Page]:
    """Fetch a span page by page, oldest first; end early where the exchange has no more.

    A page answers for the time from its start to the end of its last candle. What follows the last
    candle is not answered. Nor is what lies before the first candle of a page with the exchange's
    newest one: the exchange may have had nothing, or serve its newest candles whatever it is asked
    (Kraken). Both will be asked for again, as is a hole that ended just now (`settled`).

    Parameters
    ----------
    connection : Connection
    span : (int, int)
        Half-open, open times in milliseconds.
    step_ms : int
        Length of a candle.
    now : int
        The exchange's clock, milliseconds.
    """
    start, end = span
    while start < end:
        rows, newest = _steady_answer(connection, start, step_ms, now)
        if len(rows) == 0:
            following = _after_void((start, end), connection, step_ms, now)
            if following is None:
                return
            start = following
            continue
        first = int(rows[0, 0]) if newest else start
        answered = min(int(rows[-1, 0]) + step_ms, end)
        if first < answered:
            yield from settled(rows[rows[:, 0] < end], (first, answered), step_ms, now)
        start = answered if first < answered else end


def settled(rows: Float, span: Span, step_ms: int, now: int) -> Iterator[Page]:
    """Split an answer where a bar that ended within `CLOCK_ERROR_MS` has no candle.

    An exchange may show a candle a moment later than the next one, so such a bar is not answered.
    """
    times = rows[:, 0].astype(np.int64)
    young = max((now - CLOCK_ERROR_MS) // step_ms * step_ms, span[0])
    bars = [(time, time + step_ms) for time in times[times >= young].tolist()]
    for part in united([(span[0], min(young, span[1])), *bars]):
        yield rows[(times >= part[0]) & (times < part[1])], part


def _after_void(span: Span, connection: Connection, step_ms: int, now: int) -> int | None:
    """Return where candles may go on after an empty answer at the span's start; None: nowhere.

    Some exchanges answer for a window of one page alone (OKX, Bybit), and know nothing of what
    follows. So later windows are asked for, twice as far each time, and then the half of what lies
    between an empty one and one with candles: listings are found in a few requests. The time that
    is skipped does not count as answered.
    """
    empty, end = span
    page = connection.page * step_ms

    def has_candles(start: int) -> bool:
        return len(_steady_answer(connection, start, step_ms, now).rows) > 0

    jump, last = page, end - page
    while True:
        if empty >= last:
            return None
        reached = min(empty + jump, last)
        if has_candles(reached):
            break
        empty, jump = reached, 2 * jump
    while reached - empty > page:
        middle = empty + (reached - empty) // (2 * page) * page
        if has_candles(middle):
            reached = middle
        else:
            empty = middle
    return reached


def _steady_answer(connection: Connection, start: int, step_ms: int, now: int) -> _Answer:
    """Ask from ``start`` until an answer has no hole, or two answers in a row have the same."""

    def ask() -> _Answer:
        return _closed(connection.candles_from(start, step_ms), start, step_ms, now)

    def whole(answer: _Answer) -> bool:
        rows = answer.rows
        return len(rows) > 0 and bool(rows[-1, 0] == start + step_ms * (len(rows) - 1))

    return connection.steadily(ask, whole, lambda answer: answer.rows[:, 0])


def _closed(rows: Float, start: int, step_ms: int, now: int) -> _Answer:
    """Drop candles before ``start`` and those that may still be forming."""
    newest = len(rows) > 0 and rows[-1, 0] + step_ms > now - CLOCK_ERROR_MS
    if newest:
        rows = rows[:-1]
    rows = rows[(rows[:, 0] >= start) & (rows[:, 0] + step_ms <= now)]
    return _Answer(rows, bool(newest))


#: A save rewrites the months that changed, so it comes after this many pages; a kill loses fewer.
PAGES_PER_SAVE = 20


AS_CANDLES = Method(candle_pages, PAGES_PER_SAVE, "through ccxt", windowed=True)
#: A page of candles from trades may have taken many of trades.
FROM_TRADES = Method(trade_pages, 1, "trades through ccxt", windowed=False)


class CandleRequest(NamedTuple):
    """The closed candles of one market that open in ``[since_ms, until_ms)``.

    Attributes
    ----------
    exchange : str
        ccxt's name, such as ``binance``.
    symbol : str
        ccxt's unified symbol, such as ``BTC/USDT``.
    timeframe : str
        Such as ``5m``.
    since_ms, until_ms : int
        Open times, milliseconds since the epoch, UTC. ``until_ms`` may be now or later.
    kraken : {"ohlc", "trades"}
        What candles come from where the exchange is Kraken: its newest 720, or all public trades.
    archive : {"auto", "never", "only"}
        Whether whole months come from the exchange's public archive, where it has one.
    """

    exchange: str
    symbol: str
    timeframe: str
    since_ms: int
    until_ms: int
    kraken: Literal["ohlc", "trades"] = "ohlc"
    archive: ArchiveUse = "never"


@dataclass(frozen=True, eq=False)
class FetchedCandles:
    """Candles of a request, oldest first, and sentences that a person must read about them.

    ``answered`` is the part of the request for which they are all there are.
    """

    raw: RawCandles
    warnings: tuple[str, ...]
    answered: tuple[Span, ...]


def fetch_ccxt(
    request: CandleRequest,
    store_dir: str | Path,
    on_progress: BarProgress | None = None,
    *,
    on_note: Note | None = None,
    client: ccxt.Exchange | None = None,
    backoff: Backoff | None = None,
    stop: Event | None = None,
    network: Network = AS_USUAL,
) -> FetchedCandles:
    """Take the request's candles from the store, and fetch the rest from the exchange.

    Parameters
    ----------
    request : CandleRequest
    store_dir : path
        Where candles are kept. What was fetched before a failure is kept too. One that may only
        be read stays as it is.
    on_progress : callable, optional
        Called before the first page and after every page.
    on_note : callable, optional
        Called with a sentence for every damaged file of the store and for every wait: after a
        failure, and for another process that holds the store.
    client : ccxt.Exchange, optional
        Instead of a new one. It is not asked where the store has the whole range.
    backoff : Backoff, optional
        How often and how late to ask again.
    stop : Event, optional
        Set by another thread it ends the fetch as Ctrl-C does, before the next request.
    network : Network, optional
        The way to the exchange; by default that of the environment.

    Raises
    ------
    UserError
        If the exchange, symbol, timeframe or range is wrong, the exchange refuses, or it has no
        closed candle in the range.
    UnreachableError
        If it does not answer after all attempts, or has banned this address.
    """
    exchange, symbol, timeframe, since_ms, until_ms, kraken, use = request
    alone = use == "only"
    if alone and exchange not in EXCHANGES:
        raise UserError(
            f"data.archive=only: {exchange} publishes no archive of months, as"
            f" {' and '.join(EXCHANGES)} do. Leave data.archive=auto."
        )
    step = timeframe_ms(timeframe)
    # The first open at or after each border: candles open at multiples of the step.
    start, end = -(-since_ms // step) * step, -(-until_ms // step) * step
    path = candle_path(Path(store_dir), exchange, symbol, timeframe)
    method = FROM_TRADES if (exchange, kraken) == ("kraken", "trades") else AS_CANDLES
    note = on_note or (lambda _: None)
    with locked(path, on_note, stop) as writable:
        stored, now = load(path, writable), _now_ms()
        for damage in stored.notes:  # before the exchange is asked, which may not answer
            note(damage)
        if stored.missing(start, end):
            keep: Keep = partial(save, path) if writable else lambda *_: None
            if not writable:
                note(f"{store_dir} may only be read here: what is fetched now is not kept.")
            client = client or new_client(exchange)
            client.session = new_session(network)
            backoff = backoff or Backoff()
            connection = Connection(
                client, symbol, timeframe, backoff, note, stop=stop, network=network
            )
            archive = _archive(request, connection)
            try:
                if not alone:
                    facts = connection.check_market(timeframe_needed=method is AS_CANDLES)
                    if writable:
                        keep_facts(facts, Path(store_dir), exchange, symbol)
                    now = connection.now()
                end = min(end, now // step * step)
                missing = Missing(connection, method, stored, (start, end), now, keep, on_progress)
                stored = missing.fetch(
                    archive, archive_only=alone, all_there_is=start <= EARLIEST_MS
                )
            except UnreachableError as error:
                raise type(error)(f"{error}{_available_offline(load(path, writable))}") from error
    market = f"{exchange} {symbol} {timeframe}"
    raw = stored.between(start, end)
    way_out = WAYS_OUT.get(exchange, WAY_OUT) if method is AS_CANDLES else WAY_OUT
    if alone:
        way_out = "data.archive=auto asks the exchange for what its archive lacks."
    if len(raw) == 0:
        ahead = f"Now it is {utc(_now_ms())}." if since_ms >= _now_ms() else way_out
        raise UserError(
            f"{market}: no closed candle from {utc(since_ms)} to {utc(until_ms)}. {ahead}"
        )
    shortfalls = [*_shortfalls(raw, stored, (start, end), now, step, market, way_out)]
    if alone and stored.missing(start, end):
        shortfalls.append(f"{market}: {way_out}")
    return FetchedCandles(raw, tuple(shortfalls), clipped(stored.answered, (start, end)))


def _archive(request: CandleRequest, connection: Connection) -> MonthArchive | None:
    """Return the archive that a request may use; None where there is none."""
    if request.archive == "never":
        return None
    return archive_of(
        MonthArchive,
        connection.client.session,
        request.exchange,
        request.symbol,
        request.timeframe,
        connection.note,
    )


#: Spans that the message about a silent exchange names.
_NAMED_SPANS = 3


def _available_offline(stored: StoredCandles) -> str:
    """Say which time needs no exchange, where there is any."""
    longest = sorted(stored.answered, key=lambda span: span[0] - span[1])[:_NAMED_SPANS]
    if not longest:
        return ""
    spans = ", ".join(f"{utc(start)} to {utc(end)}" for start, end in sorted(longest))
    rest = len(stored.answered) - len(longest)
    more = f", and {rest:,} shorter" if rest else ""
    words = "data=ccxt data.since=DATE data.until=DATE"
    return f" The store has {spans}{more}: {words} within that need no exchange."


def _now_ms() -> int:
    return int(time.time() * 1_000)


def _shortfalls(
    raw: RawCandles,
    stored: StoredCandles,
    span: Span,
    now: int,
    step: int,
    market: str,
    way_out: str,
) -> Iterator[str]:
    """Say which parts of the span the exchange did not serve."""
    first, last = int(raw.timestamp[0]), int(raw.timestamp[-1])
    if first > span[0]:
        days = (last + step - first) / DAY_MS
        is_all = span[0] <= EARLIEST_MS and not stored.missing(span[0], first)
        yield (
            f"{market}: "
            + ("" if is_all else f"asked from {utc(span[0])}, but ")
            + f"the exchange serves nothing before {utc(first)}: {len(raw)} candles,"
            f" {days:.1f} days." + ("" if is_all else f" {way_out}")
        )
    for start, end in stored.missing(first, min(last, now - CLOCK_ERROR_MS)):
        yield (
            f"{market}: the exchange no longer serves the candles from {utc(start)} to"
            f" {utc(end)}. {way_out}"
        )
    if last + step < span[1]:
        yield f"{market}: asked until {utc(span[1])}, but the last candle opens at {utc(last)}."
