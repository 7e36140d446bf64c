"""Compare trades and metrics of backends with `reference`, before anything is timed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gpu_engine import (
    METRICS,
    Backend,
    Candles,
    Disagreement,
    Window,
    choose,
    compare_metrics,
    compare_trades,
)
from pipeline.studies.bench.setting import Setting


class Parity(NamedTuple):
    """How much was compared, and every disagreement: backend, combination's index, figure."""

    combinations: int
    trades: int
    disagreements: list[tuple[str, int, Disagreement]]


def check_parity(
    setting: Setting, candles: Candles, backends: Sequence[Backend], sample: int
) -> Parity:
    """Hold trades and metrics of ``sample`` random combinations against `reference`."""
    space, window = setting.space, Window(0, len(candles))
    generator = np.random.default_rng(0)
    index = np.sort(generator.choice(space.size, min(sample, space.size), replace=False))
    points = space.points(index)
    reference = setting.evaluator(candles, choose("reference").backend)
    metrics = reference.points(points, (window,))[0]
    trades = [reference.trades(point, window) for point in points]
    found = []
    for backend in backends:
        evaluator = setting.evaluator(candles, backend)
        got = evaluator.points(points, (window,))[0]
        for i, point in enumerate(points):
            expected = {name: float(metrics[name][i]) for name in METRICS.names or ()}
            differing = compare_trades(trades[i], evaluator.trades(point, window))
            differing += compare_metrics(expected, got[i])
            found += [(backend.name, int(index[i]), d) for d in differing]
    return Parity(len(index), sum(map(len, trades)), found)
