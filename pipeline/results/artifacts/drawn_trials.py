"""Write and read the trials of a search that draws: what it asked, in its order, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpu_engine import Float, Int64
from pipeline.market_data.arrow import array_of, table_of
from pipeline.results.artifacts.files import read_table

#: Rows of a table: `pipeline.search.loop.TRIALS_KEPT`.
MOST_TRIALS = 1_000_000
#: Values of a parameter that are shown one by one, and ranges that more of them are put into.
MOST_VALUES, RANGES = 40, 12
_PARAMETER = "parameters."


@dataclass(frozen=True, eq=False)
class DrawnTrials:
    """What a random or Bayesian search asked, in its order.

    Attributes
    ----------
    parameters : mapping of str to float64 array of shape (n,)
        Values by name; NaN is "off".
    metrics : mapping of str to float64 array of shape (n,)
        ``score``, NaN where inadmissible, and the metrics of a score surface.
    """

    parameters: Mapping[str, Float]
    metrics: Mapping[str, Float]

    @cached_property
    def axes(self) -> dict[str, list[float | None]]:
        """Values of every parameter in order, off first; of many the middles of even ranges."""
        return {name: _axis(values) for name, values in self.parameters.items()}

    def places(self, name: str) -> Int64:
        """Return where each trial stands on the axis of a parameter, int64 of shape (n,)."""
        values, axis = self.parameters[name], np.array(self.axes[name], np.float64)
        middles = axis[~np.isnan(axis)]
        edges = (middles[1:] + middles[:-1]) / 2.0
        at = np.searchsorted(edges, values, "right") + (len(axis) - len(middles))
        places: Int64 = np.where(np.isnan(values), 0, at)
        return places


def _axis(values: Float) -> list[float | None]:
    found = np.unique(values[~np.isnan(values)])
    if len(found) > MOST_VALUES:
        edges = np.linspace(found[0], found[-1], RANGES + 1)
        found = (edges[1:] + edges[:-1]) / 2.0
    off: list[float | None] = [None] if np.isnan(values).any() else []
    return [*off, *map(float, found)]


def write_drawn(path: Path, trials: DrawnTrials) -> None:
    """Write the trials."""
    named = {f"{_PARAMETER}{name}": values for name, values in trials.parameters.items()}
    columns = {**named, **trials.metrics}
    pq.write_table(table_of({n: np.asarray(v, np.float64) for n, v in columns.items()}), path)


def read_drawn(path: Path) -> DrawnTrials:
    """Read the trials.

    Raises
    ------
    FileNotFoundError
        When they are gone.
    ValueError
        When the file is damaged, no plain file, or holds other rows or types than it can.
    """
    table = read_table(path, MOST_TRIALS)
    odd = [name for name in table.column_names if table.schema.field(name).type != pa.float64()]
    if odd or "score" not in table.column_names:
        raise ValueError(f"{path.name}: {odd[0] if odd else 'score'} is no column of numbers")
    columns = {name: array_of(table[name]) for name in table.column_names}
    return DrawnTrials(
        {n.removeprefix(_PARAMETER): v for n, v in columns.items() if n.startswith(_PARAMETER)},
        {n: v for n, v in columns.items() if not n.startswith(_PARAMETER)},
    )
