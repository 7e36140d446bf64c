"""Measure how often a year of watching lifts a strategy, with an edge and without one.

Daily returns of strategies with a known edge are invented, and judged at every look
(validation rules §6.13). A day with a return counts as a trade. Prints a table, which docs/live.md
shows.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from gpu_engine import Float
from pipeline.studies.band.measure import PROCESSES, SHARPE, with_edge
from pipeline.studies.calibrate.rates import clopper_pearson
from pipeline.validation.stages import WATCHED_LEVEL
from pipeline.validation.watching import LOOKS, look_at

#: Sharpe ratios that the strategies have, and the paper accounts beside them.
EDGES, ACCOUNTS = (0.0, 2.0, 3.0, 4.0), (1, 10)
#: Daily deviation and drift of the market, and how much of it a strategy follows.
MARKET, DRIFT, BETAS = 0.03, 0.001, (0.0, 1.0)
SEED = 20_261_130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.studies.rise", description=__doc__)
    parser.add_argument("--cases", type=int, default=300, help="years of each cell (default 300)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args(arguments)
    cells = [(process, beta) for beta in BETAS for process in PROCESSES]
    heads = [f"Sharpe {edge:g}" if edge else "no edge" for edge in EDGES]
    columns = [f"{head}, {n}" for n in ACCOUNTS for head in heads]
    print("| process | beta |", " | ".join(columns), "|")
    print("| --- |", " | ".join(["---:"] * (1 + len(columns))), "|")
    with ProcessPoolExecutor(options.workers) as pool:
        rows = pool.map(partial(rises, cases=options.cases), *zip(*cells, strict=True))
        for (process, beta), row in zip(cells, rows, strict=True):
            shares = [_share(count, options.cases, index) for index, count in enumerate(row)]
            print(f"| {process} | {beta:g} |", " | ".join(shares), "|", flush=True)
    return 0


def rises(process: str, beta: float, cases: int) -> list[int]:
    """Count the years that lift a strategy: for each number of accounts, with each edge."""
    rng = np.random.default_rng((SEED, list(PROCESSES).index(process)))
    noise = PROCESSES[process](rng, cases, LOOKS[-1])
    hold = DRIFT + MARKET * rng.standard_normal(noise.shape)
    counts = []
    for edge in EDGES:
        daily = with_edge(noise, edge / SHARPE) + beta * hold * (noise != 0.0)
        smallest = np.array([min(_looks(*year)) for year in zip(daily, hold, strict=True)])
        counts.append([int((accounts * smallest < WATCHED_LEVEL).sum()) for accounts in ACCOUNTS])
    return [of_edge[place] for place in range(len(ACCOUNTS)) for of_edge in counts]


def _looks(daily: Float, hold: Float) -> Iterator[float]:
    """Yield the p-value of every look at one year; 1 where it is unknown."""
    for days in LOOKS:
        trades = int((daily[:days] != 0.0).sum())
        p = look_at(daily[:0], daily[:days], hold[:days], trades, accounts=1).watched_p
        yield 1.0 if p is None else p


def _share(count: int, cases: int, column: int) -> str:
    if column % len(EDGES):
        return f"{100 * count / cases:.0f}"
    low, high = clopper_pearson(count, cases)
    return f"{100 * count / cases:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


if __name__ == "__main__":
    sys.exit(main())
