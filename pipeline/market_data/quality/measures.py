"""Measure four faults of candles: stale stretches, outliers, breaks of volume, disagreement.

A stale stretch repeats the candle before it, as a feed that hangs does. An outlier is a price far
from those of the bars before and after. A break of volume is a level that turns into
another and stays. Disagreement is how far closes are from those of the same pair elsewhere.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gpu_engine import DAY_MS, Float
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


#: Closes of a local median, the bar's own in the middle: a wrong price shows when
#: it lasts for up to 5 bars, and a crash moves the median with it after as many.
MEDIAN_WINDOW = 11

#: Deviations of a day beyond which a bar is an outlier. The worst of Binance's majors is March 2020
#: on BTC, 14 on 1h and 18 on 4h; a price that is ten times too high is 60 (SOL) to 200 (BTC).
FAR = 30.0

#: Bars that are measured at a time: eleven closes for each of ten years of 1m would be 460 MB.
BLOCK = 1 << 15

#: The standard deviation of a normal variable is this often its median absolute deviation:
#: 1 / Phi^-1(3/4).
MAD_TO_SD = 1.4826

#: No market counts as calmer than this (log return a day), or a peg that slips would be an outlier.
CALMEST_DAY = 0.01


class Outliers(NamedTuple):
    """How many bars are further than `FAR` from their local median, and how far the worst is.

    ``bars`` counts them; ``worst`` is in robust deviations of a day's log return, ``worst_at`` its
    bar's open time (None when no bar leaves its median).
    """

    bars: int
    worst: float
    worst_at: int | None


def outliers(candles: RawCandles, step_ms: int) -> Outliers:
    """Compare every bar's high, low and close with the median of the closes around it.

    The distance is a difference of logs, so that a price of a tenth is as far as one of ten times.
    Its unit is the deviation of a *day*: a false print and a flash crash are as deep in 1m as in
    4h candles, and one limit serves every timeframe. A level that stays (a split, a crash that
    holds) is not an outlier.

    Parameters
    ----------
    candles : RawCandles
        Sorted, distinct, prices positive.
    """
    close = candles.close
    deviation = _robust_deviation(close)
    unit = max(deviation * np.sqrt(DAY_MS / step_ms), CALMEST_DAY)
    bars, worst, at = 0, -np.inf, 0
    for start in range(0, len(close), BLOCK):
        rows = slice(start, min(start + BLOCK, len(close)))
        around = _local_median(close, rows)
        near = np.log(close[rows])
        highest = np.maximum(np.log(candles.high[rows]), near)
        lowest = np.minimum(np.log(candles.low[rows]), near)
        distance = np.maximum(highest - around, around - lowest) / unit
        bars += int(np.count_nonzero(distance > FAR))
        furthest = int(np.argmax(distance))
        if distance[furthest] > worst:
            worst, at = float(distance[furthest]), start + furthest
    return Outliers(bars, worst, int(candles.timestamp[at]) if worst > 0.0 else None)


def _local_median(close: Float, rows: slice) -> Float:
    """Log of the median of the `MEDIAN_WINDOW` closes around each of ``rows``.

    At the ends it is that of the outermost windows.
    """
    if len(close) < MEDIAN_WINDOW:
        return np.full(rows.stop - rows.start, np.median(np.log(close)))
    half = MEDIAN_WINDOW // 2
    # The first closes of the windows of the first and the last row.
    first, last = np.clip([rows.start - half, rows.stop - 1 - half], 0, len(close) - MEDIAN_WINDOW)
    logs = np.log(close[first : last + MEDIAN_WINDOW])
    # A partition of each window costs a third of np.median, and spares the import of SciPy.
    windows = np.lib.stride_tricks.sliding_window_view(logs, MEDIAN_WINDOW)
    medians = np.partition(windows, half, axis=1)[:, half]
    own = np.clip(np.arange(rows.start - half, rows.stop - half), first, last) - first
    median: Float = medians[own]
    return median


def _robust_deviation(close: Float) -> float:
    """Return the standard deviation by the MAD of the log returns that are not zero; 0 if all are.

    A thin market does not move in most bars: with those counted its MAD would be 0.
    """
    moved, count = np.empty(len(close)), 0
    for start in range(0, len(close) - 1, BLOCK):
        returns = np.diff(np.log(close[start : start + BLOCK + 1]))
        returns = returns[returns != 0.0]
        moved[count : count + len(returns)] = returns
        count += len(returns)
    if not count:
        return 0.0
    moved = moved[:count]
    moved -= np.median(moved, overwrite_input=True)
    np.abs(moved, out=moved)
    return MAD_TO_SD * float(np.median(moved, overwrite_input=True))


#: Days with candles whose medians are compared, before and after: a break must last for 4 of them.
WEEK_DAYS = 7

#: Volumes below this part of the mean count as this much, so that a market that falls silent
#: changes by a figure and not by infinity.
SILENT_SHARE = 1e-6


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
    begins = np.ones(len(day), np.bool_)
    begins[1:] = day[1:] != day[:-1]
    first = np.flatnonzero(begins)
    days = day[first]
    del day, begins  # ten years of 1m are 42 MB a column
    if len(first) < 2 * WEEK_DAYS:
        return VolumeChange(1.0, None)
    level = _weekly_level(candles.volume, first)
    change = np.abs(level[WEEK_DAYS:] - level[:-WEEK_DAYS])
    largest = int(np.argmax(change))
    if change[largest] == 0.0:
        return VolumeChange(1.0, None)
    since = int(days[largest + WEEK_DAYS]) * DAY_MS
    return VolumeChange(float(np.exp(change[largest])), since)


def _weekly_level(volume: Float, first: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Float:
    """Log of the median of `WEEK_DAYS` daily means from each day on; ``first`` row of every day."""
    largest = float(volume.max())
    if largest == 0.0:
        return np.zeros(len(first) - WEEK_DAYS + 1)
    daily = np.add.reduceat(volume / largest, first) / np.diff(first, append=len(volume))
    weeks = np.lib.stride_tricks.sliding_window_view(daily, WEEK_DAYS)
    level: Float = np.log(np.median(np.maximum(weeks, SILENT_SHARE * daily.mean()), axis=1))
    return level


class Disagreement(NamedTuple):
    """Differences of closes at the same times, as ``|log(own / other)|``.

    Attributes
    ----------
    compared_with : str
        The exchanges that share a time, by name.
    median, largest : float
        Over all times and exchanges.
    largest_at : int
        Open time of the bar with the largest, milliseconds since the epoch, UTC.
    """

    compared_with: str
    median: float
    largest: float
    largest_at: int


def disagreement(own: RawCandles, others: Mapping[str, RawCandles]) -> Disagreement | None:
    """Compare closes with the same pair's at ``others``, by exchange; None without a common time.

    Rows may come in any order; of several at one time the first counts.
    """
    names, times, differences = [], [], []
    for name, other in sorted(others.items()):
        time, row, other_row = np.intersect1d(own.timestamp, other.timestamp, return_indices=True)
        if len(time):
            names.append(name)
            times.append(time)
            differences.append(np.abs(np.log(own.close[row]) - np.log(other.close[other_row])))
    if not names:
        return None
    difference = np.concatenate(differences)
    worst = int(np.argmax(difference))
    return Disagreement(
        compared_with=", ".join(names),
        median=float(np.median(difference)),
        largest=float(difference[worst]),
        largest_at=int(np.concatenate(times)[worst]),
    )
