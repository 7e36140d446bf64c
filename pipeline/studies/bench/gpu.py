"""Measure on a GPU: one step of `scripts/gpu` a process, each figure written as soon as it exists.

    python -m pipeline.studies.bench.gpu CANDLES.npz FOLDER STEP

Needs NumPy, Numba, CuPy and a device, nothing else of the project's packages: a GPU host often has
no more. Candles and grid come from a file that `pipeline.studies.bench.pack` made elsewhere.

Exit status: 0 done, 1 the device's figures are not those of the CPU, 2 there is no device.
"""

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from gpu_engine import (
    Backend,
    BackendUnavailableError,
    Candles,
    Costs,
    EventBook,
    Float,
    GridSummary,
    RiskLimits,
    ScoreRule,
    Window,
    choose,
)
from gpu_engine.cuda_backend import CudaBackend
from pipeline.search import Dimension, Evaluator, Scores, Space, Summaries
from pipeline.strategies.liquidity_sweep import STRATEGY
from pipeline.studies.bench.kernel_clock import KernelClock, cupy_clock
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
#: Steps of the grid on which every kernel runs once.
TINY = COMPARED[0]
#: Bars of the history on which every kernel runs once.
TINY_BARS = 6_000
#: Combinations whose trades and metrics are compared with `reference` there.
PARITY_SAMPLE = 50
#: Combinations of the fine grid whose summary is compared with the CPU's.
PART = 1 << 20
#: Best combinations that a summary keeps.
KEPT = 100
#: Points of one evaluation, as the searches that draw ask for them.
BATCHES = (1, 16, 256, 4_096)
OBJECTIVES = (
    "net_profit",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "calmar_ratio",
    "win_rate",
    "profit_factor",
)
#: Objectives that may differ between a device and a CPU, and how far: ``pow`` of one library may
#: be an ulp beside that of the other, and an ulp may round to another twelfth digit.
UNEQUAL = {"calmar_ratio": 1e-11}


class DisagreementError(Exception):
    """The device's figures are not those of the CPU; the figures written say which."""


class Figures:
    """A file of figures, one JSON object a line, each written at once."""

    def __init__(self, path: Path, step: str) -> None:
        self.path, self._step = path, step

    def write(self, name: str, value: Any) -> None:
        """Append a figure to the file and print it."""
        line = json.dumps({"step": self._step, "figure": name, "value": value})
        with self.path.open("a") as lines:
            print(line, file=lines)
        print(line, flush=True)


class Bench(NamedTuple):
    """What all steps need: candles, the default grid, the device's backend, and its clock."""

    candles: Candles
    grid: Grid
    cuda: Backend
    clock: KernelClock
    figures: Figures

    @property
    def windows(self) -> tuple[Window, ...]:
        """The whole history."""
        return (Window(0, len(self.candles)),)

    def evaluator(self, steps: Mapping[str, int], backend: Backend) -> Evaluator:
        """Prepare the default grid, with other numbers of values, on a backend."""
        return setting_of(finer(self.grid, steps)).evaluator(self.candles, backend)


def measure_kernels(bench: Bench) -> None:
    """Run every kernel once on a short history, against NumPy and `reference`."""
    candles = bench.candles.cut(0, min(TINY_BARS, len(bench.candles)))
    tiny = bench._replace(candles=candles)
    setting = setting_of(finer(bench.grid, TINY))
    start = time.perf_counter()
    disagreements = check_parity(setting, candles, [bench.cuda], PARITY_SAMPLE).disagreements
    bench.figures.write("first_use_s", time.perf_counter() - start)
    bench.figures.write("parity", [str(d) for _, _, d in disagreements[:10]])
    cuda, numpy = (tiny.evaluator(TINY, b) for b in (bench.cuda, choose("numpy").backend))
    points = setting.space.points(np.arange(0, setting.space.size, 40))
    daily = [e.daily_of(points, tiny.windows[0]) for e in (cuda, numpy)]
    apart = float(np.abs(daily[0] - daily[1]).max(initial=0.0))
    bench.figures.write("daily_returns_apart", apart)
    unequal = unequal_scores(tiny, cuda, numpy)
    summaries = Summaries(tiny.windows, ScoreRule("net_profit", 1), KEPT)
    equal = same_summary(*(e.walk(summaries, _ignore)[0] for e in (cuda, numpy)))
    bench.figures.write("summaries_equal", equal)
    bench.figures.write("kernels", _plain(bench.clock))
    if disagreements or apart > 1e-12 or unequal or not equal:
        raise DisagreementError("kernels on a short history")


