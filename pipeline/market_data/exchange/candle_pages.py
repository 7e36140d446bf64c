"""Page after page of candles: what closed, and how much of the time each page answers for.

The pages are counted here and not by ccxt's ``paginate``, which starts no earlier than ten pages
ago and cannot be resumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gpu_engine.records import Float
from pipeline.errors import UnreachableError
from pipeline.market_data.exchange.connection import CLOCK_ERROR_MS, Connection
from pipeline.market_data.exchange.retry import KEPT
from pipeline.market_data.spans import Span
from pipeline.market_data.store.store import Page


class _Answer(NamedTuple):
    """Closed candles from the start asked for, oldest first, and whether the newest is there."""

    rows: Float
    newest: bool


def candle_pages(connection: Connection, span: Span, step_ms: int, now: int) -> Iterator[Page]:
    """Fetch a span page by page, oldest first; ends early where the exchange has no more.

    A page answers for the time from its start to the end of its last candle. Two things are never
    answered, and will be asked for again: what follows the last candle, and what lies before the
    first of a page that holds the exchange's newest candle, for there nobody can tell an exchange
    that had nothing from one that serves its newest candles whatever it is asked (Kraken).

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
        rows, newest = _believed(connection, start, step_ms, now)
        if len(rows) == 0:
            return
        first = int(rows[0, 0]) if newest else start
        answered = min(int(rows[-1, 0]) + step_ms, end)
        if first < answered:
            yield rows[rows[:, 0] < end], (first, answered)
        start = answered if first < answered else end


def _believed(connection: Connection, start: int, step_ms: int, now: int) -> _Answer:
    """Ask from ``start`` until an answer has no hole or says the same as the one before.

    A hole is the exchange's own (an outage, a listing, no trades) or an accident of one answer;
    the second would be stored as the first, and nobody would ask again.
    """
    before = None
    for _ in range(connection.backoff.attempts):
        answer = _closed(connection.candles_from(start, step_ms), start, step_ms, now)
        opens = answer.rows[:, 0]
        if len(opens) and opens[-1] == start + step_ms * (len(opens) - 1):
            return answer
        if before is not None and np.array_equal(before, opens):
            return answer
        before = opens
    raise UnreachableError(
        f"{connection}: the exchange answers the same question differently each time. {KEPT}"
    )


def _closed(rows: Float, start: int, step_ms: int, now: int) -> _Answer:
    """Drop what came unasked and what may still be forming."""
    newest = len(rows) > 0 and rows[-1, 0] + step_ms > now - CLOCK_ERROR_MS
    if newest:
        rows = rows[:-1]
    rows = rows[(rows[:, 0] >= start) & (rows[:, 0] + step_ms <= now)]
    return _Answer(rows, bool(newest))
