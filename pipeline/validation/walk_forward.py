"""Walk-forward: the search repeated on every train part, its winner run once on the test part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.metrics import annualised, metrics_of
from gpu_engine.records import TRADE, Float, Window
from pipeline.cli.console import Advance
from pipeline.search.evaluator import Evaluator
from pipeline.search.loop import Found, SearchSettings, search
from pipeline.validation.windows import Split


@dataclass(frozen=True, eq=False)
class WindowResult:
    """One window: what its search found, and both parts' metrics (`METRICS` records).

    ``in_sample`` and ``out_of_sample`` are None when the search had no winner; then the test days
    count as zero returns (validation rules §2).
    """

    split: Split
    found: Found
    in_sample: Any
    out_of_sample: Any


@dataclass(frozen=True, eq=False)
class Validation:
    """The evidence: every window, the stitched out-of-sample series, and the final search.

    Attributes
    ----------
    windows : tuple of WindowResult
    daily : float64 array of shape (T,)
        The test parts' daily returns, stitched: the out-of-sample (OOS) series.
    day : int32 array of shape (T,)
        UTC day of each, days since the epoch.
    trades : array of dtype `TRADE`
        Of all test parts, in order.
    metrics : record of dtype `METRICS`
        Of the OOS series.
    final : Found
        The same search on the last train days: what is stored and would be traded next.
    """

    windows: tuple[WindowResult, ...]
    daily: Float
    day: NDArray[np.int32]
    trades: NDArray[Any]
    metrics: Any
    final: Found

    @property
    def evaluations(self) -> int:
        """All evaluations of the run: the searches, and each window's winner on its test part."""
        tests = sum(w.out_of_sample is not None for w in self.windows)
        return sum(w.found.evaluated for w in self.windows) + self.final.evaluated + tests


def validate(
    evaluator: Evaluator,
    splits: Sequence[Split],
    final: Window,
    settings: SearchSettings,
    position_fraction: float,
    advance: Advance,
) -> Validation:
    """Search every train part and the final window, and test each winner once."""
    found = search(evaluator, [*(s.train for s in splits), final], settings, advance)
    windows = [_test(evaluator, s, f) for s, f in zip(splits, found, strict=False)]
    day = evaluator.candles.day
    daily, days, trades = [], [], [np.zeros(0, TRADE)]
    for window in windows:
        test = window.split.test
        first, last = int(day[test.start]), int(day[test.end - 1])
        days.append(np.arange(first, last + 1, dtype=np.int32))
        if window.found.point is None:
            daily.append(np.zeros(len(days[-1])))
        else:
            daily.append(evaluator.daily_returns(window.found.point, test))
            trades.append(evaluator.trades(window.found.point, test))
    series, closed = np.concatenate(daily), np.concatenate(trades)
    return Validation(
        windows=tuple(windows),
        daily=series,
        day=np.concatenate(days),
        trades=closed,
        metrics=metrics_of(position_fraction * closed["ret"], series),
        final=found[-1],
    )


def _test(evaluator: Evaluator, split: Split, found: Found) -> WindowResult:
    if found.point is None:
        return WindowResult(split, found, None, None)
    both = evaluator.points(found.point[None], (split.train, split.test))
    return WindowResult(split, found, both[0, 0], both[1, 0])


def is_overfit(validation: Validation) -> bool | None:
    """OOS Sharpe below half the winners' mean in-sample Sharpe; None when that is not positive."""
    promised = _mean(validation, lambda metrics: float(metrics["sharpe_ratio"]))
    if promised is None:
        return None
    return float(validation.metrics["sharpe_ratio"]) < 0.5 * promised


def walk_forward_efficiency(validation: Validation) -> float | None:
    """Annualised OOS over mean annualised in-sample net profit; None when that is not positive."""
    promised = _mean(
        validation, lambda metrics: annualised(float(metrics["net_profit"]), int(metrics["n_days"]))
    )
    if promised is None:
        return None
    return annualised(float(validation.metrics["net_profit"]), len(validation.daily)) / promised


def _mean(validation: Validation, figure: Callable[[Any], float]) -> float | None:
    """Mean of an in-sample figure over the windows' winners, where it is positive."""
    values = [figure(w.in_sample) for w in validation.windows if w.in_sample is not None]
    mean = float(np.mean(values)) if values else 0.0
    return mean if mean > 0.0 else None


def parameter_spread(
    validation: Validation, names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Smallest, median and largest winning value of every parameter over the windows."""
    points = [w.found.point for w in validation.windows if w.found.point is not None]
    if not points:
        return {}
    stacked = np.stack(points)
    columns = zip(names, stacked.T, strict=True)
    return {
        name: {"min": float(c.min()), "median": float(np.median(c)), "max": float(c.max())}
        for name, c in columns
    }
