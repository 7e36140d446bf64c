"""No time is worth printing of a backend that computes something else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpu_engine import reference
from gpu_engine.backend import Backend
from gpu_engine.records import METRICS, Candles, Window
from pipeline.agreement import Disagreement, compare_metrics, compare_trades
from pipeline.bench.setting import Setting
from pipeline.search.evaluator import Evaluator


class Parity(NamedTuple):
    """What was compared, and every disagreement: backend, index of the combination, figure."""

    combinations: int
    trades: int
    disagreements: list[tuple[str, int, Disagreement]]


def check_parity(
    setting: Setting, candles: Candles, backends: list[Backend], sample: int, seed: int
) -> Parity:
    """Hold trades and metrics of ``sample`` random combinations against `reference`."""
    space = setting.space
    generator = np.random.default_rng(seed)
    index = np.sort(generator.choice(space.size, min(sample, space.size), replace=False))
    points = space.points(index)
    window = Window(0, len(candles))
    exact = setting.evaluator(candles, reference)
    metrics = exact.points(points, (window,))[0]
    trades = [exact.trades(point, window) for point in points]
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
