"""What a file of candles can speak for: which of them had closed, and which time it knows."""

from __future__ import annotations

import numpy as np

from gpu_engine.records import DAY_MS, Int64
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.spans import Span

#: Of a longer hole in a file that somebody exported nobody can tell a time without trades from one
#: that was never downloaded. An exchange's own archive speaks for its holes, however long.
LONGEST_OWN_HOLE_MS = DAY_MS


def closed(raw: RawCandles, step: int, now: int, written: int) -> RawCandles:
    """Leave out candles that have not closed, or were still forming when the file was written.

    Parameters
    ----------
    raw : RawCandles
        In any order.
    step : int
        Length of a candle, milliseconds.
    now, written : int
        Moments, milliseconds since the epoch, UTC. A file that is older than candles in it was
        given its time by something else: only the candle around ``written`` is doubted.
    """
    ends = raw.timestamp + step
    forming = (raw.timestamp <= written) & (written < ends)
    return raw.take((ends <= now) & ~forming)


def spoken_for(timestamp: Int64, step: int, published: bool) -> tuple[Span, ...]:
    """Time for which the candles of one file are all there are.

    Parameters
    ----------
    timestamp : int64 array of shape (n,), n > 0
        Open times, sorted, milliseconds since the epoch, UTC.
    step : int
        Length of a candle, milliseconds.
    published : bool
        Whether it is an exchange's own archive.
    """
    longest = np.inf if published else LONGEST_OWN_HOLE_MS
    ends = np.flatnonzero(np.diff(timestamp) - step > longest)
    starts = np.concatenate([[0], ends + 1])
    ends = np.concatenate([ends, [len(timestamp) - 1]])
    return tuple(
        (int(timestamp[start]), int(timestamp[end]) + step)
        for start, end in zip(starts, ends, strict=True)
    )
