"""Find where the candles of a market begin at an exchange that answers for a window alone.

Binance begins its answer with the first candle that it has. OKX, Bybit and others answer for the
time of one page from the start that is asked for, and with nothing where no candle is in it. Weeks
and days are asked for there, window after window without a gap: a few requests prove that nothing
was traded before.
"""

from functools import partial

import numpy as np

from gpu_engine import DAY_MS
from pipeline.market_data.exchange.connection import Connection
from pipeline.market_data.raw import Span

#: Candles that are asked for in turn, the coarsest first, and their length.
COARSE = {"1w": 7 * DAY_MS, "1d": DAY_MS}


def empty_until(connection: Connection, span: Span, step_ms: int) -> int:
    """Return a time of the span before which the market has no candle: its start where one is.

    Parameters
    ----------
    connection : Connection
    span : (int, int)
        Half-open, open times in milliseconds.
    step_ms : int
        Length of a candle.
    """
    start, end = span
    if len(connection.candles_from(start, step_ms)):
        return start
    for timeframe, length in COARSE.items():
        if length > step_ms and timeframe in (connection.client.timeframes or {}):
            first = _first(connection, timeframe, length, (start, end))
            # A day is not everywhere that of UTC.
            start = max(start, min(first - DAY_MS, end) // step_ms * step_ms)
    return start


def _first(connection: Connection, timeframe: str, length: int, span: Span) -> int:
    """Open time of the first candle of a coarser timeframe, or the end of the span."""
    client, symbol, page = connection.client, connection.symbol, connection.page
    start, end = span
    while start < end:
        rows = connection.ask(partial(client.fetch_ohlcv, symbol, timeframe, start, page))
        times = np.array([row[0] for row in rows], dtype=np.int64)
        if (times >= start).any():
            return int(times[times >= start].min())
        start += page * length
    return end
