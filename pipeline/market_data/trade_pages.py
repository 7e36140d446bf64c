"""Page after page of Kraken's public trades, and the candles of every interval that they close.

Kraken serves its newest 720 candles only, but all of its trades: 1,000 an answer, and with them
``last``, the time in nanoseconds at which the answer ends
(https://docs.kraken.com/api/docs/rest-api/get-recent-trades). ccxt's ``fetch_trades`` cuts the
start to whole seconds and so repeats, or never leaves, a busy second; here the cursor is ``last``.
Pages overlap a little, for several trades may share the time at which a page ends, and an answer
that holds no trade of the one before has skipped something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import Float
from pipeline.errors import UnreachableError
from pipeline.market_data.connection import Connection
from pipeline.market_data.pages import CLOCK_ERROR_MS
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.retry import KEPT
from pipeline.market_data.spans import Span
from pipeline.market_data.store import Page
from pipeline.market_data.trades import NS_PER_MS, candles_of_trades

#: Most trades in an answer.
FULL_PAGE = 1_000

#: How far a page reaches back into the one before.
OVERLAP_NS = 1_000

#: Times of trades are told to a tenth of a millisecond (old ones) or better, ``last`` in full.
TOLD_TO_NS = NS_PER_MS

#: ``id`` counts the trades of a pair.
TRADE = np.dtype([("id", "i8"), ("time_ns", "i8"), ("price", "f8"), ("amount", "f8")])

Trades = NDArray[np.void]


@dataclass(frozen=True, eq=False)
class Answer:
    """Trades of shape (n,) and dtype `TRADE`, by id, each once; and the cursor ``last``."""

    trades: Trades
    last: int


def trade_pages(connection: Connection, span: Span, step_ms: int, now: int) -> Iterator[Page]:
    """Fetch the trades of a span, oldest first, and yield the candles of intervals that are over.

    An interval is over when the exchange has answered for its end. So a page that is stored is
    whole, and of an interrupted fetch only the trades of the interval it was in are asked again.

    Parameters
    ----------
    connection : Connection
        To Kraken.
    span : (int, int)
        Half-open, open times in milliseconds.
    step_ms : int
        Length of a candle.
    now : int
        The exchange's clock, milliseconds. Where no trade follows, an interval counts as over
        only when its end is `CLOCK_ERROR_MS` ago.

    Raises
    ------
    UnreachableError
        If the answers do not advance, or do not continue one another.
    """
    start, end = span
    since, before, held = start * NS_PER_MS - 1, np.empty(0, TRADE), np.empty(0, TRADE)
    while start < end:
        answer = _believed(connection, since, before, start + step_ms)
        news = _news(answer.trades, before)
        held = np.unique(np.concatenate([held, news[news["time_ns"] >= start * NS_PER_MS]]))
        over = answer.last // NS_PER_MS // step_ms * step_ms if len(answer.trades) else start
        if not len(news):
            over = max(over, (now - CLOCK_ERROR_MS) // step_ms * step_ms)
        over = min(over, end)
        # A first page that begins late may be one that begins where it likes: the next one tells.
        unsure = len(before) == 0 and _begins_late(news, start + step_ms)
        if start < over and not unsure:
            closed = held["time_ns"] < over * NS_PER_MS
            yield _rows(held[closed], step_ms), (start, over)
            held, start = held[~closed], over
        if not len(news):
            return
        since, before = answer.last - OVERLAP_NS, answer.trades


def _believed(connection: Connection, since: int, before: Trades, first_close: int) -> Answer:
    """Ask until an answer continues ``before`` and has no hole, or says the same as the last.

    A hole is a jump of the ids, or a first page that begins after the first interval.
    """
    complaint = "the exchange answers the same question differently each time"
    previous = None
    for _ in range(connection.backoff.attempts):
        answer = _trades_after(connection, since)
        contradiction = _contradiction(answer, since, before)
        if contradiction is not None:
            complaint, previous = contradiction, None
            continue
        ids = answer.trades["id"]
        known = np.concatenate([before["id"][-1:], ids[~np.isin(ids, before["id"])]])
        late = len(before) == 0 and _begins_late(answer.trades, first_close)
        if len(ids) and not late and bool((np.diff(known) == 1).all()):
            return answer
        if previous is not None and np.array_equal(previous, ids):
            return answer
        previous = ids
    raise UnreachableError(f"{connection}: {complaint}. {KEPT}")


def _contradiction(answer: Answer, since: int, before: Trades) -> str | None:
    """Tell why an answer cannot be one to the question, if it cannot."""
    trades = answer.trades
    if len(trades) and trades["time_ns"].min() < since - TOLD_TO_NS:
        return "the exchange ignores the start it is asked for: its pages do not advance"
    if len(before) and len(trades) and not np.isin(trades["id"], before["id"]).any():
        return "the exchange skipped trades between two pages"
    if len(trades) >= FULL_PAGE and not len(_news(trades, before)):
        return "the exchange answers with the same trades again and again"
    return None


def _trades_after(connection: Connection, since: int) -> Answer:
    """Ask once for the first trades later than ``since`` (nanoseconds)."""
    import ccxt  # 0.4 s: only for those who fetch

    pair = connection.client.market(connection.symbol)["id"]

    def call() -> Answer:
        response = connection.client.publicGetTrades({"pair": pair, "since": str(since)})
        try:
            result = response["result"]
            trades = np.array([_trade(row) for row in result[pair]], TRADE)
            return Answer(
                trades[np.unique(trades["id"], return_index=True)[1]], int(result["last"])
            )
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise ccxt.BadResponse(f"{connection.client.id} answered without trades") from error

    return connection.ask(call)


def _trade(row: Any) -> tuple[int, int, float, float]:
    """Read ``[price, volume, seconds, side, type, misc, id]``; the seconds by their decimals."""
    price, amount, seconds = row[:3]
    return int(row[6]), int(Decimal(str(seconds)).scaleb(9)), float(price), float(amount)


def _news(trades: Trades, before: Trades) -> Trades:
    return trades[~np.isin(trades["id"], before["id"])]


def _begins_late(trades: Trades, first_close: int) -> bool:
    return len(trades) == 0 or trades["time_ns"].min() >= first_close * NS_PER_MS


def _rows(trades: Trades, step_ms: int) -> Float:
    candles = candles_of_trades(trades["time_ns"], trades["price"], trades["amount"], step_ms)
    return np.column_stack([getattr(candles, name) for name in COLUMNS]).astype(np.float64)
