"""Candles from an exchange through ccxt: only closed ones, only those not stored yet.

The pages are counted here and not by ccxt's ``paginate``, which starts no earlier than ten pages
ago and cannot be resumed. Exchanges answer differently to a time they do not serve (Binance begins
with its first candle, Kraken with the oldest of its last 720): what begins later than asked is
taken as it is, and the caller is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpu_engine.records import DAY_MS
from pipeline.errors import UserError
from pipeline.market_data.connection import Backoff, Connection, new_client
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.store import Page, Span, Stored, candle_path, load, locked, save
from pipeline.market_data.timeframe import timeframe_ms, utc

if TYPE_CHECKING:
    import ccxt

#: Told (bars answered, bars asked) after every page.
Progress = Callable[[int, int], None]

#: A save rewrites the market's file, so it comes after this many pages; a kill loses fewer.
PAGES_PER_SAVE = 20


@dataclass(frozen=True, eq=False)
class Fetched:
    """Candles of the asked range, oldest first, and what the user must be told about them."""

    raw: RawCandles
    warnings: tuple[str, ...]


def fetch_ccxt(
    exchange_id: str,
    symbol: str,
    timeframe: str,
    since_ms: int,
    until_ms: int,
    store_dir: str | Path,
    on_progress: Progress | None = None,
    *,
    client: ccxt.Exchange | None = None,
    backoff: Backoff | None = None,
) -> Fetched:
    """Get the closed candles that open in ``[since_ms, until_ms)``: the store's, then the rest.

    Parameters
    ----------
    exchange_id : str
        ccxt's name, such as ``binance``.
    symbol : str
        ccxt's unified symbol, such as ``BTC/USDT``.
    timeframe : str
        Such as ``5m``.
    since_ms, until_ms : int
        Open times, milliseconds since the epoch, UTC. ``until_ms`` may be now or later.
    store_dir : path
        Where candles are kept. What was fetched before a failure is kept too.
    on_progress : callable, optional
        Called after every page.
    client : ccxt.Exchange, optional
        Instead of a new one. A range that the store has whole asks nothing of it.
    backoff : Backoff, optional
        How failures that pass by are waited out.

    Raises
    ------
    UserError
        If the exchange, symbol, timeframe or range is wrong, the exchange refuses or does not
        answer after all attempts, or it has no closed candle in the range.
    """
    step = timeframe_ms(timeframe)
    # The first open at or after each border: candles open at multiples of the step.
    start, end = -(-since_ms // step) * step, -(-until_ms // step) * step
    path = candle_path(Path(store_dir), exchange_id, symbol, timeframe)
    warnings: list[str] = []
    with locked(path):
        stored = load(path, step)
        if stored.missing(start, end):
            connection = Connection(
                client or new_client(exchange_id), symbol, timeframe, backoff or Backoff()
            )
            connection.check_market()
            end = min(end, connection.now() // step * step)
            stored, warnings = _fetch_missing(
                connection, stored, (start, end), step, path, on_progress
            )
    market = f"{exchange_id} {symbol} {timeframe}"
    raw = stored.between(start, end)
    if len(raw) == 0:
        raise UserError(f"{market}: no closed candle from {utc(since_ms)} to {utc(until_ms)}.")
    return Fetched(raw, (*_shortfall(raw, (start, end), step, market), *warnings))


def _fetch_missing(
    connection: Connection,
    stored: Stored,
    asked: Span,
    step: int,
    path: Path,
    on_progress: Progress | None,
) -> tuple[Stored, list[str]]:
    """Fetch and save what ``stored`` does not answer; say where the exchange skipped a time."""
    pages: list[Page] = []
    warnings = []
    missing = stored.missing(*asked)
    total = (asked[1] - asked[0]) // step
    done = total - sum(end - start for start, end in missing) // step
    try:
        for span in missing:
            for rows, answered in connection.pages(span, step):
                pages.append((rows, answered))
                begins = int(rows[0, 0]) if len(rows) else answered[1]
                if begins > answered[0] > asked[0]:
                    skipped = f"from {utc(answered[0])} to {utc(begins)}"
                    warnings.append(f"{connection}: the exchange has no candles {skipped}.")
                if len(pages) == PAGES_PER_SAVE:
                    stored = stored.add(pages)
                    pages.clear()
                    save(path, stored)
                done += (answered[1] - answered[0]) // step
                if on_progress:
                    on_progress(done, total)
    finally:
        if pages:
            stored = stored.add(pages)
            save(path, stored)
    return stored, warnings


def _shortfall(raw: RawCandles, asked: Span, step: int, market: str) -> list[str]:
    """Say when the candles begin later, or end earlier, than asked."""
    first, last = int(raw.timestamp[0]), int(raw.timestamp[-1])
    warnings = []
    if first > asked[0]:
        days = (last + step - first) / DAY_MS
        warnings.append(
            f"{market}: asked from {utc(asked[0])}, but the exchange serves nothing before "
            f"{utc(first)}: {len(raw)} candles, {days:.1f} days. "
            "Older candles must come from a file (data=file)."
        )
    if last + step < asked[1]:
        warnings.append(
            f"{market}: asked until {utc(asked[1])}, but the last candle opens at {utc(last)}."
        )
    return warnings