def measure_default(bench: Bench) -> None:
    """Time the default grid resident, end to end and kernel by kernel; compare all its scores."""
    scores, write = Scores(bench.windows, ScoreRule()), bench.figures.write
    resident = bench.evaluator({}, bench.cuda)
    write("combinations", resident.space.size)
    write("resident_s", median(lambda: resident.walk(scores, _ignore)))
    bench.clock.times()
    resident.walk(scores, _ignore)
    write("kernels", _plain(bench.clock))
    write("end_to_end_s", median(lambda: bench.evaluator({}, bench.cuda).walk(scores, _ignore)))
    bench.clock.times()
    bench.evaluator({}, bench.cuda).walk(scores, _ignore)
    write("kernels_end_to_end", _plain(bench.clock))
    nothing = cast(Backend, _NoBackend())
    write("events_s", median(lambda: bench.evaluator({}, nothing).market))
    if unequal_scores(bench, resident, bench.evaluator({}, cpu_backend(bench.figures))):
        raise DisagreementError("scores of the default grid")


def measure_billion(bench: Bench, steps: Mapping[str, int] = FINE) -> None:
    """Summarise the fine grid twice, then compare a part of it with the CPU."""
    summaries, write = Summaries(bench.windows, ScoreRule(), KEPT), bench.figures.write
    fine = bench.evaluator(steps, bench.cuda)
    write("combinations", fine.space.size)
    start = time.perf_counter()
    _ = fine.market
    write("load_s", time.perf_counter() - start)
    bench.clock.times()
    for name in ("first_s", "second_s"):
        write(name, median(lambda: fine.walk(summaries, _ignore), repeats=1))
        write(f"kernels_{name}", _plain(bench.clock))
    parts = fine.grid.parts(PART)
    part = parts[len(parts) // 2]
    cpu = bench.evaluator(steps, cpu_backend(bench.figures))
    equal = same_summary(*(summaries.over(e, part, _ignore)[0] for e in (fine, cpu)))
    write("part", {"combinations": len(part), "equal": equal})
    if not equal:
        raise DisagreementError(f"summary of combinations {part.start:,} to {part.stop:,}")


def measure_crossover(bench: Bench, compared: Sequence[Mapping[str, int]] = COMPARED) -> None:
    """Time both backends on few points and on growing grids, with data resident."""
    cpu = cpu_backend(bench.figures)
    evaluators = [bench.evaluator({}, backend) for backend in (bench.cuda, cpu)]
    rng = np.random.default_rng(0)
    for size in BATCHES:
        points = evaluators[0].space.points(rng.integers(evaluators[0].space.size, size=size))
        works = [partial(e.points, points, bench.windows) for e in evaluators]
        _compare(bench, "points", size, works)
    scores = Scores(bench.windows, ScoreRule())
    for steps in compared:
        evaluators = [bench.evaluator(steps, backend) for backend in (bench.cuda, cpu)]
        size = evaluators[0].space.size
        _compare(bench, "grid", size, [partial(e.walk, scores, _ignore) for e in evaluators])


def walk_once(bench: Bench) -> None:
    """Score the default grid once, for a profiler."""
    bench.evaluator({}, bench.cuda).walk(Scores(bench.windows, ScoreRule()), _ignore)


STEPS: dict[str, Callable[[Bench], None]] = {
    "kernels": measure_kernels,
    "default": measure_default,
    "billion": measure_billion,
    "crossover": measure_crossover,
    "walk": walk_once,
}


def unequal_scores(bench: Bench, cuda: Evaluator, cpu: Evaluator) -> bool:
    """Compare all scores of a grid for every objective; tell whether one differs that may not."""
    wrong = False
    for objective in OBJECTIVES:
        rule = Scores(bench.windows, ScoreRule(objective, 1))
        got, expected = (e.walk(rule, _ignore)[0] for e in (cuda, cpu))
        differing = ~((got == expected) | (np.isnan(got) & np.isnan(expected)))
        with np.errstate(invalid="ignore"):
            apart = np.abs(got - expected) / np.abs(expected)
        farthest = float(apart[differing].max(initial=0.0))
        bench.figures.write(
            "scores",
            {
                "objective": objective,
                "admissible": int(np.count_nonzero(~np.isnan(expected))),
                "differing": int(np.count_nonzero(differing)),
                "farthest": farthest,
            },
        )
        wrong |= bool(differing.any()) and not farthest <= UNEQUAL.get(objective, 0.0)
    return wrong


def same_summary(got: GridSummary, expected: GridSummary) -> bool:
    """Tell whether two summaries are equal in every index, score, count and cell."""
    return (
        np.array_equal(got.index, expected.index)
        and np.array_equal(got.score, expected.score)
        and got.admissible == expected.admissible
        and all(
            np.array_equal(got.pairs[pair], table, equal_nan=True)
            for pair, table in expected.pairs.items()
        )
    )


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


def cpu_backend(figures: Figures) -> Backend:
    """Take numba, or numpy where numba does not run; write which and why."""
    try:
        choice = choose("numba")
    except BackendUnavailableError as error:
        choice = choose("numpy")._replace(reason=str(error))
    figures.write("compared_with", [choice.backend.name, choice.reason])
    return choice.backend


def _compare(bench: Bench, what: str, size: int, works: Sequence[Callable[[], object]]) -> None:
    cuda, cpu = (median(work) for work in works)
    figures = {"combinations": size, "cuda_s": cuda, "cpu_s": cpu, "ratio": cpu / cuda}
    bench.figures.write(what, figures)


def _plain(clock: KernelClock) -> dict[str, dict[str, float]]:
    """Return launches and milliseconds of every kernel."""
    return {kernel: taken._asdict() for kernel, taken in clock.times().items()}


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


def _describe(figures: Figures, device: str) -> None:
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for name in ("numba", "cupy"):
        versions[name] = import_module(name).__version__
    figures.write("device", device)
    figures.write("versions", versions)
    if shutil.which("nvidia-smi"):
        command = [
            "nvidia-smi",
            "--query-gpu=name,driver_version,clocks.sm,clocks.max.sm,memory.total",
        ]
        run = subprocess.run(
            [*command, "--format=csv,noheader"], capture_output=True, text=True, check=False
        )
        figures.write("nvidia_smi", run.stdout.strip() or run.stderr.strip())


def main(arguments: list[str] | None = None) -> int:
    """Measure one step; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/gpu", description=__doc__)
    parser.add_argument("candles", type=Path, help="npz made by scripts/gpu --pack")
    parser.add_argument("folder", type=Path, help="where figures.jsonl is added to")
    parser.add_argument("step", choices=STEPS)
    options = parser.parse_args(arguments)
    try:
        choice = choose("cuda")
    except BackendUnavailableError as error:
        print(f"{error}. Nothing was measured.", file=sys.stderr)
        return 2
    figures = Figures(options.folder / "figures.jsonl", options.step)
    assert isinstance(choice.backend, CudaBackend)
    clock = cupy_clock(choice.backend.devices[0])
    backend = CudaBackend([clock])
    if options.step == "kernels":
        _describe(figures, choice.reason)
    candles, grid = read_candles(options.candles), read_grid(options.candles)
    try:
        STEPS[options.step](Bench(candles, grid, backend, clock, figures))
    except DisagreementError as error:
        print(f"The device disagrees with the CPU: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
