"""Estimate the probability of backtest overfitting by cross-validation of all combinations.

Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado & Zhu 2016, The
Probability of Backtest Overfitting, J. Computational Finance 20(4)). The days are cut into S
contiguous blocks. Each of the C(S, S/2) splits takes half of them in sample (IS), the rest out of
sample (OOS); the column with the best IS Sharpe ratio is chosen, and ranked OOS among all columns.

The returns are not kept: sums and sums of squares of every block give the Sharpe ratios of all
splits as two matrix products. Symbols: ``T`` days, ``N`` columns, ``S`` blocks, ``C`` splits.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Float, Int64, deviation_of

#: Sharpe ratios worked on at once, splits by columns: 256 KB stay in the cache, and products so
#: small stay on one thread (on busy cores the threads of BLAS wait for each other, up to tenfold).
CELLS = 1 << 15
#: Columns of a matrix that are looked through for duplicates at once.
PART = 4096
#: A variance of a half at or below this share of its second moment is rounding: the column is flat
#: there. Sums of squares do not see less; a column without any deviation leaves before (`add`).
FLAT = 1e-12
#: Sharpe ratios this close are equal: sums taken in another order differ by as much.
TIE = 1e-12


class Overfitting(NamedTuple):
    """What the splits show; None where there was nothing to compare.

    Half of all searches over pure noise show ``pbo < 0.5``, and columns without hope lower it
    further; so it is read with ``p_oos_loss``, which they do not touch (validation rules §3.4).
    """

    pbo: float | None
    """Share of the splits whose choice ranks in the lower half OOS; the very middle counts half."""
    p_oos_loss: float | None
    """Share of the splits whose choice has a negative OOS Sharpe ratio."""
    slope: float | None
    """OOS Sharpe ratio of the choice regressed on its IS Sharpe ratio; None if that is constant."""
    n_splits: int
    """Splits that count: the choice has an OOS Sharpe ratio, and so has another column."""


@dataclass(frozen=True, eq=False)
class Splits:
    """Choice of every split that counts; arrays of one length, at most C.

    Attributes
    ----------
    chosen : int64 array
        Column, in the order of arrival; the first of equals.
    in_sample, out_of_sample : float64 arrays
        Its Sharpe ratios, per observation with ddof 1.
    logit : float64 array
        ``ln(r / (N + 1 - r))`` of its OOS rank r, from 1 for the worst, among the N columns that
        have an OOS Sharpe ratio; equal columns share the mean of their ranks.
    """

    chosen: Int64
    in_sample: Float
    out_of_sample: Float
    logit: Float

    def summary(self) -> Overfitting:
        """Sum up the splits."""
        n_splits = len(self.chosen)
        if not n_splits:
            return Overfitting(None, None, None, 0)
        return Overfitting(
            pbo=float((self.logit < 0.0).mean() + (self.logit == 0.0).mean() / 2),
            p_oos_loss=float((self.out_of_sample < 0.0).mean()),
            slope=self._slope(),
            n_splits=n_splits,
        )

    def _slope(self) -> float | None:
        if np.ptp(self.in_sample) <= TIE:
            return None
        deviation = self.in_sample - self.in_sample.mean()
        return float(deviation @ self.out_of_sample / (deviation @ deviation))


class BlockSums:
    """The cross-validation, fed with columns in parts of any size.

    Parameters
    ----------
    n_days : int
        T. Blocks differ by a day where S does not divide it; below S nothing is defined.
    n_blocks : int
        S, even.
    """

    def __init__(self, n_days: int, n_blocks: int = 10) -> None:
        if n_blocks < 2 or n_blocks % 2:
            raise ValueError(f"n_blocks must be even and at least 2, not {n_blocks}")
        self._edges = n_days * np.arange(n_blocks + 1) // n_blocks
        halves = list(combinations(range(n_blocks), n_blocks // 2))
        self._choice = np.zeros((len(halves), n_blocks))
        np.put_along_axis(self._choice, np.array(halves), 1.0, axis=1)
        self._sums = [np.empty((n_blocks, 0))]
        self._squares = [np.empty((n_blocks, 0))]

    def add(self, returns: NDArray[Any]) -> None:
        """Take daily returns of some columns, shape (n, T), of any float dtype: rows are columns.

        A series without deviation (fills rules §10.1) and one with a return that is not finite are
        in no split. A series that was there before ties with itself and pulls the probability to
        one half: to leave it out is up to the caller.
        """
        sums, squares = np.empty((2, len(self._edges) - 1, len(returns)))
        for block, (start, end) in enumerate(pairwise(self._edges)):
            days = returns[:, start:end].astype(np.float64, order="C")  # the same sums for all
            days.sum(axis=1, out=sums[block])
            with np.errstate(over="ignore"):
                np.einsum("nt,nt->n", days, days, out=squares[block])
        sums[:, ~(deviation_of(returns) > 0.0)] = np.nan
        squares[np.isnan(sums)] = np.nan
        self._sums.append(sums)
        self._squares.append(squares)

    def result(self) -> Overfitting:
        """Sum up the splits over all columns so far; undefined where no split counts."""
        return self.splits().summary()

    def splits(self) -> Splits:
        """Choose and rank in every split, over all columns so far."""
        sums, squares = np.hstack(self._sums), np.hstack(self._squares)
        days = self._choice @ np.diff(self._edges)
        if sums.shape[1] < 2 or self._edges[1] == 0:
            nothing = np.empty(0)
            return Splits(nothing.astype(np.int64), nothing, nothing, nothing)
        halves = _Halves(self._choice / days[:, None], sums, squares)
        chosen, best = halves.best()
        own = halves.complements(chosen)
        logit = halves.logit(own)
        counts = np.isfinite(best) & np.isfinite(own) & np.isfinite(logit)
        unbiased = np.sqrt((days - 1.0) / days)  # from the population's deviation to ddof 1
        return Splits(
            chosen[counts], (best * unbiased)[counts], (own * unbiased[::-1])[counts], logit[counts]
        )


class _Halves(NamedTuple):
    """Sharpe ratios of all columns on all halves, part by part; population deviation, NaN if flat.

    `itertools.combinations` counts up, so the complement of half ``c`` is half ``C - 1 - c``: row
    ``c`` of ``sharpe[::-1]`` is out of sample what row ``c`` of ``sharpe`` is in sample.
    """

    weights: Float
    """Mean over the half, (C, S): 1 / days for its blocks."""
    sums: Float
    """Of the returns of each block, (S, N)."""
    squares: Float
    """The same of their squares."""

    def best(self) -> tuple[Int64, Float]:
        """Column of the largest Sharpe ratio, and that ratio, (C,) each; -inf where none is."""
        chosen = np.zeros(len(self.weights), np.int64)
        best = np.full(len(self.weights), -np.inf)
        for first, sharpe in self._parts():
            top = np.fmax.reduce(sharpe, axis=1)
            better = top > best + TIE
            column = (sharpe >= (top - TIE)[:, None]).argmax(axis=1)
            chosen[better], best[better] = first + column[better], top[better]
        return chosen, best

    def complements(self, chosen: Int64) -> Float:
        """Sharpe ratio of one column a split on the other half, (C,)."""
        weights = self.weights[::-1]
        mean = np.einsum("cs,sc->c", weights, self.sums[:, chosen])
        return _sharpe(mean, np.einsum("cs,sc->c", weights, self.squares[:, chosen]))

    def logit(self, own: Float) -> Float:
        """Logit of the rank of ``own`` among all columns on the other half, (C,); NaN if alone.

        With ``m`` columns ranked and ``d`` more of them below than above, ties cancelling,
        ``r / (m + 1 - r) = (m + 1 + d) / (m + 1 - d)``.
        """
        low, high = (own - TIE)[:, None], (own + TIE)[:, None]
        ranked, lead = np.zeros((2, len(own)))
        for _, sharpe in self._parts():
            other = sharpe[::-1]
            ranked += np.count_nonzero(~np.isnan(other), axis=1)
            lead += np.count_nonzero(other < low, axis=1)
            lead -= np.count_nonzero(other > high, axis=1)
        ranked[ranked < 2.0] = np.nan
        return np.log((ranked + 1.0 + lead) / (ranked + 1.0 - lead))

    def _parts(self) -> Iterator[tuple[int, Float]]:
        """First column and Sharpe ratios, (C, n), of one part of the columns after the other."""
        width = max(32, CELLS // len(self.weights))  # a product of fewer columns is slow
        for first in range(0, self.sums.shape[1], width):
            part = slice(first, first + width)
            mean = self.weights @ self.sums[:, part]
            yield first, _sharpe(mean, self.weights @ self.squares[:, part])


def _sharpe(mean: Float, second: Float) -> Float:
    """From the mean and the mean square."""
    variance = second - mean**2
    variance[variance <= FLAT * second] = np.nan
    return mean / np.sqrt(variance)


def probability_of_backtest_overfitting(returns: NDArray[Any], n_blocks: int = 10) -> Overfitting:
    """Cross-validate a whole matrix.

    Parameters
    ----------
    returns : float array of shape (T, N)
        Daily returns, one column a combination. Of identical columns one counts: ten copies of a
        combination are one combination, and would tie with themselves.
    n_blocks : int
        S, even.

    Returns
    -------
    Overfitting
        Undefined for fewer than two different columns, and where no split counts. A column without
        variance on a half is not there on that half; one with a return that is not finite, nowhere.

    Raises
    ------
    ValueError
        When ``n_blocks`` is odd.
    """
    sums = BlockSums(len(returns), n_blocks)
    digests: set[bytes] = set()
    for first in range(0, returns.shape[1], PART):
        rows = np.ascontiguousarray(returns[:, first : first + PART].T)
        sums.add(rows[_distinct(rows, digests)])
    return sums.result()


def _distinct(rows: NDArray[Any], digests: set[bytes]) -> list[int]:
    """Return the rows that occur for the first time; ``digests`` grow by theirs."""
    new = []
    for index, row in enumerate(rows + 0.0):  # -0.0 becomes 0.0
        digest = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
        if digest not in digests:
            digests.add(digest)
            new.append(index)
    return new
