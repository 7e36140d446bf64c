"""Time the engine and the searches, or the tests against luck; agreement is checked first.

Exit status: 0 done, 1 a backend disagrees with `reference` and nothing was timed, 2 the user's
mistake.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gpu_engine import Backend, Candles
from pipeline.cli.console import Console
from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import inferred_timeframe, make_regular
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.search.backends import cpu_backends, named_backend
from pipeline.studies.bench.against import NAMES, compare_trees
from pipeline.studies.bench.luck import measure_luck, print_luck
from pipeline.studies.bench.parity import Parity, check_parity
from pipeline.studies.bench.report import (
    grid_figures,
    print_comparison,
    print_machine,
    print_report,
)
from pipeline.studies.bench.setting import Setting, repeated
from pipeline.studies.bench.timing import Training, time_alone, time_grid, time_run
from pipeline.training import provenance

PARITY_SAMPLE = 200
WHAT = ("engine", "statistics")
#: Passes whose median counts. NumPy's takes seconds and hardly varies.
REPEATS = {"numpy": 1}
DEFAULT_REPEATS = 5


class History(NamedTuple):
    """Candles and what to call them."""

    candles: Candles
    timeframe: str
    source: str
    synthetic: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=WHAT, default="engine", help="engine, or the tests against luck"
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="default: demo candles, a year")
    parser.add_argument("--backend", metavar="NAME", help="default: every CPU backend there is")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--against", type=Path, metavar="PATH", help="another checkout: both trees, timed in turn"
    )
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=NAMES, help="what --against measures"
    )
    parser.add_argument("--pairs", type=int, help="measurements of each, in both trees")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        history = _history(options.data)
        if options.against:
            return _against(options, history, console)
        backends = _timed_backends(options.backend)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    if history.synthetic:
        console.note(f"No --data FILE: {history.source}")
    training = Training.default()
    if options.what == "statistics":
        return _statistics(training, history, console, options.json)
    parity = check_parity(training.setting, history.candles, backends, PARITY_SAMPLE, seed=0)
    if parity.disagreements:
        for name, index, disagreement in parity.disagreements:
            console.note(f"{name}, combination {index}: {disagreement}")
        console.note("A backend disagrees with reference: nothing was timed.")
        return 1
    report = measure(training, history, backends, parity, console)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print_report(console, report)
    return 0


def _against(options: argparse.Namespace, history: History, console: Console) -> int:
    if options.pairs is not None and options.pairs < 1:
        raise UserError(f"--pairs must be 1 or more; got {options.pairs}")
    words = ["market=demo"]
    if options.data:
        words = [f"market=btc_binance_{history.timeframe}", "data=file"]
        words.append(f"data.path={options.data.resolve()}")
    described = provenance.describe()
    report = {"machine": described, "source": history.source}
    report |= compare_trees(
        options.against, history.candles, words, options.only, options.pairs, console
    )
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print_machine(console, described)
        print_comparison(console, report)
    return 0


def _statistics(training: Training, history: History, console: Console, as_json: bool) -> int:
    described = provenance.describe()
    report = {"machine": described, "source": history.source}
    report |= measure_luck(training, history.candles, console)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        print_machine(console, described)
        print_luck(console, report)
    return 0


def measure(
    training: Training,
    history: History,
    backends: Sequence[Backend],
    parity: Parity,
    console: Console,
) -> dict[str, Any]:
    """Time ``backends``, and growth and searches with the last of them."""
    setting, candles = training.setting, history.candles
    size = setting.space.size
    alone = {}
    for backend in backends:
        console.note(f"timing {backend.name}")
        repeats = REPEATS.get(backend.name, DEFAULT_REPEATS)
        seconds, peak = time_alone(setting, candles, backend.name, repeats)
        alone[backend.name] = grid_figures(seconds, len(candles), size, repeats, peak)
    fastest = backends[-1]
    console.note(f"timing growth and searches with {fastest.name}")
    return {
        "machine": provenance.describe(),
        "candles": {
            "source": history.source,
            "synthetic": history.synthetic,
            "timeframe": history.timeframe,
            "bars": len(candles),
            "sha256": candles.sha256,
        },
        "combinations": size,
        "parity": {"combinations": parity.combinations, "trades": parity.trades},
        "backends": alone,
        "growth": {"backend": fastest.name, "grids": _growth(setting, candles, fastest)},
        "walk_forward": {
            "grid": _run_figures(time_run(training, candles, fastest, "grid")),
            "bayesian": _run_figures(time_run(training, candles, fastest, "bayesian")),
        },
    }


def _growth(setting: Setting, candles: Candles, backend: Backend) -> dict[str, Any]:
    grids = {
        "as it is": (setting, candles),
        "4 x bars": (setting, repeated(candles, 4)),
        "16 x combos": (setting.refined(), candles),
    }
    repeats = REPEATS.get(backend.name, 3)
    result = {}
    for name, (some, bars) in grids.items():
        seconds = time_grid(some, bars, backend, repeats)
        result[name] = grid_figures(seconds, len(bars), some.space.size, repeats)
    return result


def _run_figures(run: tuple[float, int] | None) -> dict[str, float] | None:
    return None if run is None else {"seconds": run[0], "evaluations": run[1]}


def _history(path: Path | None) -> History:
    if path is None:
        raw: RawCandles = synthetic_candles(365, "5m", seed=0)
        source = "SYNTHETIC demo candles (365 days, seed 0)"
        return History(make_regular(raw, "5m", source)[0], "5m", source, True)
    raw = read_file(path)
    timeframe = inferred_timeframe(raw.timestamp, str(path))
    return History(make_regular(raw, timeframe, str(path))[0], timeframe, path.name, False)


def _timed_backends(name: str | None) -> list[Backend]:
    found = [named_backend(name)] if name else cpu_backends()
    timed = [backend for backend in found if backend.name != "reference"]
    if not timed:
        raise UserError(
            "backend 'reference' is what others are held against and is not timed: it would take"
            " hours; use --backend numpy or numba."
        )
    return timed


if __name__ == "__main__":
    sys.exit(main())
