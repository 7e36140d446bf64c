"""Build candles of trades."""

from math import fsum

import numpy as np

from gpu_engine import Float, Int64
from pipeline.market_data.raw import RawCandles, empty

NS_PER_MS = 1_000_000


def candles_of_trades(time_ns: Int64, price: Float, amount: Float, step_ms: int) -> RawCandles:
    """Build the candle of every interval ``[open, open + step)`` in which there was a trade.

    Open and close are the first and the last price; trades of one time keep their order. An
    interval without a trade has no candle. The volume is the exact sum, rounded once, so that it
    does not depend on the order of the trades.

    Parameters
    ----------
    time_ns : int64 array of shape (n,)
        Nanoseconds since the epoch, UTC, in any order.
    price, amount : float64 arrays of shape (n,)
        In the quote and in the base currency; finite.
    step_ms : int
        Length of a candle.

    Returns
    -------
    RawCandles
        Oldest first, one row a time.
    """
    order = np.argsort(time_ns, kind="stable")
    price, amount = price[order], amount[order]
    opens, first = np.unique(time_ns[order] // (step_ms * NS_PER_MS), return_index=True)
    if len(opens) == 0:
        return empty(RawCandles)
    after = np.append(first[1:], len(order))
    amounts = amount.tolist()
    return RawCandles(
        timestamp=opens * step_ms,
        open=price[first],
        high=np.maximum.reduceat(price, first),
        low=np.minimum.reduceat(price, first),
        close=price[after - 1],
        volume=np.array([fsum(amounts[i:j]) for i, j in zip(first, after, strict=True)]),
    )
