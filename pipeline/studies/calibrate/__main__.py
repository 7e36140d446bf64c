"""Measure how often the whole pipeline finds an edge that is there, and one that is not.

Markets without an edge are generated and, with --candles, real candles rearranged in several ways.
Markets with an edge have one planted along the strategy's signals, as strong as asked for after
costs. Real candles are measured as they are too, and read backwards, which makes an edge that
nobody planted. Each is trained as pipeline.train trains it, and the stages are counted. A run that
was broken off goes on where it was when the same command is given again.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pipeline.cli.console import Console
from pipeline.config import Timeframe, select_strategies, typed, usable_strategies
from pipeline.errors import UserError
from pipeline.strategies.registry import BUILT_IN
from pipeline.studies.calibrate.journal import Journal
from pipeline.studies.calibrate.markets import Cell, Configurations, CostsOf, Edge, Market, named
from pipeline.studies.calibrate.page import check_drawable, real_days, write
from pipeline.studies.calibrate.plan import Plan, measure_all
from pipeline.studies.calibrate.summary import Calibration, summarise
from pipeline.studies.calibrate.tables import tables
from pipeline.training.provenance import fingerprint

EDGES = (Edge(3.0, 1.0), Edge(2.0, 4.0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parsed(arguments)
    _check(options)
    if options.write:
        check_drawable()
    console = Console()
    journal = Journal(options.out)
    try:
        with journal.locked():
            calibration = calibrate(options, journal, console)
        for table in tables(calibration):
            console.table(f"SYNTHETIC. {table.title}", table.columns, table.rows)
        if options.write:
            words = sys.argv[1:] if arguments is None else arguments
            command = typed("scripts/calibrate", *words)
            sources = real_days(options.candles)
            write(calibration, sources, command, options.workers, options.write)
            console.print(f"Page: {options.write / 'calibration.md'}")
    except KeyboardInterrupt:
        console.note(f"Stopped. {journal.path} keeps what is finished; the same command goes on.")
        return 130
    return 0


def calibrate(options: argparse.Namespace, journal: Journal, console: Console) -> Calibration:
    """Measure the markets of ``options`` that are not in ``journal`` yet."""
    strategies, left_out = usable_strategies(options.strategies)
    for sentence in left_out:
        console.note(sentence)
    configurations = Configurations(options.candles, options.overrides, strategies)
    cells = tuple(
        Cell(timeframe, costs, strategy)
        for strategy in configurations.strategies
        for timeframe in options.timeframes
        for costs in options.costs
    )
    files = {timeframe: configurations.files(timeframe) for timeframe in options.timeframes}
    plan = Plan(cells, options.nulls, options.planted, options.edges, files)
    edges = options.edges if options.planted else ()

    def expected(market: Market) -> str | None:
        if market.edge is None:
            asked = market.cell in cells
        else:
            asked = market.edge in edges and market.cell in plan.with_edges
        return fingerprint(configurations.of(market), gates=False) if asked else None

    known = journal.read(expected)
    total = len(plan.markets(known))
    left = sum(market not in known for market in plan.markets(known))
    if left < total:
        console.note(f"{journal.path}: {total - left:,} of {total:,} markets are there already")
    with console.progress("markets", left) as advance:
        found = measure_all(plan, configurations, journal, known, options.workers, advance)
    for market, outcome in found.items():
        if outcome.figures is None:
            console.note(f"edge {market.edge}, seed {market.seed}: {outcome.source}")
    return summarise(found)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    helps = json.loads(Path(__file__).with_name("options.json").read_text("utf-8"))

    def add(name: str, **options: Any) -> None:
        parser.add_argument(name, help=helps[name], **options)

    add("--strategies", type=_strategies, default=(BUILT_IN[0],), metavar="A,B,...")
    add("--timeframes", type=_timeframes, default=("5m",), metavar="A,B,...")
    add("--costs", type=_costs, default=("exchange",), metavar="A,B")
    add("--nulls", type=_count, default=40, metavar="N")
    add("--planted", type=_count, default=10, metavar="N")
    add("--edges", type=_edges, default=EDGES, metavar="SHARPExYEARS,...")
    add("--candles", nargs="+", default=[], metavar="FILE")
    add("--out", type=Path, default=Path("var/calibration"), metavar="FOLDER")
    add("--write", type=Path, metavar="FOLDER")
    add("--workers", type=_positive, default=2, metavar="N")
    add("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_intermixed_args(arguments)
    # argparse gives all that follows --candles to it, overrides too.
    options.overrides += [word for word in options.candles if "=" in word]
    options.candles = [Path(word) for word in options.candles if "=" not in word]
    return options


def _check(options: argparse.Namespace) -> None:
    """Refuse what asks for nothing, or for candles that are not there."""
    if not (options.nulls or options.planted):
        raise UserError(
            "--nulls 0 and --planted 0 ask for no market: there is nothing to do. Give one of them"
            " a number."
        )
    for file in options.candles:
        if not file.exists():
            raise UserError(f"--candles {file} does not exist.")
    timeframes = {named(file).timeframe: file for file in options.candles}
    for timeframe, file in timeframes.items():
        if timeframe not in options.timeframes:
            raise UserError(
                f"--candles {file} holds candles of {timeframe}, and --timeframes has only"
                f" {','.join(options.timeframes)}: add {timeframe}, or leave the file out."
            )
    missing = [t for t in options.timeframes if timeframes and t not in timeframes]
    if missing:
        raise UserError(
            f"--timeframes {missing[0]} has no file among --candles: give one, or leave it out."
        )


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _edges(text: str) -> tuple[Edge, ...]:
    try:
        edges = tuple(Edge(*map(float, word.split("x"))) for word in text.split(","))
    except (TypeError, ValueError):
        edges = ()
    fine = all(0 < value < math.inf for edge in edges for value in edge)
    if not edges or not fine or len(set(edges)) < len(edges):
        raise argparse.ArgumentTypeError(
            f"must be different pairs such as 3x1,2x4: net Sharpe ratio x years; given: {text}"
        )
    return edges


def _strategies(text: str) -> list[str]:
    try:
        select_strategies(choices := text.split(","))
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return choices


def _timeframes(text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    wrong = [word for word in words if word not in get_args(Timeframe)]
    if wrong or len(set(words)) < len(words):
        raise argparse.ArgumentTypeError(
            f"must be different timeframes such as 5m,15m; given: {text}"
        )
    return words


def _costs(text: str) -> tuple[CostsOf, ...]:
    words: list[CostsOf] = [word for word in get_args(CostsOf) if word in text.split(",")]
    if sorted(words) != sorted(text.split(",")):
        raise argparse.ArgumentTypeError(f"must be exchange, none or both; given: {text}")
    return tuple(words)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
