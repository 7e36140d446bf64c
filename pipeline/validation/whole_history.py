"""Search the whole history: every combination's figures and daily returns (validation rules §4.1).

The grid in full when the space is one, whichever method searches, because what a method did not try
can only make luck smaller; else all points that the method asks. Blocks of returns stream out of
the engine; the matrix of all of them is never held.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gpu_engine import Advance, Bool, Float, Grid, Int64, ScoreRule, Window, scores_of
from pipeline.search import Evaluator, in_place
from pipeline.search.loop import SearchSettings, run_method
from pipeline.validation.windows import Days

#: Exits on at least so many different days, or a sixth of the days if that is more: a strategy
#: that hardly ever trades has no distribution to resample, and takes the power from all others.
MIN_ACTIVE_DAYS, ACTIVE_SHARE = 20, 6
#: Combinations looked at together for the best that is active.
CANDIDATES = 64
#: Part of the active combinations whose Sharpe ratios are averaged (validation rules §5.2).
TOP_SHARE = 0.01
#: Combinations above this quantile of the trades are active however rarely a timeframe trades.
BUSY = 0.9
#: Metrics that the pass keeps of every combination.
KEPT = ("sharpe_ratio", "sample_size")


@dataclass(frozen=True)
class SharpeAndTrades:
    """Sharpe ratio, NaN where inadmissible, and trades of every combination: float64 (2, n)."""

    windows: tuple[Window]
    rule: ScoreRule

    def over(self, evaluator: Evaluator, part: range, advance: Advance) -> Float:
        """Keep both figures of a part."""
        result = np.empty((2, len(part)))
        for index, metrics in evaluator.stream(self.windows, part, KEPT):
            at = index - part.start
            result[0, at] = _finite(scores_of(metrics[0], self.rule))
            result[1, at] = metrics["sample_size"][0]
            advance(metrics.size)
        return result

    def join(self, grid: Grid, parts: Iterable[tuple[range, Float]]) -> Float:
        """Put every part in its place."""
        return in_place(2, grid, parts)


@dataclass(frozen=True, eq=False)
class WholeHistory:
    """Annualised Sharpe ratios over all full days.

    ``points`` float64 (n, P) or None for the whole grid; ``sharpe`` float64 (n,), NaN where the
    combination is inadmissible; ``trades`` float64 (n,).
    """

    evaluator: Evaluator
    window: Window
    n_days: int
    points: Float | None
    sharpe: Float
    trades: Float

    @property
    def admissible(self) -> int:
        """Number of admissible combinations."""
        return int(np.count_nonzero(~np.isnan(self.sharpe)))

    @property
    def best(self) -> float | None:
        """Best admissible Sharpe ratio, annualised; None where nothing is admissible."""
        return float(np.nanmax(self.sharpe)) if self.admissible else None

    @property
    def top(self) -> float | None:
        """Mean Sharpe ratio of the best 1 % of those that trade enough (validation rules §5.2).

        Annualised; None where no combination trades enough.
        """
        return top_sharpe(self.sharpe, self.trades, self.n_days)

    def best_active(self) -> Float | None:
        """Daily returns of the active combination with the largest Sharpe ratio, shape (T,)."""
        order = np.argsort(-self.sharpe, kind="stable")[: self.admissible]
        for first in range(0, len(order), CANDIDATES):
            daily = self._daily(order[first : first + CANDIDATES])
            active = self._active(daily)
            if active.any():
                best: Float = daily[np.argmax(active)]
                return best
        return None

    def columns(self, block: int, advance: Advance) -> Iterator[Float]:
        """Stream daily returns of the active combinations, (n, T); identical series once.

        About ``block`` combinations are evaluated at a time; ``advance`` hears of the admissible.
        """
        digests: set[bytes] = set()
        for daily, admissible in self._blocks(block):
            advance(int(np.count_nonzero(admissible)))
            active = np.flatnonzero(admissible & self._active(daily))
            new = []
            narrow = daily.take(active, axis=0).astype(np.float32)
            for row, series in zip(active.tolist(), narrow, strict=True):
                digest = hashlib.blake2b(series, digest_size=16).digest()
                if digest not in digests:
                    digests.add(digest)
                    new.append(row)
            yield daily.take(new, axis=0)

    def _blocks(self, block: int) -> Iterator[tuple[Float, Bool]]:
        """Daily returns of some combinations at a time, (n, T), and which are admissible, (n,)."""
        if self.points is not None:
            rows = np.flatnonzero(~np.isnan(self.sharpe))
            for first in range(0, len(rows), block):
                daily = self._daily(rows[first : first + block])
                yield daily, np.ones(len(daily), np.bool_)
            return
        for index, daily in self.evaluator.stream_daily(self.window, block, ~np.isnan(self.sharpe)):
            yield daily, ~np.isnan(self.sharpe[index])

    def _daily(self, rows: Int64) -> Float:
        points = self.evaluator.space.points(rows) if self.points is None else self.points[rows]
        return self.evaluator.daily_of(points, self.window)

    def _active(self, daily: Float) -> Bool:
        """Whether each series has enough days with an exit: a net return of exactly 0 is none.

        One with a return that is not finite is left out.
        """
        needed = max(MIN_ACTIVE_DAYS, self.n_days / ACTIVE_SHARE)
        active: Bool = np.count_nonzero(daily, axis=1) >= needed
        active &= np.isfinite(daily).all(axis=1)
        return active


def search_whole_history(
    evaluator: Evaluator, days: Days, settings: SearchSettings, number: int, advance: Advance
) -> WholeHistory:
    """Evaluate the grid, or what the method asks, over all full days.

    ``number`` of the search chooses the seed of a method that draws, as in `search`.
    """
    rule = ScoreRule("sharpe_ratio", settings.min_trades)
    window = days.whole
    if evaluator.space.discrete:
        sharpe, trades = evaluator.walk(SharpeAndTrades((window,), rule), advance)
        return WholeHistory(evaluator, window, days.count, None, sharpe, trades)
    points = run_method(evaluator, window, settings, number, advance).points
    metrics = evaluator.points(points, (window,))[0]
    trades = metrics["sample_size"].astype(np.float64)
    sharpe = _finite(scores_of(metrics, rule))
    return WholeHistory(evaluator, window, days.count, points, sharpe, trades)


def _finite(sharpe: Float) -> Float:
    """Make a ratio that is not finite inadmissible."""
    return np.where(np.isfinite(sharpe), sharpe, np.nan)


def top_sharpe(sharpe: Float, trades: Float, n_days: int) -> float | None:
    """Mean of the best 1 % of the Sharpe ratios whose combinations trade enough.

    Parameters
    ----------
    sharpe, trades : float64 arrays of shape (n,)
        A ratio that is not finite is that of an inadmissible combination.

    Returns
    -------
    float or None
        None where no combination is active (validation rules §5.2).
    """
    admissible = np.isfinite(sharpe)
    if not admissible.any():
        return None
    busy = float(np.quantile(trades[admissible], BUSY))
    floor = max(MIN_ACTIVE_DAYS, min(n_days / ACTIVE_SHARE, busy))
    active = sharpe[admissible & (trades >= floor)]
    if not len(active):
        return None
    count = math.ceil(TOP_SHARE * len(active))
    best = np.sort(np.partition(active, len(active) - count)[len(active) - count :])
    return float(best.mean())
