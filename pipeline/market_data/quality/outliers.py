"""Outliers: prices that neither the bars before nor those after them know of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpu_engine.records import DAY_MS, Float
from pipeline.market_data.raw import RawCandles

#: Closes that the local median is taken of, the bar's own in the middle: a wrong price shows when
#: it lasts for up to 5 bars, and a crash moves the median with it after as many.
WINDOW = 11

#: Deviations of a day beyond which a bar is an outlier. The worst of Binance's majors is March 2020
#: on BTC, 14 on 1h and 18 on 4h; a price that is ten times too high is 60 (SOL) to 200 (BTC).
FAR = 30.0

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
    """Hold every bar's high, low and close against the median of the closes around it.

    The distance is a difference of logs, so that a price of a tenth is as far as one of ten times.
    Its unit is the deviation of a *day*: a false print and a flash crash are as deep in 1m as in
    4h candles, and one limit serves every timeframe. A level that stays (a split, a crash that
    holds) is not an outlier.

    Parameters
    ----------
    candles : RawCandles
        Sorted, distinct, prices positive.
    """
    close = np.log(candles.close)
    around = _local_median(close)
    highest = np.maximum(np.log(candles.high), close)
    lowest = np.minimum(np.log(candles.low), close)
    distance = np.maximum(highest - around, around - lowest)
    distance /= max(_robust_deviation(np.diff(close)) * np.sqrt(DAY_MS / step_ms), CALMEST_DAY)
    worst = int(np.argmax(distance))
    moves = bool(distance[worst] > 0.0)
    return Outliers(
        bars=int(np.count_nonzero(distance > FAR)),
        worst=float(distance[worst]),
        worst_at=int(candles.timestamp[worst]) if moves else None,
    )


def _local_median(values: Float) -> Float:
    """Median of the `WINDOW` values around each; at the ends, of the first and the last window."""
    if len(values) < WINDOW:
        return np.full(len(values), np.median(values))
    half = WINDOW // 2
    # A partition of each window costs a third of np.median, and spares the import of SciPy.
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW)
    return np.pad(np.partition(windows, half, axis=1)[:, half], half, mode="edge")


def _robust_deviation(returns: Float) -> float:
    """Return the standard deviation by the MAD of the returns that are not zero; 0 if all are.

    A thin market does not move in most bars: with those counted its MAD would be 0.
    """
    moved = returns[returns != 0.0]
    if not len(moved):
        return 0.0
    return MAD_TO_SD * float(np.median(np.abs(moved - np.median(moved))))
