"""Measure how often the whole pipeline finds an edge that is there, and one that is not.

Markets without an edge are generated years and, with --candles, real candles whose bars are
permuted or whose days are mirrored at random; markets with one are generated years with a planted
edge. Each is trained as pipeline.train trains it, and the stages are counted. A run that was broken
off goes on where it was when the same command is given again.
"""

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.console import Console
from pipeline.errors import UserError
from pipeline.studies.calibrate.journal import Journal
from pipeline.studies.calibrate.markets import NULL_KINDS, Configurations, Kind, Market
from pipeline.studies.calibrate.page import write
from pipeline.studies.calibrate.plan import Plan
from pipeline.studies.calibrate.plot import check_drawable
from pipeline.studies.calibrate.summary import Calibration, summarise, tables
from pipeline.studies.calibrate.workers import measure_all
from pipeline.training.provenance import fingerprint

STRENGTHS = (2.0, 4.0, 6.0, 8.0, 10.0)


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
            command = f"scripts/calibrate {shlex.join(words)}"
            write(calibration, command, options.workers, options.write)
            console.print(f"Page: {options.write / 'calibration.md'}")
    except KeyboardInterrupt:
        console.note(f"Stopped. {journal.path} keeps what is finished; the same command goes on.")
        return 130
    return 0


def calibrate(options: argparse.Namespace, journal: Journal, console: Console) -> Calibration:
    """Measure the markets of ``options`` that are not in ``journal`` yet."""
    null_kinds = (NULL_KINDS if options.candles else NULL_KINDS[:1]) if options.nulls else ()
    plan = Plan(options.nulls, null_kinds, options.planted, options.strengths)
    kinds: list[Kind] = [*null_kinds]
    if options.planted:
        kinds.append("planted")
    configurations = Configurations(kinds, options.candles, options.overrides)

    def expected(market: Market) -> str | None:
        if market.kind not in configurations.kinds:
            return None
        return fingerprint(configurations.of(market))

    known = journal.read(expected)
    total = len(plan.markets(known))
    left = sum(market not in known for market in plan.markets(known))
    if left < total:
        console.note(f"{journal.path}: {total - left:,} of {total:,} markets are there already")
    with console.progress("markets", left) as advance:
        found = measure_all(plan, configurations, journal, known, options.workers, advance)
    for market, outcome in found.items():
        if outcome.stage is None:
            console.note(f"planted {market.strength:g}, seed {market.seed}: {outcome.source}")
    return summarise(found)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--nulls", type=_count, default=40, metavar="N", help="of each kind (default 40)"
    )
    parser.add_argument(
        "--planted", type=_count, default=10, metavar="N", help="of each strength (default 10)"
    )
    parser.add_argument(
        "--strengths", type=_strengths, default=STRENGTHS, metavar="A,B,...",
        help="annualised gross Sharpe ratios of planted edges (default 2,4,6,8,10)",
    )  # fmt: skip
    parser.add_argument(
        "--candles", nargs="+", default=[], metavar="FILE",
        help="real candles named like binance_BTC-USDT_5m_2023.parquet, taken in turn",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("var/calibration"), metavar="FOLDER",
        help="where finished markets are kept (default var/calibration)",
    )  # fmt: skip
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER",
        help="write calibration.md, .json and .png there",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=_positive, default=2, metavar="N",
        help="processes of one thread each (default 2)",
    )  # fmt: skip
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, for every market"
    )
    options = parser.parse_intermixed_args(arguments)
    # argparse gives all that follows --candles to it, overrides too.
    options.overrides += [word for word in options.candles if "=" in word]
    options.candles = [Path(word) for word in options.candles if "=" not in word]
    return options


def _check(options: argparse.Namespace) -> None:
    """Refuse what asks for nothing, or for candles that are not there."""
    if options.candles and not options.nulls:
        raise UserError(
            "--candles FILE ... is there to be rearranged into markets without an edge, and"
            " --nulls 0 asks for none: leave out one of the two."
        )
    if not (options.nulls or options.planted):
        raise UserError(
            "--nulls 0 and --planted 0 ask for no market: there is nothing to do. Give one of them"
            " a number."
        )
    for file in options.candles:
        if not file.exists():
            raise UserError(f"--candles {file} does not exist.")


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


def _strengths(text: str) -> tuple[float, ...]:
    values = tuple(float(word) for word in text.split(","))
    if not all(0 < value < math.inf for value in values) or len(set(values)) < len(values):
        raise argparse.ArgumentTypeError("must be different numbers above 0, such as 2,4,8")
    return values


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
