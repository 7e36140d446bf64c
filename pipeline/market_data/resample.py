"""Build candles from finer ones, or from trades."""

from collections.abc import Sequence
from math import fsum

import numpy as np

from gpu_engine import Float, Int64
from pipeline.errors import UserError
from pipeline.market_data.raw import RawCandles, Span, empty
from pipeline.market_data.timeframe import spacing_name

NS_PER_MS = 1_000_000


def resampled(
    raw: RawCandles, from_step: int, to_step: int, answered: Sequence[Span] | None = None
) -> RawCandles:
    """Build the candles that the exchange would have made of the same trades.

    A coarse candle opens at a multiple of ``to_step`` from the epoch, with the open of its first
    fine candle, the highest high, the lowest low, the close of its last and the sum of the
    volumes. As on an exchange it is made of whatever was traded: a missing fine candle leaves no
    trace, and a time without any fine candle has no coarse one. A coarse candle is left out where
    a part of its time was not answered for: fine candles may be missing there.

    Parameters
    ----------
    raw : RawCandles
        Sorted, one row a time, ``from_step`` long.
    from_step, to_step : int
        Lengths of the fine and the coarse candles, milliseconds.
    answered : sequence of Span, optional
        Time for which the fine candles are all there are, sorted and disjoint; by default from the
        first to the end of the last one.

    Raises
    ------
    UserError
        See `check_divides`.
    """
    check_divides(from_step, to_step)
    if len(raw) == 0:
        return raw
    if answered is None:
        answered = ((int(raw.timestamp[0]), int(raw.timestamp[-1]) + from_step),)
    opens = raw.timestamp // to_step * to_step
    as_they_are = from_step == to_step and np.array_equal(opens, raw.timestamp)
    whole = np.zeros(len(raw), np.bool_)
    for start, end in answered:
        whole |= (opens >= start) & (opens <= end - to_step)
    raw = raw.take(whole)
    if as_they_are:
        return raw
    opens = opens[whole]
    timestamp, first = np.unique(opens, return_index=True)
    if len(timestamp) == 0:
        return raw
    return RawCandles(
        timestamp=timestamp,
        open=raw.open[first],
        high=np.maximum.reduceat(raw.high, first),
        low=np.minimum.reduceat(raw.low, first),
        close=raw.close[np.append(first[1:], len(raw)) - 1],
        volume=np.add.reduceat(raw.volume, first),
    )


def check_divides(from_step: int, to_step: int) -> None:
    """Refuse fine candles that do not add up to coarse ones.

    Raises
    ------
    UserError
        If ``to_step`` is no multiple of ``from_step``.
    """
    if to_step % from_step:
        raise UserError(
            f"{spacing_name(to_step)} cannot be built from {spacing_name(from_step)}: "
            "choose data.resample_from so that it divides the market's timeframe, or leave it null."
        )


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
