"""Define the space of a search: one dimension a parameter, in grid order (validation rules §2.10).

A *point* is a float64 row of shape (P,), one value a parameter; a threshold that is off is the
infinity that lets everything pass. On a discrete space every point has an *index*: row-major in
grid order, the last parameter running fastest. The index is a combination's identity.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from gpu_engine import Float, Int64
from pipeline.strategies.base import Parameter, Strategy


class ParameterValues(Protocol):
    """What the configuration says of one parameter's values (`pipeline.config.search`)."""

    @property
    def grid(self) -> Sequence[float | None]:
        """Grid values, ascending, None (off) first."""
        ...

    @property
    def low(self) -> float | None:
        """Lower end of the continuous range, or None to stay on the grid."""
        ...

    @property
    def high(self) -> float | None:
        """Upper end of the continuous range."""
        ...


@dataclass(frozen=True, eq=False)
class Dimension:
    """One parameter's values: ``choices`` (discrete), or a range when ``choices`` is None."""

    parameter: Parameter
    choices: Float | None
    low: float
    high: float

    def loosest(self) -> float | None:
        """Return the most permissive threshold of this dimension; None when it is never set."""
        extremes = (self.low, self.high) if self.choices is None else self.choices
        if self.choices is not None and np.all(self.choices == self.parameter.off):
            return None
        return float(min(extremes) if self.parameter.sense > 0 else max(extremes))

    def draw(self, size: int, generator: np.random.Generator) -> Float:
        """Draw values of this dimension, float64 of shape (size,)."""
        if self.choices is not None:
            return generator.choice(self.choices, size)
        if self.parameter.integer:
            whole = generator.integers(int(self.low), int(self.high), size, endpoint=True)
            return whole.astype(np.float64)
        return generator.uniform(self.low, self.high, size)


#: Event tables that are built and held together; of more, those that are asked for.
MOST_TABLES = 10_000


@dataclass(frozen=True, eq=False)
class Space:
    """All dimensions of a search, in grid order."""

    strategy: Strategy
    dimensions: tuple[Dimension, ...]

    @property
    def discrete(self) -> bool:
        """Whether every point has an index."""
        return all(d.choices is not None for d in self.dimensions)

    @property
    def few_tables(self) -> bool:
        """Whether every point has an index, and every event table can be held."""
        structural = (self.shape[i] for i in self.of_kind("structural")) if self.discrete else ()
        return self.discrete and math.prod(structural) <= MOST_TABLES

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Number of choices of every dimension of a discrete space."""
        return tuple(len(d.choices) for d in self.dimensions if d.choices is not None)

    @property
    def size(self) -> int:
        """Number of combinations of a discrete space."""
        return math.prod(self.shape)

    def of_kind(self, kind: str) -> list[int]:
        """Positions of the dimensions of one kind, in grid order."""
        return [i for i, d in enumerate(self.dimensions) if d.parameter.kind == kind]

    def points(self, index: Int64) -> Float:
        """Points of some indices, float64 of shape (len(index), P)."""
        coordinates = np.unravel_index(index, self.shape)
        columns = [
            d.choices[c]
            for d, c in zip(self.dimensions, coordinates, strict=True)
            if d.choices is not None
        ]
        return np.column_stack(columns)

    def parameters(self, point: Float) -> dict[str, Any]:
        """Return the point by name: whole numbers as int, a threshold that is off as None."""
        pairs = zip(self.dimensions, point.tolist(), strict=True)
        return {d.parameter.name: d.parameter.written(value) for d, value in pairs}

    def point(self, parameters: Mapping[str, float | None]) -> Float:
        """Return the point of a combination given by name, inside the space or not."""
        return point_of(self.strategy, parameters)

    def loosest(self) -> dict[str, float]:
        """Most permissive value of every threshold the search ever sets."""
        thresholds = [self.dimensions[i] for i in self.of_kind("threshold")]
        loosest = {d.parameter.name: d.loosest() for d in thresholds}
        return {name: value for name, value in loosest.items() if value is not None}


def point_of(strategy: Strategy, parameters: Mapping[str, float | None]) -> Float:
    """Return the point of a combination given by name, float64 of shape (P,)."""
    values = ((p, parameters[p.name]) for p in strategy.parameters)
    return np.array([p.off if value is None else float(value) for p, value in values])


def make_space(
    strategy: Strategy, values: Mapping[str, ParameterValues], continuous: bool
) -> Space:
    """Make the space of ``strategy`` over the configured values.

    A parameter without a range stays at its grid values (validation rules §2.11).
    """
    dimensions = []
    for parameter in strategy.parameters:
        own = values[parameter.name]
        choices = np.array([parameter.off if v is None else float(v) for v in own.grid])
        if continuous and own.low is not None and own.high is not None:
            dimensions.append(Dimension(parameter, None, float(own.low), float(own.high)))
        else:
            dimensions.append(Dimension(parameter, choices, choices.min(), choices.max()))
    return Space(strategy, tuple(dimensions))


def single_point(strategy: Strategy, parameters: Mapping[str, float | None]) -> Space:
    """Return the space that holds one combination alone."""
    dimensions = []
    for parameter in strategy.parameters:
        value = parameters[parameter.name]
        choice = parameter.off if value is None else float(value)
        dimensions.append(Dimension(parameter, np.array([choice]), choice, choice))
    return Space(strategy, tuple(dimensions))


def some_points(strategy: Strategy, points: Float) -> Space:
    """Return a space that holds some points, float64 (n, P), and has no order among them.

    Each setting of its events is made when it is asked for, and what lies between is never made.
    """
    dimensions = []
    for parameter, values in zip(strategy.parameters, points.T, strict=True):
        choices = np.unique(values) if parameter.kind == "threshold" else None
        dimensions.append(Dimension(parameter, choices, float(values.min()), float(values.max())))
    return Space(strategy, tuple(dimensions))
