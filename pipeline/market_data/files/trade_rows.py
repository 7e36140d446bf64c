"""Build candles of the trades that Kraken publishes: time in seconds, price, amount.

The rules are those of `data.kraken=trades`: an interval without a trade has no candle. A file tells
not whether it has all trades of its first and of its last interval. Kraken's files begin and end
with a quarter of a year, so an interval there is whole; any other is left out.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from gpu_engine import Advance, Float, Int64
from pipeline.errors import UserError
from pipeline.market_data.arrow import array_of
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.layouts import Layout
from pipeline.market_data.files.texts import tables
from pipeline.market_data.raw import RawCandles, concatenate
from pipeline.market_data.timeframe import utc
from pipeline.market_data.trades import NS_PER_MS, candles_of_trades


def candles_of_file(
    member: Member, layout: Layout, step: int, advance: Advance | None = None
) -> RawCandles:
    """Build the candles of a file of trades, in the order of time.

    Parameters
    ----------
    member : Member
    layout : Layout
    step : int
        Length of a candle, milliseconds.
    advance : callable, optional
        Called with the number of trades that were read since its last call.

    Raises
    ------
    UserError
        If a row is no trade, or trades are out of order by more than an interval.
    """
    parts: list[RawCandles] = []
    first = last = 0
    pending: tuple[Int64, Float, Float] = (np.empty(0, np.int64), np.empty(0), np.empty(0))
    for time, price, amount in _trades(member, layout, advance):
        if not len(time):
            continue
        bar = time // (step * NS_PER_MS)
        before = pending[0][-1:] // (step * NS_PER_MS)
        if (np.diff(np.concatenate([before, bar])) < 0).any():
            raise UserError(
                f"{member}: its trades are not in the order of time, so the first and last price"
                " of an interval cannot be told. Download it again."
            )
        first = first or int(time[0])
        last = int(time[-1])
        joined = [np.concatenate(pair) for pair in zip(pending, (time, price, amount), strict=True)]
        over = joined[0] // (step * NS_PER_MS) < bar[-1]
        parts.append(candles_of_trades(joined[0][over], joined[1][over], joined[2][over], step))
        pending = (joined[0][~over], joined[1][~over], joined[2][~over])
    parts.append(candles_of_trades(*pending, step))
    raw = concatenate(parts, RawCandles)
    whole = np.ones(len(raw), np.bool_)
    if len(raw):
        whole[0] = _quarter(int(raw.timestamp[0]))
        whole[-1] &= _quarter(int(raw.timestamp[-1]) + step)
    if not whole.any():
        raise UserError(
            f"{member} has trades from {utc(first // NS_PER_MS)} to {utc(last // NS_PER_MS)}, in"
            " which no interval is whole: take a file of more time."
        )
    return raw.take(whole)


def _trades(
    member: Member, layout: Layout, advance: Advance | None
) -> Iterator[tuple[Int64, Float, Float]]:
    """Read times in nanoseconds, prices and amounts piece by piece."""
    rows = 0
    for table in tables(member, layout, plain=True):
        price, amount = (array_of(table.column(name)) for name in ("price", "amount"))
        bad = ~((price > 0) & (price < np.inf) & (amount >= 0) & (amount < np.inf))
        if bad.any():
            row = int(np.argmax(bad))
            raise UserError(
                f"{member}: no trade has the price {price[row]:g} and the amount {amount[row]:g},"
                f" as row {rows + row + 1} has. It is damaged; download it again."
            )
        yield _nanoseconds(table.column("timestamp")), price, amount
        rows += len(price)
        if advance is not None:
            advance(len(price))


def _nanoseconds(seconds: pa.ChunkedArray) -> Int64:
    """Return decimals of nine places as what they count, without their point."""
    parts = [np.empty(0, np.int64)]
    for chunk in seconds.chunks:
        halves = np.frombuffer(chunk.buffers()[1], np.int64).reshape(-1, 2)  # low, high
        parts.append(halves[chunk.offset : chunk.offset + len(chunk), 0])
    return np.concatenate(parts)


def _quarter(moment: int) -> bool:
    """Whether a moment is the border of two quarters of a year, UTC."""
    time = datetime.fromtimestamp(moment / 1_000, UTC)
    return (time.month % 3, time.day, time.hour, time.minute) == (1, 1, 0, 0)
