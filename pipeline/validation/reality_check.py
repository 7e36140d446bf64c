"""Test the best of many combinations against the best that luck shows (validation rules §4).

The largest daily Sharpe ratio over all combinations is held against the largest that stationary
bootstrap resamples of the same days show around each combination's own Sharpe ratio (White 2000, A
Reality Check for Data Snooping, Econometrica 68(5), with the Sharpe ratio recomputed in every
resample instead of a mean). All resamples of a block of columns are two matrix products.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gpu_engine import Float, deviation_of
from pipeline.executors.share import cores
from pipeline.validation.bootstrap import resample_counts, stationary_indices

Float32 = NDArray[np.float32]

#: Columns of one matrix product: B by this many float32 stay in the cache. Fixed, so that the
#: rounding of the products does not depend on how the columns arrive.
COLUMNS = 512
#: A resampled variance at or below this share of its second moment is rounding: the column is flat
#: in that resample.
FLAT = 1e-5


@dataclass(frozen=True, eq=False)
class RealityCheck:
    """The result of the check.

    Attributes
    ----------
    p_value : float or None
        ``(1 + #{maximum >= statistic}) / (B + 1)``; None where there was nothing to test. A
        resample in which no column varies has no maximum, and counts as one that reached it.
    statistic : float or None
        Largest Sharpe ratio over the columns, per observation.
    maxima : float64 array of shape (B,)
        Largest ``SR* - SR`` of every resample: the distribution of the best of luck; -inf where it
        has none.
    n_columns : int
        Columns with a deviation (fills rules §10.1) and finite returns: those that were tested.
    mean_block : float
        Mean block length of the resamples, observations.
    """

    p_value: float | None
    statistic: float | None
    maxima: Float
    n_columns: int
    mean_block: float


class MaxSharpe:
    """The check, fed with columns in blocks of any size; only B maxima are kept.

    A context manager: inside it threads of its own work on fixed chunks of columns, and BLAS is
    held to one thread each, so the rounding depends neither on cores nor on how columns arrive.

    Parameters
    ----------
    indices : integer array of shape (B, T)
        Days of each resample (`bootstrap.stationary_indices`).
    mean_block : float
        Mean block length that they were drawn with, days; for the record.
    threads : int or None
        None for one a core.
    xp : module
        NumPy, or CuPy where the products shall run on a GPU.
    """

    def __init__(
        self,
        indices: NDArray[np.integer[Any]],
        mean_block: float,
        threads: int | None = None,
        xp: ModuleType = np,
    ) -> None:
        n_resamples, n_days = indices.shape
        counts = resample_counts(indices, n_days)
        self._weights = xp.asarray(counts / np.float32(n_days))
        self._mean_block, self._xp = mean_block, xp
        self._maxima = np.full(n_resamples, -np.inf, np.float32)
        self._statistic, self._n_columns = -np.inf, 0
        self._waiting, self._n_waiting = np.empty((COLUMNS, n_days)), 0
        # One chunk after the other where a GPU works on each.
        self._threads = (threads or cores()) if xp is np else 1
        self._ahead: deque[Future[_Chunk]] = deque()

    def __enter__(self) -> MaxSharpe:
        self._limit = threadpool_limits(1, "blas")
        self._pool = ThreadPoolExecutor(self._threads)
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._limit.restore_original_limits()

    def add(self, returns: NDArray[Any]) -> None:
        """Take daily returns of some combinations, (n, T).

        Those without deviation (fills rules §10.1) or with a return that is not finite drop out.
        """
        taken = 0
        while taken < len(returns):
            some = returns[taken : taken + COLUMNS - self._n_waiting]
            self._waiting[self._n_waiting : self._n_waiting + len(some)] = some
            self._n_waiting += len(some)
            taken += len(some)
            if self._n_waiting == COLUMNS:
                self._work()

    def result(self) -> RealityCheck:
        """Return the outcome over all columns so far."""
        self._work()
        self._collect(0)
        maxima = self._maxima.astype(np.float64)
        if not self._n_columns:
            return RealityCheck(None, None, maxima[:0], 0, self._mean_block)
        reached = np.count_nonzero((maxima >= self._statistic) | np.isneginf(maxima))
        p_value = (1 + int(reached)) / (len(maxima) + 1)
        return RealityCheck(p_value, self._statistic, maxima, self._n_columns, self._mean_block)

    def _work(self) -> None:
        """Hand the waiting columns to a thread."""
        series, self._waiting = self._waiting[: self._n_waiting], np.empty_like(self._waiting)
        self._n_waiting = 0
        if len(series):
            self._ahead.append(self._pool.submit(_best_of_luck, series, self._weights, self._xp))
            self._collect(2 * self._threads)

    def _collect(self, left: int) -> None:
        """Take in chunks until at most ``left`` are still at work."""
        while len(self._ahead) > left:
            chunk = self._ahead.popleft().result()
            np.maximum(self._maxima, chunk.maxima, out=self._maxima)
            self._statistic = max(self._statistic, chunk.statistic)
            self._n_columns += chunk.n_columns


class _Chunk(NamedTuple):
    """What some columns add: their maxima (B,), largest Sharpe ratio, and how many vary."""

    maxima: Float32
    statistic: float
    n_columns: int


def _best_of_luck(series: Float, weights: Any, xp: Any) -> _Chunk:
    """Resample some columns, shape (n, T), which is overwritten.

    They are standardised in float64 before they become float32: the Sharpe ratio of a resample is
    then a small number near the column's own, not a difference of large ones.
    """
    n_days = series.shape[1]
    deviation = deviation_of(series)
    varies = deviation > 0.0
    series[~varies] = 0.0
    average = series.mean(axis=1)
    series -= average[:, None]
    deviation[~varies] = 1.0
    series /= deviation[:, None]
    sharpe = average / deviation

    columns, own = xp.asarray(series.astype(np.float32)).T, xp.asarray(sharpe.astype(np.float32))
    mean = weights @ columns
    second = weights @ xp.square(columns)
    variance = second - xp.square(mean)
    flat = variance <= FLAT * second  # also where both are 0: a column that is flat itself
    variance *= np.float32(n_days / (n_days - 1))
    variance[flat] = 1.0
    mean += own
    mean /= xp.sqrt(variance)
    mean -= own
    mean[flat] = -np.inf
    maxima = mean.max(axis=1)
    return _Chunk(
        maxima if xp is np else xp.asnumpy(maxima),
        float(sharpe[varies].max(initial=-np.inf)),
        int(np.count_nonzero(varies)),
    )


def max_sharpe_reality_check(
    returns: NDArray[Any], n_resamples: int = 1000, mean_block: float = 1.0, seed: int = 0
) -> RealityCheck:
    """Run the check over a whole matrix.

    Parameters
    ----------
    returns : float array of shape (T, N)
        Daily returns, one column a combination. Duplicates change nothing but the time it takes.
    n_resamples, mean_block, seed
        Of the stationary bootstrap; the mean block in days.
    """
    rng, n_days = np.random.default_rng(seed), len(returns)
    indices = stationary_indices(n_days, n_days, n_resamples, mean_block, rng)
    with MaxSharpe(indices, mean_block) as check:
        check.add(np.asarray(returns).T)
        return check.result()
