"""Read what a search kept of its combinations: a grid, the best of a large one, or a draw.

Nothing of a surface is read but the numbers that are asked for, and none of them is held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Float, Int64
from pipeline.errors import UserError, suggestion
from pipeline.report.rows import TrialRow, columns_of
from pipeline.report.tables import Cells, Table
from pipeline.results.artifacts.artifact_set import ScoreSummary, ScoreSurface
from pipeline.results.artifacts.drawn_trials import DrawnTrials
from pipeline.results.artifacts.files import StoredArrays

#: The order of a grid.
INDEX = "index"
#: What the search ranked by.
SCORE = "score"

#: Trials that are looked at together.
STRETCH = 1 << 18

#: Makes the cells of a column of some rows.
Make = Callable[[Int64], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Trials:
    """Combinations of the search that found the stored configuration.

    Attributes
    ----------
    total : int
        How many are kept.
    evaluated : int
        How many there were.
    index : callable
        Gives the place of some rows in the grid, or in the order in which they were asked.
    parameters : mapping of str to callable
        Gives the values of some rows, float64 with NaN for off.
    metrics : mapping of str to callable
        Gives a metric of some rows, NaN where there is none; `SCORE` is among them.
    row_of : callable
        Gives the row with some values, None for off, by name; None where it is not kept.
    """

    total: int
    evaluated: int
    index: Make
    parameters: Mapping[str, Make]
    metrics: Mapping[str, Make]
    row_of: Callable[[Mapping[str, Any]], int | None]

    @property
    def columns(self) -> dict[str, Make]:
        """What makes the columns of `TrialRow`."""
        score = self.metrics[SCORE]
        named = {f"parameters.{name}": make for name, make in self.parameters.items()}
        admissible = {"admissible": lambda rows: ~np.isnan(score(rows))}
        return {INDEX: self.index, **named, **admissible, **self.metrics}

    def best(self, count: int) -> Int64:
        """Return the rows of the best scores, best first, the first one among equals; no NaN."""
        score = self.metrics[SCORE]
        rows = first_of(lambda some: -score(some), self.total, min(count, self.total))
        admissible: Int64 = rows[~np.isnan(score(rows))]
        return admissible

    def rank(self, row: int) -> int:
        """Return the place of a row among all scores, 1 for the best."""
        score, own = self.metrics[SCORE], self.metrics[SCORE](np.array([row]))[0]
        above = 0
        for rows in stretches(self.total):
            some = score(rows)
            above += int(np.count_nonzero((some > own) | ((some == own) & (rows < row))))
        return above + 1


def trials_of(scores: ScoreSurface | ScoreSummary | DrawnTrials) -> Trials:
    """Return the trials of a search; of a grid that was too large to keep the best alone."""
    if isinstance(scores, DrawnTrials):
        count = len(scores.metrics[SCORE])
        named, metrics = (_columns(part) for part in (scores.parameters, scores.metrics))
        row_of = partial(_row_drawn, scores.parameters)
        return Trials(count, count, lambda rows: rows, named, metrics, row_of)
    size = math.prod(len(values) for values in scores.axes.values())
    values = coordinates(scores.axes)
    if isinstance(scores, ScoreSummary):
        kept = scores.index
        named = {name: _through(kept, make) for name, make in values.items()}
        score = _columns({SCORE: scores.score})
        row_of = partial(_row_kept, scores.axes, kept)
        return Trials(len(kept), size, partial(np.take, kept), named, score, row_of)
    made = {name: partial(metric_of, scores, name) for name in scores.metrics}
    return Trials(size, size, lambda rows: rows, values, made, partial(_index_of, scores.axes))


def _row_drawn(parameters: Mapping[str, Float], wanted: Mapping[str, Any]) -> int | None:
    same = np.ones(len(next(iter(parameters.values()))), np.bool_)
    for name, values in parameters.items():
        same &= np.isnan(values) if wanted[name] is None else values == wanted[name]
    return int(same.argmax()) if same.any() else None


def _row_kept(
    axes: Mapping[str, Sequence[Any]], kept: Int64, wanted: Mapping[str, Any]
) -> int | None:
    found = np.flatnonzero(kept == _index_of(axes, wanted))
    return int(found[0]) if len(found) else None


def _index_of(axes: Mapping[str, Sequence[Any]], wanted: Mapping[str, Any]) -> int | None:
    """Return the place in a grid of some values; None where one is not on it."""
    index = 0
    for name, values in axes.items():
        if wanted[name] not in values:
            return None
        index = index * len(values) + list(values).index(wanted[name])
    return index


def _columns(columns: Mapping[str, Float]) -> dict[str, Make]:
    return {name: partial(np.take, values) for name, values in columns.items()}


def _through(kept: Int64, make: Make) -> Make:
    return lambda rows: make(kept[rows])


def metric_of(scores: ScoreSurface, name: str, index: Int64) -> NDArray[np.float32]:
    """Return a metric of some combinations by their index; of a stored one no more is read."""
    if isinstance(scores.metrics, StoredArrays):
        return scores.metrics.rows(name, index)
    return scores.metrics[name].reshape(-1)[index]


def coordinates(axes: Mapping[str, Sequence[Any]]) -> dict[str, Make]:
    """Return by parameter what gives its values, NaN for off, at some indices of a grid."""
    made: dict[str, Make] = {}
    stride = math.prod(len(values) for values in axes.values())
    for name, values in axes.items():
        stride //= len(values)
        made[name] = partial(_along, np.array(values, np.float64), stride)  # None is NaN
    return made


def _along(axis: Float, stride: int, index: Int64) -> Float:
    """Return a parameter's values; it takes the next one every ``stride`` places of the grid."""
    values: Float = axis[index // stride % len(axis)]
    return values


def trials_table(trials: Trials, sort: str = INDEX, descending: bool = False) -> Table:
    """Lay out the combinations of a search, in sample (`TrialRow`).

    Of a grid that was too large to keep these are the best alone.

    Parameters
    ----------
    sort : str
        Any column; rows that have no number there come last, whichever way the others go.

    Raises
    ------
    UserError
        When there is no such column.
    """
    make = trials.columns
    columns = [c for c in columns_of(TrialRow, list(trials.parameters)) if c.name in make]
    if sort not in make:
        names = [column.name for column in columns]
        raise UserError(
            f"sort: there is no column {sort}; allowed are {', '.join(names)}."
            + suggestion(sort, names)
        )
    rows = _in_order(
        trials.total, make[sort], descending, as_it_is=sort == INDEX and not descending
    )

    def cells(start: int, end: int) -> Cells:
        some = rows(start, end)
        return {column.name: make[column.name](some) for column in columns}

    return Table(columns, trials.total, cells)


def _in_order(
    total: int, key: Make, descending: bool, *, as_it_is: bool
) -> Callable[[int, int], Int64]:
    """Return what gives the rows at places ``[start, end)`` of an order; ties by row, NaN last.

    The first page of millions of rows does not wait until all of them are sorted, nor holds them.
    """
    if as_it_is:
        return lambda start, end: np.arange(start, min(end, total))
    ranked = np.empty(0, np.int64)

    def keys(rows: Int64) -> NDArray[Any]:
        found = key(rows)
        found = found.astype(np.int8) if found.dtype == np.bool_ else found
        return -found if descending else found

    def rows(start: int, end: int) -> Int64:
        nonlocal ranked
        end = min(end, total)
        if len(ranked) < end:
            ranked = first_of(keys, total, end if not len(ranked) else total)
        return ranked[start:end]

    return rows


def stretches(total: int, size: int = STRETCH) -> Iterator[Int64]:
    """Yield all rows, some at a time."""
    for first in range(0, total, size):
        yield np.arange(first, min(first + size, total))


def first_of(keys: Make, total: int, count: int) -> Int64:
    """Return the rows of the ``count`` smallest keys in order; ties by row, NaN last.

    Keys are asked for a stretch of rows at a time, so that memory is of the size of ``count``.
    """
    if 2 * count >= total:
        return np.argsort(keys(np.arange(total)), kind="stable")[:count]
    best, known = np.empty(0, np.int64), np.empty(0)
    for rows in stretches(total, max(STRETCH, count)):
        found = keys(rows)
        best, known = (
            np.concatenate([best, rows]),
            np.concatenate([known.astype(found.dtype), found]),
        )
        some = _smallest(known, min(count, len(known)))
        best, known = best[some], known[some]
    return best


def _smallest(keys: NDArray[Any], count: int) -> Int64:
    """Return the rows of the ``count`` smallest keys in order; ties by row, NaN last."""
    if 2 * count >= len(keys):
        return np.argsort(keys, kind="stable")[:count]
    bound = np.partition(keys, count - 1)[count - 1]  # NaN comes last here too
    undefined = np.isnan(keys)
    before, at = (keys < bound, keys == bound) if bound == bound else (~undefined, undefined)
    below = np.flatnonzero(before)
    some = np.sort(np.concatenate([below, np.flatnonzero(at)[: count - len(below)]]))
    return some[np.argsort(keys[some], kind="stable")]
