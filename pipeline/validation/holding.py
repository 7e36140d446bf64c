"""Compute what holding the market returned (validation rules §3)."""

import numpy as np

from gpu_engine import Candles, Float, Int32


def hold_returns(candles: Candles, day: Int32) -> Float:
    """Compute the market's own return of some UTC days, from close to close.

    Parameters
    ----------
    candles : Candles
    day : int32 array of shape (T,)
        UTC days with candles, days since the epoch; there may be gaps between them.

    Returns
    -------
    float64 array of shape (T,)
        Close of the day's last bar over that of the day before's, less 1. Where the candles begin
        with a day, its first open takes the place of the close before.
    """
    last = np.searchsorted(candles.day, day, "right") - 1
    before = np.searchsorted(candles.day, day, "left") - 1
    base = np.where(before >= 0, candles.close[before], candles.open[0])
    returns: Float = candles.close[last] / base - 1.0
    return returns
