"""Simulate combinations of a search again, on the days that it saw and on those that it did not.

The candles are those of the training. What lies within the gap on either side of the days of the
search is left out, as the validation leaves it out before its test days (validation rules §1.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import METRICS, Candles, Float, Int32, Window, choose, marked_metrics
from pipeline.config import SimulationConfig
from pipeline.search import Evaluator
from pipeline.search.space import point_of, some_points
from pipeline.validation.holding import hold_returns
from pipeline.validation.windows import whole_days


@dataclass(frozen=True, eq=False)
class Period:
    """What some combinations came to on some days.

    Attributes
    ----------
    day : int32 array of shape (D,)
        UTC days since the epoch, ascending. Positions are flat at the first of each run of days
        and are closed at its end.
    daily : float64 array of shape (n, D)
        Net returns, marked to market (fills rules §10.4).
    metrics : array of dtype `METRICS` and shape (n,)
        `gpu_engine.marking.marked_metrics` of both.
    hold : float64 array of shape (D,)
        Of holding the market.
    """

    day: Int32
    daily: Float
    metrics: NDArray[Any]
    hold: Float


@dataclass(frozen=True, eq=False)
class Replay:
    """The same combinations on both kinds of days.

    ``before`` and ``after`` are the unseen days of the training's candles on either side of the
    search's, ``since`` those after the training, each None where there are none; ``unseen`` is all
    together, None where there are none of them. ``refused`` is why later candles were not used.
    """

    seen: Period
    before: Int32 | None
    after: Int32 | None
    unseen: Period | None
    gap: int
    since: Int32 | None = None
    refused: str = ""


def replay(
    config: SimulationConfig,
    candles: Candles,
    combinations: Sequence[Mapping[str, float | None]],
    seen: Int32,
    gap: int,
    trained: int | None = None,
) -> Replay:
    """Simulate some combinations on the days of a search, and on the others.

    Parameters
    ----------
    config : SimulationConfig
        What the search was told of costs and risk.
    combinations : sequence of mapping
        Values by name, None for off; at least one.
    seen : int32 array of shape (D,)
        UTC days of the search, days since the epoch.
    gap : int
        Days that are left out on either side of these.
    trained : int, optional
        Bars of the training; later ones came since. By default all.
    """
    strategy, risk = config.strategy.load(), config.risk.limits()
    points = np.array([point_of(strategy, combination) for combination in combinations])
    space = some_points(strategy, points)
    evaluator = Evaluator(candles, space, config.costs.record(), risk, choose().backend)
    own, *others = _windows(candles, seen, gap, len(candles) if trained is None else trained)
    unseen = [window for window in others if window is not None]
    before, after, since = (None if one is None else candles.calendar(one) for one in others)
    trades = evaluator.trades_of(points, (own, *unseen))
    return Replay(
        seen=_period(evaluator, [some[:1] for some in trades], [own]),
        before=before,
        after=after,
        unseen=_period(evaluator, [some[1:] for some in trades], unseen) if unseen else None,
        gap=gap,
        since=since,
    )


def _windows(
    candles: Candles, seen: Int32, gap: int, trained: int
) -> tuple[Window, Window | None, Window | None, Window | None]:
    """Cut the days of a search, those before, those after and those since the training.

    The gap is left out on either side of the first.
    """
    days, known = whole_days(candles), whole_days(candles.cut(0, trained)).count
    first = int(candles.day[days.first_bar])
    start, end = int(seen[0]) - first, int(seen[-1]) + 1 - first
    before = days.window(0, start - gap) if start > gap else None
    after = days.window(end + gap, known) if end + gap < known else None
    begin = max(end + gap, known)
    since = days.window(begin, days.count) if begin < days.count else None
    return days.window(start, end), before, after, since


def _period(
    evaluator: Evaluator, trades: Sequence[Sequence[NDArray[Any]]], windows: Sequence[Window]
) -> Period:
    """Value the trades of every combination in some windows, one after another."""
    fraction, candles = evaluator.risk.exposure, evaluator.candles
    day = np.concatenate([candles.calendar(window) for window in windows])
    daily = np.array(
        [
            np.concatenate(
                [evaluator.marked_returns(t, w) for t, w in zip(some, windows, strict=True)]
            )
            for some in trades
        ]
    )
    metrics = np.empty(len(trades), METRICS)
    for row, some in enumerate(trades):
        metrics[row] = marked_metrics(fraction * np.concatenate(some)["ret"], daily[row])
    return Period(day, daily, metrics, hold_returns(candles, day))
