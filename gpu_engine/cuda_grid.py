"""Walk, score and summarise a part of a grid on one device, unit by unit.

Combinations are counted by *place*: structural axes first, then thresholds, then exit parameters,
row-major. So neighbouring threads share a unit's rows, and units that share a table's outcomes
follow each other. A place becomes an index only for the few scores that are kept.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import layouts
from gpu_engine.cuda_market import FIELDS, CudaMarket
from gpu_engine.device import WARP
from gpu_engine.grid import Grid
from gpu_engine.records import Float, Window
from gpu_engine.scoring import LEAST_POWER, MAY_BE_UNDEFINED, POWERS, SIGNIFICANT_DIGITS, ScoreRule

#: Most units of a grid: combinations that differ in more than their exit setting.
MAX_UNITS = (1 << 32) - 1


class GridUnits:
    """Units ``[0, n_units)`` of one part of a grid, with the bit masks that find their rows.

    They lie on the device of ``market``, which every method is given: it keeps them (`units_of`).

    Raises
    ------
    ValueError
        When the grid has more units than the kernel counts.
    """

    def __init__(self, market: CudaMarket, grid: Grid, part: range) -> None:
        if grid.n_units > MAX_UNITS:
            raise ValueError(
                f"a GPU walks grids of at most {MAX_UNITS:,} units; this one has {grid.n_units:,}:"
                " give its filters fewer values"
            )
        self.grid, self.part = grid, part
        units, whole = grid.units_of(part), part == grid.whole
        self._first_unit, self.n_units = units.start, len(units)
        # A part is a run of units in the order of the index; the whole is one in any order.
        self._fixed = 0 if whole else min(grid.of_kind("exit"), default=len(grid.axes))
        inner = grid.of_kind("structural") + grid.of_kind("threshold")
        self.order = (inner if whole else sorted(inner)) + grid.of_kind("exit")
        self._masks, self._n_words, first_mask = self._make_masks(market)
        n_exits = grid.n_exits
        fills_warps = n_exits > WARP // 2
        every = list(range(len(grid.axes)))
        arrays: dict[str, NDArray[Any] | None] = {
            "order": np.array(self.order, np.int32),
            "size": np.array(grid.shape, np.int32),
            "stride": grid.strides(every),
            "table_stride": grid.strides(grid.of_kind("structural")).astype(np.int32),
            "threshold": np.array([axis.threshold for axis in grid.axes], np.int32),
            "first_mask": first_mask,
        }
        self.places, self._sent = market.pointing(
            layouts.PLACES,
            arrays,
            n_axes=len(grid.axes),
            n_unit_axes=len(inner),
            n_exits=n_exits,
            lanes=-(-n_exits // WARP) * WARP if fills_warps else n_exits,
        )
        self._powers = market.device.put(POWERS)
        market.device.synchronize()  # another thread will use them

    def place_of(self, unit: int) -> int:
        """Return the place of the first exit setting of one of our units."""
        return (self._first_unit + unit) * self.grid.n_exits

    def score(
        self, market: CudaMarket, first: int, count: int, window: Window, rule: ScoreRule
    ) -> Any:
        """Score units ``[first, first + count)``, on the device, place after place."""
        n_scores = count * self.grid.n_exits
        result = market.device.empty((len(rule.fields), n_scores), np.float64)
        market.run_in(
            "walk_units",
            (count * int(self.places["lanes"]), 1),
            (window,),
            self.places,
            self._masks,
            np.int32(self._n_words),
            np.uint32(self._first_unit + first),
            np.uint32(count),
            result,
            fields=sum(1 << FIELDS.index(name) for name in rule.fields),
        )
        return self.scores_of(market, dict(zip(rule.fields, result, strict=True)), n_scores, rule)

    def scores_of(
        self, market: CudaMarket, metrics: dict[str, Any], count: int, rule: ScoreRule
    ) -> Any:
        """Score ``count`` combinations there, from the metrics `ScoreRule.fields` on the device."""
        record = np.zeros((), layouts.RULE)
        record["minimise"] = rule.minimise
        record["may_be_undefined"] = rule.objective in MAY_BE_UNDEFINED
        record["significant_digits"] = SIGNIFICANT_DIGITS
        record["least_power"] = LEAST_POWER
        record["min_trades"] = rule.min_trades
        record["powers"] = market.device.address(self._powers)
        objective, trades = metrics[rule.objective], metrics["sample_size"]
        profit = metrics.get("net_profit", objective)  # read where the objective may be undefined
        scores = market.device.empty(count, np.float64)
        arguments = (np.int64(count), record, objective, trades, profit, scores)
        market.run("score", count, *arguments)
        return scores

    def in_index_order(self, scores: Float) -> Float:
        """Put scores of all places of the part, shape (places,), in the order of the index."""
        axes = self.order[self._fixed :]
        shape = [self.grid.shape[axis] for axis in axes]
        back = np.argsort(axes)
        placed = scores.reshape(-1, *shape)
        return placed.transpose(0, *(1 + back)).reshape(-1)

    def _make_masks(self, market: CudaMarket) -> tuple[Any, int, NDArray[np.int32]]:
        """Make a bit a row for every value of a threshold; return where each axis' masks begin."""
        book = market.book
        thresholds = [self.grid.axes[axis] for axis in self.grid.of_kind("threshold")]
        number = [np.full(len(axis.values), axis.threshold) for axis in thresholds]
        value = [axis.values * book.senses[axis.threshold] for axis in thresholds]
        sizes = [len(axis.values) if axis.kind == "threshold" else 0 for axis in self.grid.axes]
        n_masks, n_words = sum(sizes), -(-len(book.signal_bar) // 64)
        masks = market.device.empty(n_masks * n_words, np.uint64)
        market.run(
            "masks",
            n_masks * n_words,
            market.record,
            np.int32(n_words),
            np.int32(n_masks),
            market.device.put(np.concatenate([np.zeros(0), *number]).astype(np.int32)),
            market.device.put(np.concatenate([np.zeros(0), *value])),
            masks,
        )
        return masks, n_words, np.cumsum([0, *sizes[:-1]]).astype(np.int32)


def units_of(market: CudaMarket, grid: Grid, part: range) -> GridUnits:
    """Return the units of a part; the market keeps those of the last, for its other windows."""
    last: GridUnits | None = market.last_units
    if last is None or last.grid is not grid or last.part != part:
        last = market.last_units = GridUnits(market, grid, part)
    return last
