"""Resample daily returns by the stationary bootstrap (validation rules §3, §4).

Days are resampled in blocks of geometric length that wrap around the end of the series, so that
whatever links neighbouring days survives (Politis & Romano 1994, The Stationary Bootstrap, JASA
89(428)). Symbols: ``T`` days of the series, ``B`` resamples, ``H`` days of a path.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Float, Int32, deviation_of

#: Mean block lengths that are used, days (validation rules §4.4).
SHORTEST_BLOCK, LONGEST_BLOCK = 1.0, 20.0
#: Below this many days the automatic choice has no autocorrelations to look at.
FEWEST_DAYS = 8
#: Confidence of `zero_drift_bands`.
CONFIDENCE = 0.95

#: Which test draws random numbers: the first key of `generator`.
REALITY_CHECK, SURROGATES, BANDS, LIVE = range(4)


class Bands(NamedTuple):
    """What a strategy of these returns without their drift may lose; None where undefined."""

    value_at_risk: float | None
    """Loss of the net profit that 95 % of the paths do not exceed, a fraction of the start."""
    drawdown: float | None
    """Largest drawdown that 95 % of the paths do not exceed, a fraction of the peak."""


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the random numbers of one test under the seed of the run.

    ``key`` is one of the constants above and what it numbers, so that no test's draws depend on
    whether another one ran. Searches use other sequences (no spawn key).
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def mean_block(series: Float) -> float:
    """Mean block length for the stationary bootstrap of one series, 1 to 20 days.

    Politis & White (2004) as corrected by Patton, Politis & White (2009), Econometric Reviews
    28(4), in the reading of `arch.bootstrap.optimal_block_length`, whose number this is. Not that
    function itself: to import arch takes longer than to train a market.

    Parameters
    ----------
    series : float64 array of shape (T,)

    Returns
    -------
    float
        1, which is a bootstrap of single days, where the rule has no answer: a series without
        deviation (fills rules §10.1), with a return that is not finite, or of fewer than 8 days.
    """
    n = len(series)
    if n < FEWEST_DAYS or not deviation_of(series) > 0.0:
        return SHORTEST_BLOCK
    centred = series - series.mean()
    run = max(5, int(np.log10(n)))  # so many insignificant lags in a row end the correlation
    lags = np.arange(math.ceil(math.sqrt(n)) + run + 1)
    product = np.array([centred[lag:] @ centred[: n - lag] for lag in lags])
    parts = ((centred[lag + 1 :], centred[: n - lag - 1]) for lag in lags)
    ends = np.array([math.sqrt((a @ a) * (b @ b)) for a, b in parts])
    with np.errstate(all="ignore"):  # days alike at an end make correlations of 0/0
        quiet = np.abs(product) / ends < 2.0 * np.sqrt(np.log10(n) / n)
    first = next((k for k in lags[:-run] if quiet[k : k + run].all()), None)
    widest = len(lags) - 1
    width = widest if first is None else min(2 * max(int(first), 1), widest)

    within = np.arange(1, width + 1)
    taper = np.minimum(1.0, 2.0 * (1.0 - within / width))  # flat top, then down to 0
    covariance = product / n
    long_run = covariance[0] + 2.0 * (taper * covariance[1 : width + 1]).sum()
    slope = 2.0 * (taper * within * covariance[1 : width + 1]).sum()
    with np.errstate(all="ignore"):
        length = np.nan_to_num((n * np.square(slope / long_run)) ** (1.0 / 3.0), nan=SHORTEST_BLOCK)
    longest = min(LONGEST_BLOCK, math.ceil(min(3.0 * math.sqrt(n), n / 3.0)))
    return float(np.clip(length, SHORTEST_BLOCK, longest))


def stationary_indices(
    n_days: int, length: int, n_resamples: int, mean_block: float, rng: np.random.Generator
) -> Int32:
    """Days drawn by the stationary bootstrap.

    A resample is the one that `arch.bootstrap.StationaryBootstrap` makes of the same draws.

    Parameters
    ----------
    n_days : int
        T, the days that there are to draw from.
    length : int
        Days of each resample, T or fewer or more.
    n_resamples : int
        B.
    mean_block : float
        Mean block length, at least 1: each day starts a new block with probability
        ``1 / mean_block``.
    rng : numpy.random.Generator

    Returns
    -------
    int32 array of shape (B, length)
        In [0, T).
    """
    day = rng.integers(n_days, size=(n_resamples, length))
    starts = rng.random((n_resamples, length)) <= 1.0 / mean_block
    starts[:, 0] = True
    position = np.arange(length)
    start = np.maximum.accumulate(np.where(starts, position, 0), axis=1)
    within = position - start
    return ((np.take_along_axis(day, start, axis=1) + within) % n_days).astype(np.int32)


def resample_counts(indices: NDArray[np.integer], n_days: int) -> NDArray[np.float32]:
    """How often each day occurs in each resample.

    Parameters
    ----------
    indices : integer array of shape (B, length)
    n_days : int

    Returns
    -------
    float32 array of shape (B, T)
        Whole numbers; a row sums to ``length``. ``counts @ returns`` are the resamples' sums.
    """
    n_resamples = len(indices)
    cells = indices + n_days * np.arange(n_resamples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=n_resamples * n_days)
    return counts.reshape(n_resamples, n_days).astype(np.float32)


def zero_drift_bands(
    daily: Float, rng: np.random.Generator, horizon: int = 30, n_paths: int = 10_000
) -> Bands:
    """Value at risk and drawdown over ``horizon`` days if the drift were luck.

    The mean is taken out of the series, paths are drawn from it by the stationary bootstrap with
    its own `mean_block`, and compounded. With the drift left in, a 95 % drawdown band covers only
    79 % of new years; shuffled trades do worse (validation rules §3.7).

    Parameters
    ----------
    daily : float64 array of shape (T,)
    rng : numpy.random.Generator
    horizon : int
        H, days of a path.
    n_paths : int

    Returns
    -------
    Bands
        The value at risk is 0 where even the 5 % quantile of the net profit is no loss; the
        drawdown counts from the start of a path at 1. Both None for T < 2, without deviation
        (fills rules §10.1), and where a return is not finite.
    """
    n_days = len(daily)
    if not deviation_of(daily) > 0.0:
        return Bands(None, None)
    days = stationary_indices(n_days, horizon, n_paths, mean_block(daily), rng)
    growth = np.maximum(1.0 + (daily - daily.mean()), 0.0)  # an account cannot fall below nothing
    equity = np.cumprod(growth[days], axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    drawdown = (1.0 - equity / peak).max(axis=1)
    loss = np.quantile(1.0 - equity[:, -1], CONFIDENCE)
    return Bands(max(float(loss), 0.0), float(np.quantile(drawdown, CONFIDENCE)))
