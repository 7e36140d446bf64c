"""Number every combination of a product of axes, and decode the numbers; none is stored.

The index is row-major over the axes, the last one running fastest. Event tables are numbered
row-major over the structural axes alone, exit settings over the exit axes alone, and units, which
differ in more than their exit setting, over all the others.

A *part* is a ``range`` of indices that holds whole units, so that parts share no row filtering.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import Batch, Float, Int64

Kind = Literal["structural", "threshold", "exit"]


@dataclass(frozen=True, eq=False)
class Axis:
    """One parameter: its ``values``, float64 of shape (size,), and how it acts.

    ``threshold`` is the column of the features that a threshold axis is compared with.
    """

    kind: Kind
    values: Float
    threshold: int = -1


@dataclass(frozen=True, eq=False)
class Grid:
    """The product of all ``axes``; every threshold of the market must have one axis."""

    axes: tuple[Axis, ...]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Number of values of every axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of combinations."""
        return math.prod(self.shape)

    def of_kind(self, *kinds: Kind) -> list[int]:
        """List the positions of the axes of some kinds, in order."""
        return [i for i, axis in enumerate(self.axes) if axis.kind in kinds]

    def strides(self, among: list[int]) -> Int64:
        """Return row-major strides among some axes, 0 for the others; shape (axes,)."""
        result = np.zeros(len(self.axes), np.int64)
        stride = 1
        for i in reversed(among):
            result[i] = stride
            stride *= self.shape[i]
        return result

    @property
    def n_units(self) -> int:
        """Number of units: combinations that differ in more than their exit setting."""
        return math.prod(self.shape[i] for i in self.of_kind("structural", "threshold"))

    @property
    def n_exits(self) -> int:
        """Number of exit settings."""
        return math.prod(self.shape[i] for i in self.of_kind("exit"))

    @property
    def whole(self) -> range:
        """The part that is the grid."""
        return range(self.size)

    @property
    def slab(self) -> int:
        """Combinations in the shortest part: no axis before the first exit axis varies in it.

        A grid whose first axis is an exit parameter has one part alone.
        """
        return math.prod(self.shape[min(self.of_kind("exit"), default=len(self.axes)) :])

    def parts(self, most: int) -> list[range]:
        """Cut the grid into parts of at most ``most`` combinations, or of one slab."""
        length = max(1, most // self.slab) * self.slab
        return [
            range(first, min(first + length, self.size)) for first in range(0, self.size, length)
        ]

    def units_of(self, part: range) -> range:
        """Return the numbers of the units of a part.

        Raises
        ------
        ValueError
            When it is no part: outside the grid, or an end cuts through units.
        """
        inside = 0 <= part.start <= part.stop <= self.size and part.step == 1
        if not inside or part.start % self.slab or part.stop % self.slab:
            raise ValueError(
                f"a part of a grid of {self.size:,} starts and ends at multiples of"
                f" {self.slab:,} in it; got {part}"
            )
        return range(part.start // self.n_exits, part.stop // self.n_exits)

    def units(
        self, units_per_block: int, part: range | None = None
    ) -> Iterator[tuple[Int64, Batch]]:
        """Stream a part, or the grid, unit by unit: indices (n,) and the batch that has them."""
        stride = self.strides(list(range(len(self.axes))))
        filters = self.of_kind("structural", "threshold")
        offset = self._index(self.of_kind("exit"), np.arange(self.n_exits), stride)
        numbers = self.units_of(self.whole if part is None else part)
        for first in numbers[::units_per_block]:
            unit = np.arange(first, min(first + units_per_block, numbers.stop))
            base = self._index(filters, unit, stride)
            yield (base[:, None] + offset).ravel(), self._batch(filters, unit)

    def _index(self, axes: list[int], position: Int64, stride: Int64) -> Int64:
        """Compute the index of each row-major ``position`` among some axes, all others at 0."""
        result = np.zeros(len(position), np.int64)
        for i, at in self._coordinates(axes, position).items():
            result += at * stride[i]
        return result

    def _batch(self, filters: list[int], unit: Int64) -> Batch:
        at = self._coordinates(filters, unit)
        tables = self.strides(self.of_kind("structural"))
        thresholds = self.of_kind("threshold")
        values = np.empty((len(unit), len(thresholds)))
        for i in thresholds:
            values[:, self.axes[i].threshold] = self.axes[i].values[at[i]]
        table = sum((at[i] * tables[i] for i in self.of_kind("structural")), np.zeros_like(unit))
        return Batch(
            table=table.astype(np.int32),
            thresholds=values,
            first_exit=np.zeros(len(unit), np.int32),
            exits_per_unit=self.n_exits,
        )

    def _coordinates(self, axes: list[int], position: Int64) -> dict[int, NDArray[Any]]:
        if not axes:
            return {}
        shape = tuple(self.shape[i] for i in axes)
        return dict(zip(axes, np.unravel_index(position, shape), strict=True))
