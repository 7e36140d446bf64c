"""Measure every figure that needs a GPU (`scripts/gpu`).

Needs NumPy, Numba, CuPy and a device, nothing else of the project's packages: a GPU host often has
no more. `--export FILE CANDLES.npz`, run where Parquet can be read, makes the candles' file.

Measured: the grid of 201,600 combinations with data resident and end to end, the fine grid of
1.0 x 10^9 as a summary, and the ratio to the numba backend for growing numbers of combinations.
Parity is checked first; every time is the median of repeats after a warm-up.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gpu_engine import engine, exhaustive
from gpu_engine.agreement import compare_metrics, compare_trades
from gpu_engine.backend import Backend, BackendUnavailableError, choose
from gpu_engine.grid import Axis, Grid
from gpu_engine.records import (
    METRICS,
    Batch,
    Candles,
    Costs,
    ExitSettings,
    RiskLimits,
    Tables,
    Window,
)
from gpu_engine.scoring import ScoreRule
from pipeline.market_data.files.spacing import inferred_timeframe
from pipeline.market_data.grid import make_regular
from pipeline.strategies.base import EXIT_PARAMETERS, of_kind
from pipeline.strategies.liquidity_sweep import STRATEGY

Values = Mapping[str, Sequence[float]]

#: The default grid (liquidity_sweep rules §3).
DEFAULT_GRID: Values = {
    "pierce_depth": (0.0005, 0.001, 0.002, 0.003, 0.004, 0.005),
    "rejection_candles": (1, 2, 3, 4, 5),
    "volume_spike_threshold": (1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5),
    "reversal_candle_size": (0.5, 0.75, 1, 1.25, 1.5, 1.75, 2),
    "key_level_lookback": (20, 50, 100, 150, 200),
    "stop_distance": (0.5, 1, 1.5, 2),
    "target_multiple": (1.5, 2, 2.5, 3, 3.5, 4),
    "min_stop_density_score": (0.5,),
    "max_spread_tolerance": (np.inf,),
}


def finer(**counts: int) -> Values:
    """Return the default grid with some parameters at ``counts`` even steps over their range."""
    fine: dict[str, Sequence[float]] = {}
    for name, count in counts.items():
        steps = np.linspace(DEFAULT_GRID[name][0], DEFAULT_GRID[name][-1], count)
        whole = name == "key_level_lookback"
        fine[name] = (np.rint(steps) if whole else steps).tolist()
    return {**DEFAULT_GRID, **fine}


#: 1,003,520,000 combinations.
FINE_GRID = finer(
    pierce_depth=25,
    volume_spike_threshold=32,
    reversal_candle_size=14,
    key_level_lookback=20,
    stop_distance=32,
    target_multiple=28,
)
#: About 10^3, 10^5 and 10^7 combinations.
COMPARED = (
    finer(pierce_depth=1, rejection_candles=1, volume_spike_threshold=1),
    finer(pierce_depth=3),
    finer(stop_distance=32, target_multiple=37),
)


class Setting:
    """One grid over one market's candles, ready to be loaded on any backend."""

    def __init__(self, candles: Candles, values: Values) -> None:
        self.candles, self._values = candles, values
        thresholds = [p.name for p in of_kind(STRATEGY, "threshold")]
        axes = []
        for parameter in STRATEGY.parameters:
            name = parameter.name
            column = thresholds.index(name) if name in thresholds else -1
            axes.append(Axis(parameter.kind, np.array(values[name], np.float64), column))
        self.grid = Grid(tuple(axes))
        self.window = Window(0, len(candles))

    def tables(self) -> Tables:
        """Build the event tables: the part that stays on the CPU."""
        senses = {p.name: p.sense for p in of_kind(STRATEGY, "threshold")}
        loosest = {
            name: float(min(v) if senses[name] > 0 else max(v))
            for name, v in self._values.items()
            if name in senses and name != "max_spread_tolerance"
        }
        builder = STRATEGY.events(self.candles, loosest)
        names = [p.name for p in of_kind(STRATEGY, "structural")]
        settings = itertools.product(*(self._values[name] for name in names))
        tables = tuple(builder.table(dict(zip(names, s, strict=True))) for s in settings)
        return Tables(tables, tuple(senses.values()))

    def load(self, backend: Backend) -> engine.Market:
        """Send tables, exits and candles to ``backend``."""
        exits = np.array(list(itertools.product(*(self._values[n] for n in EXIT_PARAMETERS))))
        settings = ExitSettings(exits[:, 0].copy(), exits[:, 1].copy())
        return engine.load(self.candles, self.tables(), settings, Costs(), RiskLimits(), backend)

    def score(self, market: engine.Market) -> None:
        """Score the whole grid."""
        exhaustive.score(market, self.grid, (self.window,), ScoreRule(), _ignore)


