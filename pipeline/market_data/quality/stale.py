"""Stale stretches: candles that repeat the one before them, as a feed that hangs does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.market_data.raw import PRICES, RawCandles


class Stale(NamedTuple):
    """The longest stretch: how many candles repeat, and the open time of the first (or None)."""

    candles: int
    since: int | None


def longest_stale(candles: RawCandles) -> Stale:
    """Find the longest run of candles that bring no new price; the earliest among equals.

    A candle brings none when all four prices are those of the candle before it, or when it has no
    range and stands at the close before it. Candles that are missing neither end a run nor count
    in it: only what the exchange claims to have seen can be stale.

    Parameters
    ----------
    candles : RawCandles
        Sorted, distinct.
    """
    repeated = np.ones(len(candles) - 1, dtype=np.bool_)
    for name in PRICES:
        column = getattr(candles, name)
        repeated &= column[1:] == column[:-1]
    no_range = candles.high[1:] == candles.low[1:]
    repeated |= no_range & (candles.close[1:] == candles.close[:-1])
    # Runs begin and end where the mark changes; its first element belongs to the second candle.
    edges = np.flatnonzero(np.diff(repeated, prepend=False, append=False))
    if not len(edges):
        return Stale(0, None)
    lengths = edges[1::2] - edges[::2]
    longest = int(np.argmax(lengths))
    return Stale(int(lengths[longest]), int(candles.timestamp[edges[2 * longest] + 1]))
