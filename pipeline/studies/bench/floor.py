"""Count what the default grid must do at least, and what that takes here (`scripts/bench floor`).

Counted on the candles: rows that pass a unit's thresholds, trades, days with a trade. Each costs a
number of operations (below) and bytes that no way of walking can save. Measured on the processor:
how many float64 operations, and bytes from its own cache, NumPy's library of linear algebra does in
a second of a core. The quotient is a floor, not an estimate: it leaves out filters, branches,
gathers and everything that waits for something.
"""

import itertools
from collections.abc import Callable
from time import process_time
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from gpu_engine import Bool, Window
from pipeline.cli.console import Console
from pipeline.executors.share import allowed_cores
from pipeline.search import Evaluator

#: Of a row that passes, for one exit setting: is the position closed, is the day blocked, is the
#: exit inside the window.
A_ROW = 3
#: Of a trade (fills rules §9, §10): scale the return, compound it; peak and drawdown (compare,
#: product, product, compare); won or lost (compare, add, add); wins, trades and losses in a row
#: (compare, add, add, add); the daily loss (product, compare); the next free bar and the day.
A_TRADE = 17
#: Of a day with a trade: its return (a division, a difference), two sums about a shift (difference,
#: product, add, add) and the downside (compare, product, add).
A_DAY = 9
#: A division stands for as many operations: vectors of it pass at about an eighth of the rate.
DIVISION = 8
#: Of a combination: eleven metrics, among them two roots, six divisions and a power.
A_COMBINATION = 11 + 2 * DIVISION + 6 * DIVISION + 60
#: Bytes of an outcome: exit bar, day and return; of a metric record.
AN_OUTCOME, A_RECORD = 16, 88


class Counts(NamedTuple):
    """What a grid consists of; ``rows`` pass, summed over units."""

    units: int
    exits: int
    rows: int
    trades: int
    days: int

    @property
    def operations(self) -> int:
        """Float64 or integer operations, a division as `DIVISION`."""
        combinations = self.units * self.exits
        by_day = (A_DAY + DIVISION - 1) * self.days
        by_row = A_ROW * self.rows * self.exits
        return by_row + A_TRADE * self.trades + by_day + A_COMBINATION * combinations

    @property
    def bytes(self) -> int:
        """Bytes that are read from a core's cache or written to memory."""
        return AN_OUTCOME * self.rows * self.exits + A_RECORD * self.units * self.exits


def count(evaluator: Evaluator) -> Counts:
    """Count rows, trades and days with a trade of the whole discrete space."""
    window, grid = Window(0, len(evaluator.candles)), evaluator.grid
    trades = sum(int(m["sample_size"].sum()) for _, m in evaluator.stream((window,)))
    everything: Bool = np.ones(grid.size, bool)
    blocks = evaluator.stream_daily(window, 8192, everything)
    days = sum(int(np.count_nonzero(daily)) for _, daily in blocks)
    return Counts(grid.n_units, grid.n_exits, _passing(evaluator), trades, days)


def _passing(evaluator: Evaluator) -> int:
    """Count the rows that pass, over all units: for every row the combinations that it passes."""
    space = evaluator.space
    builder = space.strategy.events(evaluator.candles, space.loosest())
    axes = [(d.parameter, d.choices) for d in space.dimensions if d.choices is not None]
    structural = {p.name: choices for p, choices in axes if p.kind == "structural"}
    thresholds = [(p.sense, choices) for p, choices in axes if p.kind == "threshold"]
    total = 0
    for values in itertools.product(*structural.values()):
        table = builder.table(dict(zip(structural, values, strict=True)))
        passes = np.ones(len(table.signal_bar))
        for (sense, choices), feature in zip(thresholds, table.features.T, strict=True):
            passes *= (sense * feature[:, None] >= sense * choices).sum(axis=1)
        total += int(passes.sum())
    return total


def rates() -> tuple[float, float]:
    """Measure the operations and the bytes of one core in a second of its time.

    A matrix product fuses a product and a sum into one instruction, which the walk may not, since
    it rounds differently: the pair counts as one operation.
    """
    matrix, block = np.ones((512, 512)), np.ones(24_576)
    repeats = 1_000

    def read() -> None:
        for _ in range(repeats):
            block @ block

    with threadpool_limits(1):
        multiplying, reading = _best(lambda: matrix @ matrix), _best(read)
    return matrix.size * len(matrix) / multiplying, repeats * block.nbytes / reading


def _best(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(7):
        start = process_time()
        work()
        seconds.append(process_time() - start)
    return min(seconds)


def print_floor(console: Console, evaluator: Evaluator) -> None:
    """Print the counts, the rates and the floor."""
    counts, cores = count(evaluator), allowed_cores()
    operations, bytes_ = (cores * rate for rate in rates())
    console.print(
        f"{counts.units:,} units of {counts.exits} exit settings; {counts.rows:,} rows pass;"
        f" {counts.trades:,} trades on {counts.days:,} days with a trade"
    )
    rows = (("operations", counts.operations, operations), ("bytes", counts.bytes, bytes_))
    console.table(
        f"{cores} cores",
        ("", "counted", "a second", "floor, ms"),
        [(name, f"{n:,}", f"{rate:.2g}", f"{1e3 * n / rate:.1f}") for name, n, rate in rows],
    )