def measure(
    candles: Candles, cuda: Backend, fine: Values, against_numba: Sequence[Values]
) -> dict[str, Any]:
    """Measure everything: the default grid, a ``fine`` one, and some on both backends."""
    default, finest = Setting(candles, DEFAULT_GRID), Setting(candles, fine)
    market = default.load(cuda)
    check_parity(default, market)
    fine_market = finest.load(cuda)
    windows = (finest.window,)
    return {
        "bars": len(candles),
        "combinations": default.grid.size,
        "resident_s": median(lambda: default.score(market)),
        "end_to_end_s": median(lambda: default.score(default.load(cuda))),
        "events_s": median(default.tables),
        "fine_combinations": finest.grid.size,
        "fine_s": median(
            lambda: exhaustive.summarise(
                fine_market, finest.grid, windows, ScoreRule(), 100, _ignore
            ),
            repeats=1,
        ),
        "against_numba": [compare(Setting(candles, values), cuda) for values in against_numba],
    }


def compare(setting: Setting, cuda: Backend) -> dict[str, float]:
    """Time both backends on one grid with data resident."""
    seconds = {}
    for backend in (cuda, choose("numba").backend):
        market = setting.load(backend)
        seconds[backend.name] = median(partial(setting.score, market))
    return {
        "combinations": setting.grid.size,
        "cuda_s": seconds["cuda"],
        "numba_s": seconds["numba"],
        "ratio": seconds["numba"] / seconds["cuda"],
    }


def check_parity(setting: Setting, market: engine.Market, sample: int = 200) -> None:
    """Compare random combinations with `reference`; raise on the first difference."""
    reference = setting.load(choose("reference").backend)
    rng = np.random.default_rng(0)
    index, batch = next(setting.grid.units(setting.grid.n_units))
    for position in rng.choice(len(index), sample, replace=False):
        unit, offset = divmod(int(position), batch.exits_per_unit)
        one = Batch(
            batch.table[unit : unit + 1],
            batch.thresholds[unit : unit + 1],
            np.array([offset], np.int32),
            1,
        )
        found = compare_trades(
            engine.trades(reference, one, setting.window),
            engine.trades(market, one, setting.window),
        )
        expected = engine.evaluate(reference, one, (setting.window,))[0, 0]
        got = engine.evaluate(market, one, (setting.window,))[0, 0]
        found += compare_metrics({n: float(expected[n]) for n in METRICS.names or ()}, got)
        if found:
            raise AssertionError(f"combination {index[position]}: {found[0]}")


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
    """Read the file that `--export` made."""
    with np.load(path) as held:
        columns = {name: held[name] for name in held.files}
    return Candles(**{**columns, "step_ms": int(columns["step_ms"])})


def export(source: Path, path: Path) -> None:
    """Write a candle file's regular grid as npz."""
    from pipeline.market_data.files.reading import read_file

    raw = read_file(str(source))
    candles, _ = make_regular(raw, inferred_timeframe(raw.timestamp, source.name), source.name)
    names = ("timestamp", "open", "high", "low", "close", "volume", "filled", "step_ms")
    np.savez_compressed(path, **{name: getattr(candles, name) for name in names})


def main(arguments: list[str] | None = None) -> None:
    """Print one JSON object, or write candles for another machine."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.studies.bench.gpu", description=__doc__
    )
    parser.add_argument("candles", type=Path, help="npz made by --export")
    parser.add_argument("--export", type=Path, metavar="FILE", help="make CANDLES of this file")
    given = parser.parse_args(arguments)
    if given.export:
        export(given.export, given.candles)
        return
    try:
        cuda = choose("cuda").backend
    except BackendUnavailableError as error:
        sys.exit(f"{error}. Nothing was measured.")
    report = measure(read_candles(given.candles), cuda, FINE_GRID, COMPARED)
    report["device"] = choose("cuda").reason
    report["python"], report["numpy"] = platform.python_version(), np.__version__
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
