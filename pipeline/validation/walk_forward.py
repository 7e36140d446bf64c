"""Repeat the search on every train part and run its winner once on the test part."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import (
    TRADE,
    Advance,
    Candles,
    Float,
    Int32,
    Window,
    choose,
    compare_trades,
    marked_metrics,
    metrics_of,
)
from pipeline.errors import UserError
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


class TestDays(NamedTuple):
    """Test parts, stitched: UTC day, marked and closed return of each, (T,), and their trades."""

    day: Int32
    daily: Float
    closed: Float
    trades: NDArray[Any]


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
    day: Int32
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
    exposure: float,
    advance: Advance,
) -> Validation:
    """Search every train part and the final window, and test each winner once."""
    *results, last = search(evaluator, [*(s.train for s in splits), final], settings, advance)
    windows = [_test(evaluator, s, result) for s, result in zip(splits, results, strict=True)]
    tested = (
        (w.split.test, None if w.search.point is None else (evaluator, w.search.point))
        for w in windows
    )
    series = stitch(evaluator.candles, tested)
    returns = exposure * series.trades["ret"]
    return Validation(
        windows=tuple(windows),
        daily=series.daily,
        closed_daily=series.closed,
        day=series.day,
        trades=series.trades,
        metrics=marked_metrics(returns, series.daily),
        closed_metrics=metrics_of(returns, series.closed),
        final=last,
    )


def stitch(
    candles: Candles, parts: Iterable[tuple[Window, tuple[Evaluator, Float] | None]]
) -> TestDays:
    """Trade each test part's winner, and put the parts one after another.

    A part is its window and its winner: what evaluates it, and its point. The days of a part
    without a winner are 0 (validation rules §2.5).
    """
    day, daily, closed, trades = [], [], [], [np.zeros(0, TRADE)]
    for window, winner in parts:
        day.append(candles.calendar(window))
        if winner is None:
            daily.append(np.zeros(len(day[-1])))
            closed.append(daily[-1])
            continue
        evaluator, point = winner
        trades.append(evaluator.trades(point, window))
        daily.append(evaluator.marked_returns(trades[-1], window))
        closed.append(evaluator.daily_returns(point, window))
    return TestDays(
        np.concatenate(day), np.concatenate(daily), np.concatenate(closed), np.concatenate(trades)
    )


def _test(evaluator: Evaluator, split: Split, result: SearchResult) -> WindowResult:
    if result.point is None:
        return WindowResult(split, result, None, None)
    both = evaluator.points(result.point[None], (split.train, split.test))
    return WindowResult(split, result, both[0, 0], both[1, 0])


class ReferenceDisagreementError(UserError):
    """A backend and the reference path traded differently; nothing is stored. Commands exit with 1.

    The reference path makes the tables of one combination anew: a strategy whose rows depend on
    what else is searched, or on chance, trades differently there. Otherwise it is a fault of this
    program.
    """

    status = 1


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
            f" reference path, which plays this combination alone, disagrees in {len(differences)}"
            f" figures, the first {differences[0]}. Nothing was stored. A strategy of your own may"
            " be the cause, if its rows depend on loosest, on chance or on earlier calls:"
            " scripts/check looks for that. If it finds nothing, it is a fault of this program: run"
            " scripts/conform on a golden file and report it."
        )
