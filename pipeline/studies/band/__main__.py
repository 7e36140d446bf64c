"""Measure the false alarms and the power of the test of live days, and what its band holds.

Daily returns of strategies with a known edge are invented. Their first days are the out-of-sample
record; the year after them is watched every day. Prints tables, which docs/band.md shows.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.cli.console import Console
from pipeline.errors import UserError
from pipeline.results.jsonable import dumps
from pipeline.studies.band.measure import BLOCK, PROCESSES, together, watch
from pipeline.studies.band.tables import figures, markdown
from pipeline.validation.band import FEWEST_DAYS, PATHS
from pipeline.validation.sequential import EARLINESS, LEVEL

OOS_DAYS = (120, 300, 700)
SEED = 20_261_129


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parsed(arguments)
    console = Console()
    cells = [(process, days) for process in options.processes for days in options.oos_days]
    blocks = -(-options.cases // BLOCK)
    with (
        ProcessPoolExecutor(options.workers) as pool,
        console.progress("blocks", blocks * len(cells)) as advance,
    ):
        rows = [_row(pool, cell, blocks, options.paths, advance) for cell in cells]
    for title, table in markdown(rows).items():
        for line in ("", title, "", *table.splitlines()):
            console.print(line)
    if options.write:
        settings = {"level": LEVEL, "earliness": EARLINESS, "paths": options.paths, "seed": SEED}
        options.write.write_text(dumps({**settings, "cells": rows}) + "\n", "utf-8")
    return 0


def _row(
    pool: ProcessPoolExecutor,
    cell: tuple[str, int],
    blocks: int,
    n_paths: int,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Return the figures of a process and a length, one block after the other."""
    parts = []
    seeds = range(SEED, SEED + blocks)
    for part in pool.map(partial(watch, *cell, n_paths=n_paths), seeds):
        parts.append(part)
        advance(1)
    return figures(*cell, together(parts))


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.studies.band",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add: Any = parser.add_argument
    add("--cases", type=_positive, default=200, metavar="N",
        help=f"years of each process and length, in blocks of {BLOCK} (default 200)")  # fmt: skip
    add("--paths", type=_positive, default=200, metavar="N",
        help=f"bootstrap paths of each (default 200; the product draws {PATHS:,}). Fewer hardly"
        " change the false alarms and the power, and make the band too narrow")  # fmt: skip
    add("--processes", nargs="+", choices=PROCESSES, default=list(PROCESSES), metavar="NAME",
        help=f"of {', '.join(PROCESSES)} (default all)")  # fmt: skip
    add("--oos-days", nargs="+", type=_positive, default=OOS_DAYS, metavar="N",
        help="lengths of the out-of-sample record (default 120 300 700)")  # fmt: skip
    add("--workers", type=_positive, default=2, metavar="N", help="processes (default 2)")
    add("--write", type=Path, metavar="FILE", help="write the figures there as JSON")
    options = parser.parse_args(arguments)
    if min(options.oos_days) < FEWEST_DAYS:
        raise UserError(
            f"--oos-days {min(options.oos_days)} is too short: with fewer than {FEWEST_DAYS} days"
            " nothing is said (validation rules §8.1). Give a longer one."
        )
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
