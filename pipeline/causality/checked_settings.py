"""Choose the structural settings of a space that are checked for look-ahead."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from gpu_engine import Float
from pipeline.search.space import MOST_TABLES, Space

SEED = 15  # of what is drawn: all trainings check the same

# A continuous space has no finite set of tables, and some grids have too many: corners and some
# draws stand for them.
DRAWN = 8
CORNERS = 3  # dimensions whose corners are all taken


def settings_of(space: Space) -> list[dict[str, float]]:
    """Return the structural settings to check: all of a discrete space, or some of many."""
    dimensions = [space.dimensions[i] for i in space.of_kind("structural")]
    names = [d.parameter.name for d in dimensions]
    values = [len(d.choices) for d in dimensions if d.choices is not None]
    if len(values) == len(dimensions) and math.prod(values) <= MOST_TABLES:
        rows = list(itertools.product(*(d.choices for d in dimensions if d.choices is not None)))
        return [dict(zip(names, map(float, row), strict=True)) for row in rows]
    generator = np.random.default_rng(SEED)
    corners = list(itertools.product(*((d.low, d.high) for d in dimensions[:CORNERS])))
    rest = [[d.low for d in dimensions[CORNERS:]], [d.high for d in dimensions[CORNERS:]]]
    rows = [(*corner, *rest[k % 2]) for k, corner in enumerate(corners)]
    drawn = np.column_stack([d.draw(DRAWN, generator) for d in dimensions])
    unique = dict.fromkeys([*rows, *map(tuple, drawn.tolist())])
    return [dict(zip(names, map(float, row), strict=True)) for row in unique]


def settings_at(space: Space, points: Sequence[Float]) -> list[dict[str, float]]:
    """Return the structural settings of some points, each once."""
    structural = space.of_kind("structural")
    names = [space.dimensions[i].parameter.name for i in structural]
    rows = dict.fromkeys(tuple(point[structural].tolist()) for point in points)
    return [dict(zip(names, row, strict=True)) for row in rows]
