"""Repeat the search on every train part and run its winner once on the test part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import (
    TRADE,
    Advance,
    Float,
    Window,
    choose,
    compare_trades,
    marked_metrics,
    metrics_of,
)
from pipeline.search import Evaluator
from pipeline.search.loop import SearchResult, SearchSettings, search
from pipeline.validation.windows import Split


@dataclass(frozen=True, eq=False)
class WindowResult:
    """One window: the result of its search, and both parts' metrics (`METRICS` records).

    ``in_sample`` and ``out_of_sample`` are None when the search had no winner; then the test days
    count as zero returns (validation rules §2).
    """

    split: Split
    search: SearchResult
    in_sample: Any
    out_of_sample: Any


@dataclass(frozen=True, eq=False)
class Validation:
    """The evidence: every window, the stitched out-of-sample series, and the final search.

    Attributes
    ----------
    windows : tuple of WindowResult
    daily : float64 array of shape (T,)
        The test parts' daily returns, marked to market (fills rules §10.4) and stitched: the
        out-of-sample (OOS) series.
    closed_daily : float64 array of shape (T,)
        The same days by closed trades: 0 on a day without an exit.
    day : int32 array of shape (T,)
        UTC day of each, days since the epoch.
    trades : array of dtype `TRADE`
        Of all test parts, in order.
    metrics : record of dtype `METRICS`
        Of the OOS series (`gpu_engine.marking.marked_metrics`).
    closed_metrics : record of dtype `METRICS`
        By closed trades.
    final : SearchResult
        The same search on the last train days: what is stored and would be traded next.
    """

    windows: tuple[WindowResult, ...]
    daily: Float
    closed_daily: Float
    day: NDArray[np.int32]
    trades: NDArray[Any]
    metrics: Any
    closed_metrics: Any
    final: SearchResult

    @property
    def evaluations(self) -> int:
        """All evaluations of the run: the searches, and each window's winner on its test part."""
        tests = sum(w.out_of_sample is not None for w in self.windows)
        return sum(w.search.evaluated for w in self.windows) + self.final.evaluated + tests


def validate(
    evaluator: Evaluator,
    splits: Sequence[Split],
    final: Window,
    settings: SearchSettings,
    position_fraction: float,
    advance: Advance,
) -> Validation:
    """Search every train part and the final window, and test each winner once."""
    *results, last = search(evaluator, [*(s.train for s in splits), final], settings, advance)
    windows = [_test(evaluator, s, result) for s, result in zip(splits, results, strict=True)]
    day_of = evaluator.candles.day
    marked, closed, days, trades = [], [], [], [np.zeros(0, TRADE)]
    for window in windows:
        test = window.split.test
        first, end = int(day_of[test.start]), int(day_of[test.end - 1])
        days.append(np.arange(first, end + 1, dtype=np.int32))
        if window.search.point is None:
            marked.append(np.zeros(len(days[-1])))
            closed.append(marked[-1])
        else:
            marked.append(evaluator.marked_returns(window.search.point, test))
            closed.append(evaluator.daily_returns(window.search.point, test))
            trades.append(evaluator.trades(window.search.point, test))
    daily, closed_daily = np.concatenate(marked), np.concatenate(closed)
    of_all = np.concatenate(trades)
    returns = position_fraction * of_all["ret"]
    return Validation(
        windows=tuple(windows),
        daily=daily,
        closed_daily=closed_daily,
        day=np.concatenate(days),
        trades=of_all,
        metrics=marked_metrics(returns, daily),
        closed_metrics=metrics_of(returns, closed_daily),
        final=last,
    )


def _test(evaluator: Evaluator, split: Split, result: SearchResult) -> WindowResult:
    if result.point is None:
        return WindowResult(split, result, None, None)
    both = evaluator.points(result.point[None], (split.train, split.test))
    return WindowResult(split, result, both[0, 0], both[1, 0])


class ReferenceDisagreementError(RuntimeError):
    """A backend and the reference path traded differently: a fault of this program."""


def check_against_reference(evaluator: Evaluator, validation: Validation) -> None:
    """Compare, trade by trade, each test part's winner and the stored configuration.

    Raises
    ------
    ReferenceDisagreementError
        Naming the first figure that differs.
    """
    for window in validation.windows:
        if window.search.point is not None:
            _compare(evaluator, window.search.point, window.split.test)
    if validation.final.point is not None:
        _compare(evaluator, validation.final.point, validation.final.window)


def _compare(evaluator: Evaluator, point: Float, window: Window) -> None:
    reference = evaluator.alone(point, choose("reference").backend)
    differences = compare_trades(reference.trades(point, window), evaluator.trades(point, window))
    if differences:
        raise ReferenceDisagreementError(
            f"bars [{window.start}, {window.end}) of {evaluator.space.parameters(point)}: the"
            f" reference path disagrees in {len(differences)} figures, the first {differences[0]}."
            " Nothing was stored. Run scripts/conform on a golden file and report it."
        )
