"""Time this tree, alone or beside another checkout; or the tests against luck; or other programs.

What is wrong is not timed: backends are first held against `reference`, two trees against each
other. Exit status: 0 done, 1 a backend disagrees with `reference` and nothing was timed, 2 the
user's mistake.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gpu_engine import Backend, Candles
from pipeline.cli.command import run_plain
from pipeline.cli.console import Console
from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import inferred_timeframe, make_regular
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.search.backends import cpu_backends, named_backend
from pipeline.studies.bench.floor import print_floor
from pipeline.studies.bench.luck import measure_luck, print_luck
from pipeline.studies.bench.parity import check_parity
from pipeline.studies.bench.peers import print_peers, rows_of
from pipeline.studies.bench.report import print_machine, print_report
from pipeline.studies.bench.training import Training
from pipeline.studies.bench.trees import NAMES, measure_trees, tasks_of
from pipeline.training import provenance

PARITY_SAMPLE = 200
WHAT = {
    "engine": "this tree",
    "statistics": "the tests against luck",
    "floor": "what the grid must take at least",
    "peers": "other programs that are installed",
}


class History(NamedTuple):
    """Candles, what to call them, and what ``scripts/train`` is told to read them."""

    candles: Candles
    timeframe: str
    source: str
    words: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WHAT",
        help="; ".join(f"{name}: {text}" for name, text in WHAT.items())
        + "; default engine. KEY=VALUE words are those of a training, such as strategy=WORD",
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="default: demo candles, a year")
    parser.add_argument("--against", type=Path, metavar="PATH", help="another checkout")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="what is timed")
    parser.add_argument("--runs", type=int, metavar="N", help="of each, in every tree")
    parser.add_argument("--backend", metavar="NAME", help="default: every CPU backend there is")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_intermixed_args(arguments)
    options.overrides = [word for word in options.words if "=" in word]
    what = [word for word in options.words if "=" not in word] or ["engine"]
    if len(what) > 1 or what[0] not in WHAT:
        parser.error(f"WHAT must be one of {', '.join(WHAT)}; given: {' '.join(what)}")
    options.what = what[0]
    console = Console()
    try:
        history = _history(options.data)
        if options.data is None:
            console.note(f"No --data FILE: {history.source}")
        _refuse_idle_options(options)
        if options.what == "engine":
            return _engine(options, history, console)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    training = Training.default(options.overrides)
    if options.what == "statistics":
        report = {"source": history.source}
        report |= measure_luck(training, history.candles, console)
        _print(report, print_luck, console, options.json)
        return 0
    print_machine(console, provenance.describe())
    if options.what == "floor":
        numba = training.setting.evaluator(history.candles, named_backend("numba"))
        print_floor(console, numba)
    else:
        print_peers(console, list(rows_of(training.setting, history.candles)))
    return 0


def _refuse_idle_options(options: argparse.Namespace) -> None:
    """Refuse options that what is measured would not look at."""
    idle = {
        "--against": options.against is not None and options.what != "engine",
        "--only": options.only is not NAMES and options.what != "engine",
        "--runs": options.runs is not None and options.what != "engine",
        "--json": options.json and options.what in ("floor", "peers"),
    }
    for name, is_idle in idle.items():
        if is_idle:
            raise UserError(f"{name} does nothing for '{options.what}': leave it out.")


def _engine(options: argparse.Namespace, history: History, console: Console) -> int:
    """Check that backends agree with `reference`, or count what two trees differ in; then time."""
    if options.runs is not None and options.runs < 1:
        raise UserError(f"--runs must be 1 or more; got {options.runs}")
    candles = history.candles
    report: dict[str, Any] = {
        "source": history.source,
        "timeframe": history.timeframe,
        "bars": len(candles),
        "sha256": candles.sha256,
    }
    if options.against is None:
        backends = _timed_backends(options.backend)
        setting = Training.default(options.overrides).setting
        parity = check_parity(setting, candles, backends, PARITY_SAMPLE)
        if parity.disagreements:
            for name, index, disagreement in parity.disagreements:
                console.note(f"{name}, combination {index}: {disagreement}")
            console.note("A backend disagrees with reference: nothing was timed.")
            return 1
        report["parity"] = {"combinations": parity.combinations, "trades": parity.trades}
    tasks = tasks_of(options.only, options.backend, options.runs)
    overrides = tuple(options.overrides)
    report |= measure_trees(candles, options.against, history.words, overrides, tasks, console)
    _print(report, print_report, console, options.json)
    return 0


def _print(report: dict[str, Any], table: Any, console: Console, as_json: bool) -> None:
    described = provenance.describe()
    if as_json:
        print(json.dumps({"machine": described, **report}, indent=2))
    else:
        print_machine(console, described)
        table(console, report)


def _history(path: Path | None) -> History:
    if path is None:
        raw: RawCandles = synthetic_candles(365, "5m", seed=0)
        source = "SYNTHETIC demo candles (365 days, seed 0)"
        return History(make_regular(raw, "5m", source)[0], "5m", source, ("market=demo",))
    raw = read_file(path)
    timeframe = inferred_timeframe(raw.timestamp, str(path))
    words = (f"market=btc_binance_{timeframe}", "data=file", f"data.path={path.resolve()}")
    return History(make_regular(raw, timeframe, str(path))[0], timeframe, path.name, words)


def _timed_backends(name: str | None) -> list[Backend]:
    backends = [named_backend(name)] if name else cpu_backends()
    timed = [backend for backend in backends if backend.name != "reference"]
    if not timed:
        raise UserError(
            "backend 'reference' is what others are held against and is not timed: it would take"
            " hours; use --backend numpy or numba."
        )
    return timed


if __name__ == "__main__":
    run_plain(main)
