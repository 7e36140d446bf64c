"""Compute indicators of candles (candles rules §2); value ``[t]`` uses bars up to ``t`` only."""

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Bool, Candles, Float, Int64

ATR_PERIOD = 14  # bars
VOLUME_PERIOD = 20  # bars
SWING_REACH = 3  # bars on each side of a swing point


def true_range(candles: Candles) -> Float:
    """Return ``max(high - low, |high - close[-1]|, |low - close[-1]|)``, float64 of shape (n,).

    The first bar has no close before it: its range is ``high - low``.
    """
    result = candles.high - candles.low
    before = candles.close[:-1]
    np.maximum(result[1:], np.abs(candles.high[1:] - before), out=result[1:])
    np.maximum(result[1:], np.abs(candles.low[1:] - before), out=result[1:])
    return result


def average_true_range(candles: Candles) -> Float:
    """Return Wilder's ATR, float64 of shape (n,), quote currency; NaN before bar 13.

    The recursion runs bar by bar: a closed form rounds differently, and on coarse ticks a
    comparison such as ``body >= 1.0 * ATR`` is often an equality.
    """
    ranges = true_range(candles)
    result = np.full(len(ranges), np.nan)
    if len(ranges) >= ATR_PERIOD:
        # cumsum adds one by one, as a plain loop does; NumPy's sum adds pairs.
        first = float(np.cumsum(ranges[:ATR_PERIOD])[-1]) / ATR_PERIOD
        atr, values = first, [first]
        for tr in ranges[ATR_PERIOD:].tolist():
            atr = (13.0 * atr + tr) / 14.0
            values.append(atr)
        result[ATR_PERIOD - 1 :] = values
    return result


def volume_ratio(candles: Candles) -> Float:
    """Return volume over the mean of the 20 bars before, float64 of shape (n,).

    0 where that mean is 0, NaN for ``t < 20``.
    """
    volume, n = candles.volume, len(candles)
    result = np.full(n, np.nan)
    if n <= VOLUME_PERIOD:
        return result
    total = np.zeros(n - VOLUME_PERIOD)
    for lag in range(VOLUME_PERIOD):  # oldest first, the order a plain loop adds in
        total += volume[lag : n - VOLUME_PERIOD + lag]
    mean = total / VOLUME_PERIOD
    current = volume[VOLUME_PERIOD:]
    result[VOLUME_PERIOD:] = np.divide(current, mean, out=np.zeros_like(mean), where=mean != 0)
    return result


def swing_lows(low: Float) -> Bool:
    """Mark bars whose low is strictly below the 3 on each side; known 3 bars later (§2.3)."""
    result: NDArray[np.bool_] = np.zeros(len(low), np.bool_)
    inner = slice(SWING_REACH, len(low) - SWING_REACH)
    if len(low) <= 2 * SWING_REACH:
        return result
    centre = low[inner]
    strict = np.ones(len(centre), np.bool_)
    for reach in range(1, SWING_REACH + 1):
        strict &= centre < low[SWING_REACH - reach : len(low) - SWING_REACH - reach]
        strict &= centre < low[SWING_REACH + reach : len(low) - SWING_REACH + reach]
    result[inner] = strict
    return result


class RangeMinimum:
    """Answer queries over the marked bars of ``[first, after)``.

    A sparse table over the marked values alone: level ``k`` holds minima of ``2**k`` of them, and
    two overlapping blocks cover any range (Bender & Farach-Colton 2000, "The LCA problem
    revisited"). Built once, used for every lookback.

    Parameters
    ----------
    values : float64 array of shape (n,)
    marked : bool array of shape (n,)
    """

    def __init__(self, values: Float, marked: Bool) -> None:
        self._rank = np.concatenate(([0], np.cumsum(marked)))
        self._levels = [values[marked]]
        half = 1
        while 2 * half <= len(self._levels[0]):
            below = self._levels[-1]
            self._levels.append(np.minimum(below[:-half], below[half:]))
            half *= 2

    def minimum(self, first: Int64, after: Int64) -> Float:
        """Return the minima over ``[first, after)``, float64 of shape (q,); NaN where none."""
        lo, hi = self._rank[first], self._rank[np.maximum(after, first)]
        result = np.full(len(lo), np.nan)
        level = np.frexp(hi - lo)[1] - 1  # floor(log2(size)), exactly; -1 for an empty range
        for k in np.unique(level[level >= 0]):
            rows = np.flatnonzero(level == k)
            block = self._levels[k]
            result[rows] = np.minimum(block[lo[rows]], block[hi[rows] - (1 << k)])
        return result

    def count_near(self, first: Int64, after: Int64, centre: Float, width: Float) -> Int64:
        """Count marked values of ``[first, after)`` within ``width`` of ``centre``, int64 (q,)."""
        lo, hi = self._rank[first], self._rank[np.maximum(after, first)]
        size = hi - lo
        query = np.repeat(np.arange(len(lo)), size)
        offset = np.arange(len(query)) - np.repeat(np.cumsum(size) - size, size)
        value = self._levels[0][lo[query] + offset]
        near = np.abs(value - centre[query]) <= width[query]
        return np.bincount(query[near], minlength=len(lo))
