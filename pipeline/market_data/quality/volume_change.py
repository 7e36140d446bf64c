"""Breaks of the volume regime: a level of volume that turns into another and stays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpu_engine.records import DAY_MS, Float
from pipeline.market_data.raw import RawCandles

#: Days with candles whose medians are compared, before and after: a break must last for 4 of them.
DAYS = 7

#: Volumes below this part of the mean count as this much, so that a market that falls silent
#: changes by a figure and not by infinity.
SILENT = 1e-6


class VolumeChange(NamedTuple):
    """The largest change: new over old level or its inverse, >= 1, and the day it begins.

    ``since`` is the day's first millisecond, None without a change.
    """

    ratio: float
    since: int | None


def largest_volume_change(candles: RawCandles) -> VolumeChange:
    """Find where the median volume of the week after a day differs most from the week before.

    Medians over days of a day's mean volume a candle: one wild day changes nothing, a source that
    switches from base to quote currency (a factor of the price), or that stops reporting, does.
    Days without candles are left out: gaps are reported on their own. A history of fewer than two
    such weeks has no change.

    Parameters
    ----------
    candles : RawCandles
        Sorted, distinct.
    """
    day = candles.timestamp // DAY_MS
    first = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    if len(first) < 2 * DAYS:
        return VolumeChange(1.0, None)
    level = _weekly_level(candles.volume, first)
    change = np.abs(level[DAYS:] - level[:-DAYS])
    largest = int(np.argmax(change))
    if change[largest] == 0.0:
        return VolumeChange(1.0, None)
    since = int(day[first[largest + DAYS]]) * DAY_MS
    return VolumeChange(float(np.exp(change[largest])), since)


def _weekly_level(volume: Float, first: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Float:
    """Log of the median of `DAYS` daily means from each day on; ``first`` row of every day."""
    largest = float(volume.max())
    if largest == 0.0:
        return np.zeros(len(first) - DAYS + 1)
    daily = np.add.reduceat(volume / largest, first) / np.diff(first, append=len(volume))
    weeks = np.lib.stride_tricks.sliding_window_view(daily, DAYS)
    level: Float = np.log(np.median(np.maximum(weeks, SILENT * daily.mean()), axis=1))
    return level
