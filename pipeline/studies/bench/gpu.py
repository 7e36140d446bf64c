"""Measure every figure that needs a GPU (`scripts/gpu`).

Needs NumPy, Numba, CuPy and a device, nothing else of the project's packages: a GPU host often has
no more. Candles and grid come from a file that `pipeline.studies.bench.pack` made elsewhere.

Measured: the grid of 201,600 combinations with data resident and end to end, the fine grid of
1.0 x 10^9 as a summary, and the ratio to the numba backend for growing numbers of combinations.
Parity is checked first; every time is the median of repeats after a warm-up.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from gpu_engine import (
    Backend,
    BackendUnavailableError,
    Candles,
    Costs,
    EventBook,
    Float,
    RiskLimits,
    ScoreRule,
    Window,
    choose,
)
from pipeline.search import Dimension, Scores, Space, Summaries
from pipeline.strategies.liquidity_sweep import STRATEGY
from pipeline.studies.bench.parity import check_parity
from pipeline.studies.bench.setting import Setting

#: Values of every parameter, ascending.
Grid = Mapping[str, Float]

#: Steps of a grid of 1,003,520,000 combinations.
FINE = {
    "pierce_depth": 25,
    "volume_spike_threshold": 32,
    "reversal_candle_size": 14,
    "key_level_lookback": 20,
    "stop_distance": 32,
    "target_multiple": 28,
}
#: Steps of grids of about 10^3, 10^5 and 10^7 combinations.
COMPARED = (
    {"pierce_depth": 1, "rejection_candles": 1, "volume_spike_threshold": 1},
    {"pierce_depth": 3},
    {"stop_distance": 32, "target_multiple": 37},
)
#: Combinations whose trades and metrics are compared with `reference`.
PARITY_SAMPLE = 200


def finer(grid: Grid, steps: Mapping[str, int]) -> dict[str, Float]:
    """Return ``grid`` with some parameters at so many even ``steps`` over their range."""
    fine = dict(grid)
    for name, count in steps.items():
        values = np.linspace(grid[name][0], grid[name][-1], count)
        fine[name] = np.rint(values) if name == "key_level_lookback" else values
    return fine


def setting_of(grid: Grid) -> Setting:
    """Return ``grid`` at the default costs and limits."""
    axes = [
        Dimension(
            parameter, grid[parameter.name], grid[parameter.name][0], grid[parameter.name][-1]
        )
        for parameter in STRATEGY.parameters
    ]
    return Setting(Space(STRATEGY, tuple(axes)), Costs(), RiskLimits())


class _NoBackend:
    """Load nothing, so that only the event tables take time."""

    name = "none"

    def load(self, book: EventBook) -> None:
        """Forget the book."""


def measure(
    candles: Candles,
    cuda: Backend,
    grid: Grid,
    fine: Mapping[str, int],
    compared: Sequence[Mapping[str, int]],
) -> dict[str, Any]:
    """Measure ``grid``, its ``fine`` version, and the ``compared`` versions on both backends.

    Raises
    ------
    AssertionError
        When ``cuda`` disagrees with `reference`.
    """
    default, finest = setting_of(grid), setting_of(finer(grid, fine))
    disagreements = check_parity(default, candles, [cuda], PARITY_SAMPLE, seed=0).disagreements
    if disagreements:
        raise AssertionError(f"combination {disagreements[0][1]}: {disagreements[0][2]}")
    nothing = cast(Backend, _NoBackend())
    windows = (Window(0, len(candles)),)
    scores, summaries = Scores(windows, ScoreRule()), Summaries(windows, ScoreRule(), 100)
    resident, fine_evaluator = (s.evaluator(candles, cuda) for s in (default, finest))
    return {
        "bars": len(candles),
        "combinations": default.space.size,
        "resident_s": median(lambda: resident.walk(scores, _ignore)),
        "end_to_end_s": median(lambda: default.evaluator(candles, cuda).walk(scores, _ignore)),
        "events_s": median(lambda: default.evaluator(candles, nothing).market),
        "fine_combinations": finest.space.size,
        "fine_s": median(lambda: fine_evaluator.walk(summaries, _ignore), repeats=1),
        "against_numba": [
            compare(setting_of(finer(grid, steps)), candles, cuda) for steps in compared
        ],
    }


def compare(setting: Setting, candles: Candles, cuda: Backend) -> dict[str, float]:
    """Time both backends on one grid with data resident."""
    scores = Scores((Window(0, len(candles)),), ScoreRule())
    seconds = []
    for backend in (cuda, choose("numba").backend):
        evaluator = setting.evaluator(candles, backend)
        seconds.append(median(partial(evaluator.walk, scores, _ignore)))
    return {
        "combinations": setting.space.size,
        "cuda_s": seconds[0],
        "numba_s": seconds[1],
        "ratio": seconds[1] / seconds[0],
    }


def median(work: Callable[[], object], repeats: int = 5) -> float:
    """Median seconds of ``work`` after one warm-up (none when it runs once)."""
    if repeats > 1:
        work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _ignore(done: int) -> None:
    pass


def read_candles(path: Path) -> Candles:
    """Read the candles of a packed file."""
    with np.load(path) as packed:
        columns = {name: packed[name] for name in packed.files if "." not in name}
    return Candles(**{**columns, "step_ms": int(columns["step_ms"])})


def read_grid(path: Path) -> Grid:
    """Read the grid of a packed file."""
    with np.load(path) as packed:
        return {n.removeprefix("grid."): packed[n] for n in packed.files if n.startswith("grid.")}


def main(arguments: list[str] | None = None) -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="scripts/gpu", description=__doc__)
    parser.add_argument("candles", type=Path, help="npz made by scripts/gpu --pack")
    path = parser.parse_args(arguments).candles
    try:
        cuda = choose("cuda").backend
    except BackendUnavailableError as error:
        sys.exit(f"{error}. Nothing was measured.")
    report = measure(read_candles(path), cuda, read_grid(path), FINE, COMPARED)
    report["device"] = choose("cuda").reason
    report["python"], report["numpy"] = platform.python_version(), np.__version__
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
