"""Keep the best K of a grid and the best score of every pair of values, on one device.

Only what may be kept comes to the host: a few candidates of every stretch, and the pairs' tables.
"""

from typing import Any

import numpy as np

from gpu_engine import layouts
from gpu_engine.cuda_grid import GridUnits
from gpu_engine.cuda_market import CudaMarket
from gpu_engine.device import WARP
from gpu_engine.summary import SummaryBuilder

#: Combinations a warp of `strip_maxima` looks at.
STRIP = 4096
#: Room for candidates of the best K, in multiples of K, before the count is met exactly.
ROOM = 4


class PairTables:
    """The tables of all pairs of axes on one device, one after another.

    Raises
    ------
    ValueError
        When the grid has more axes than the kernel decodes.
    """

    def __init__(self, market: CudaMarket, units: GridUnits) -> None:
        grid, device = units.grid, market.device
        if len(grid.axes) > layouts.MAX_AXES:
            raise ValueError(
                f"a grid is summarised over at most {layouts.MAX_AXES} axes; it has"
                f" {len(grid.axes)}"
            )
        self._market, self._units = market, units
        self._pairs = list(SummaryBuilder(grid, 1).pairs)
        cells = [grid.shape[a] * grid.shape[b] for a, b in self._pairs]
        self._start = np.concatenate(([0], np.cumsum(cells))).astype(np.int64)
        self._cells = device.put(np.full(int(self._start[-1]), -np.inf))
        self._start_there = device.put(self._start)
        device.synchronize()  # another thread will use them

    def raise_to(self, scores: Any, first: int, count: int) -> None:
        """Take the scores of ``count`` combinations from place ``first`` on."""
        places, tables = self._units.places, (self._start_there, scores, self._cells)
        arguments = (places, np.int64(first), np.int64(count), *tables)
        self._market.run("pair_maxima", count, *arguments)

    def merge_into(self, builder: SummaryBuilder) -> None:
        """Bring the tables to the host, the better of both in every cell."""
        cells = self._market.device.get(self._cells)
        for position, pair in enumerate(self._pairs):
            table = builder.pairs[pair]
            part = cells[self._start[position] : self._start[position + 1]].reshape(table.shape)
            np.maximum(table, part, out=table)


def offer_best(
    market: CudaMarket,
    units: GridUnits,
    scores: Any,
    first: int,
    count: int,
    builder: SummaryBuilder,
) -> None:
    """Hand the builder every score that may be among the best K, of ``count`` from ``first`` on.

    The K-th best of the strips' maxima is a bound: at least K scores reach it. What the builder
    holds is another: a tie with its last must have a lower index.
    """
    device, strips = market.device, -(-count // STRIP)
    maxima, admissible = device.empty(strips, np.float64), device.empty(strips, np.int32)
    arguments: tuple[Any, ...] = (np.int64(count), np.int32(STRIP), scores, maxima, admissible)
    market.run("strip_maxima", strips * WARP, *arguments)
    best = np.sort(device.get(maxima))[::-1]
    reached_by_k = float(best[builder.k - 1]) if strips >= builder.k else -np.inf
    full = builder.full and builder.bar >= reached_by_k
    bound = builder.bar if full else reached_by_k
    before = builder.index[-1] if full else np.iinfo(np.int64).max
    capacity = ROOM * builder.k
    while True:
        index, score = device.empty(capacity, np.int64), device.empty(capacity, np.float64)
        counter = device.zeros(1, np.int32)
        arguments = (np.float64(bound), np.int64(before), np.int32(capacity), scores)
        kept = (index, score, counter)
        market.run(
            "collect", count, units.places, np.int64(first), np.int64(count), *arguments, *kept
        )
        reached = int(device.get(counter)[0])
        if reached <= capacity:
            break
        capacity = reached
    # Last, so that what ran out of memory before has left no trace.
    builder.offer(device.get(index, reached), device.get(score, reached))
    builder.admissible += int(device.get(admissible).sum(dtype=np.int64))
