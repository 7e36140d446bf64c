"""Fetch Kraken's public trades page by page, and build the candles of every interval they close.

Kraken serves its newest 720 candles only, but all of its trades: 1,000 an answer, and with them
``last``, the time in nanoseconds at which the answer ends
(https://docs.kraken.com/api/docs/rest-api/get-recent-trades). ccxt's ``fetch_trades`` cuts the
start to whole seconds and so repeats, or never leaves, a busy second; here the cursor is ``last``.

The ids count the trades of a pair, so they prove an answer: if it begins with the next id and
leaves none out, it has skipped nothing. Any other answer must come twice: the first one, one with a
jump in the ids, and one without a new trade. Time counts as answered up to the newest trade so
proven. ``last`` alone proves nothing: an answer that lost its end still has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Float
from pipeline.market_data.exchange.connection import CLOCK_ERROR_MS, Connection
from pipeline.market_data.raw import COLUMNS, Span
from pipeline.market_data.resample import NS_PER_MS, candles_of_trades
from pipeline.market_data.store.store import Page
from pipeline.market_data.timeframe import utc

#: Most trades in an answer.
FULL_PAGE = 1_000

#: How far a page reaches back into the one before: trades may share the time at which it ends.
OVERLAP_NS = 1_000

#: Times of trades are exact to a tenth of a millisecond (old ones) or better, ``last`` in full.
TIME_ERROR_NS = NS_PER_MS

TRADE = np.dtype([("id", "i8"), ("time_ns", "i8"), ("price", "f8"), ("amount", "f8")])
Trades = NDArray[np.void]


class TradeRequest(NamedTuple):
    """A request for the trades later than ``since`` (nanoseconds).

    Those up to ``last_id`` have come; it is None before the first answer. ``crowded`` says that a
    whole answer reaches no further than the overlap, so that this request leaves the overlap out.
    """

    since: int
    last_id: int | None
    crowded: bool = False


@dataclass(frozen=True, eq=False)
class TradeAnswer:
    """Trades of shape (n,) and dtype `TRADE`, by id, each once; and the cursor ``last``."""

    trades: Trades
    last: int

    @property
    def end(self) -> int:
        """Time in nanoseconds up to which the answer holds every trade."""
        newest = self.trades["time_ns"][-1:].tolist()
        return min(self.last, *newest) if newest else self.last

    def new_trades(self, last_id: int | None) -> Trades:
        """Return the trades after ``last_id``; all of them for None."""
        return self.trades if last_id is None else self.trades[self.trades["id"] > last_id]


def trade_pages(connection: Connection, span: Span, step_ms: int, now: int) -> Iterator[Page]:
    """Fetch the trades of a span, oldest first, and yield the candles of intervals that are over.

    An interval is over when a later trade has come and none in between is missing. So a page that
    is stored is whole, and of an interrupted fetch only the trades of the interval it was in are
    asked again.

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
    request, pending = TradeRequest(max(start * NS_PER_MS - 1, 0), None), np.empty(0, TRADE)
    while start < end:
        answer = _proven_answer(connection, request)
        news = answer.new_trades(request.last_id)
        if not len(news) and len(answer.trades) >= FULL_PAGE:
            request = request._replace(since=request.since + OVERLAP_NS, crowded=True)
            continue
        pending = np.unique(np.concatenate([pending, news[news["time_ns"] >= start * NS_PER_MS]]))
        proven = answer.end // NS_PER_MS if len(answer.trades) else start
        if not len(news):
            proven = max(proven, now - CLOCK_ERROR_MS)
        over = min(proven // step_ms * step_ms, end)
        # A first page that begins late may ignore the start: the next page shows whether it does.
        first_close = (start + step_ms) * NS_PER_MS
        late = len(news) == 0 or news["time_ns"].min() >= first_close
        unsure = request.last_id is None and late
        if start < over and not unsure:
            closed = pending["time_ns"] < over * NS_PER_MS
            yield _rows(pending[closed], step_ms), (start, over)
            pending, start = pending[~closed], over
        if not len(news):
            return
        request = TradeRequest(answer.end - OVERLAP_NS, int(news["id"][-1]))


def _proven_answer(connection: Connection, request: TradeRequest) -> TradeAnswer:
    """Ask until an answer is proven by its ids, or two in a row agree.

    New trades may come in between, so they are compared as far as the shorter one goes, which is
    returned.
    """
    complaint = "the exchange answers the same question differently each time"
    previous = None
    for _ in range(connection.backoff.attempts):
        answer = _trades_after(connection, request.since)
        contradiction = _contradiction(answer, request)
        if contradiction is not None:
            complaint, previous = contradiction, None
            continue
        if _continues(answer, request.last_id):
            return answer
        if previous is not None and _agree(previous, answer, request.last_id):
            return min(previous, answer, key=lambda answer: len(answer.new_trades(request.last_id)))
        previous = answer
    raise connection.failure(complaint)


def _continues(answer: TradeAnswer, last_id: int | None) -> bool:
    """Whether there are new trades, from the one after ``last_id`` on, and none is left out."""
    news = answer.new_trades(last_id)["id"]
    return last_id is not None and len(news) > 0 and int(news[-1]) - last_id == len(news)


def _agree(first: TradeAnswer, second: TradeAnswer, last_id: int | None) -> bool:
    """Whether both have no new trades, or the same ones as far as the shorter one goes."""
    shorter, longer = sorted(
        (answer.new_trades(last_id)["id"] for answer in (first, second)), key=len
    )
    if len(shorter) == 0:
        return len(longer) == 0
    return np.array_equal(shorter, longer[: len(shorter)])


def _contradiction(answer: TradeAnswer, request: TradeRequest) -> str | None:
    """Say why the answer cannot belong to the request; None if it can."""
    trades, (since, last_id, crowded) = answer.trades, request
    if len(trades) and trades["time_ns"].min() < since - TIME_ERROR_NS:
        return "the exchange ignores the start it is asked for: its pages do not advance"
    skipped = last_id is not None and len(trades) > 0 and trades["id"][0] > last_id + 1
    if crowded and (skipped or not len(answer.new_trades(last_id))):
        return (
            f"there may be more trades at {utc(since // NS_PER_MS)} than the {FULL_PAGE:,} of an"
            " answer, and no way to ask for the rest; with data.since after it the fetch goes on"
        )
    return "the exchange skipped trades between two pages" if skipped else None


def _trades_after(connection: Connection, since: int) -> TradeAnswer:
    """Ask once for the first trades later than ``since`` (nanoseconds)."""
    import ccxt  # 0.4 s: only for those who fetch

    pair = connection.client.market(connection.symbol)["id"]

    def call() -> TradeAnswer:
        response = connection.client.publicGetTrades({"pair": pair, "since": str(since)})
        try:
            result = response["result"]
            trades = np.array([_trade(row) for row in result[pair]], TRADE)
            return TradeAnswer(
                trades[np.unique(trades["id"], return_index=True)[1]], int(result["last"])
            )
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise ccxt.BadResponse(
                f"{connection.client.id} answered without trades ({error})"
            ) from error

    return connection.ask(call)


def _trade(row: Any) -> tuple[int, int, float, float]:
    """Read ``[price, volume, seconds, side, type, misc, id]``; the seconds by their decimals."""
    price, amount, seconds = float(row[0]), float(row[1]), row[2]
    if not (0 < price < inf and 0 <= amount < inf):
        raise ValueError(f"no trade has such a price or volume: {row}")
    return int(row[6]), int(Decimal(str(seconds)).scaleb(9)), price, amount


def _rows(trades: Trades, step_ms: int) -> Float:
    candles = candles_of_trades(trades["time_ns"], trades["price"], trades["amount"], step_ms)
    return np.column_stack([getattr(candles, name) for name in COLUMNS]).astype(np.float64)
