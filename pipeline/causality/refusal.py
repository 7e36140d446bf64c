"""Refuse a strategy that looks ahead in the settings of a space, all of them or some."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Candles, EventTable, Float
from pipeline.causality.finding import LOOSEST, Finding
from pipeline.causality.look_ahead import Examination
from pipeline.cli.console import Progress, no_progress
from pipeline.errors import UserError
from pipeline.search.space import MOST_TABLES, Space

SEED = 15  # of what is drawn: all trainings check the same

# A continuous space has no finite set of tables, and some grids have too many: corners and some
# draws stand for them.
DRAWN = 8
CORNERS = 3  # dimensions whose corners are all taken


def refuse_look_ahead(
    space: Space,
    candles: Candles,
    tables: Sequence[EventTable] | None = None,
    winners: Sequence[Float] = (),
    trades: NDArray[Any] | None = None,
    progress: Progress = no_progress,
) -> None:
    """Refuse a strategy with a row that depends on bars after its signal, or on ``loosest``.

    Parameters
    ----------
    space : Space
    candles : Candles
        What the strategy is searched on.
    tables : sequence of EventTable or None
        All tables of a discrete space in row-major order, where somebody has built them.
    winners : sequence of ndarray of shape (P,)
        Points that a search chose: their settings alone are checked. A space of few tables, whose
        tables were all checked before, is cut at trades only.
    trades : structured array or None
        Trades of the winners: some signals and exit signals of them are looked at. A rare leak is
        no rare trade where the search could choose it.
    progress : Progress
        Hears of each step of what is checked before a search.

    Raises
    ------
    UserError
        With column, bar, both values and the structural setting of the first that is found.
    """
    settings, built = settings_of(space), tables if space.few_tables else None
    if winners:
        every, settings = settings, settings_at(space, winners)
        built = None if built is None else [built[every.index(s)] for s in settings]
    examination = Examination(space.strategy, space.loosest(), settings, candles, built)
    with progress("checks", examination.steps) as advance:
        looks = [] if winners and space.few_tables else [examination.findings(advance)]
        if trades is not None:
            looks.append(examination.near(trades))
        finding = next(itertools.chain.from_iterable(looks), None)
    if finding is not None:
        name = space.strategy.name
        file = getattr(space.strategy, "label", name)
        raise UserError(_sentence(examination.again(finding), name, file))


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


def _sentence(finding: Finding, name: str, file: str) -> str:
    """Return the refusal of a training: what is wrong, the finding, what to do next."""
    if finding.check == "repeat":
        return (
            f"{name} gives another result for the same candles: {finding.sentence}"
            " A table must depend on its candles and its setting alone: draw nothing at random, and"
            " keep nothing between calls (docs/look-ahead.md)."
        )
    if finding.check == "loosest":
        return f"{file}: {name} leaves rows out too early: {finding.sentence} {LOOSEST}"
    return (
        f"{name} looks ahead: {finding.sentence} A signal may know its own bar and those"
        " before it, nothing later (exits rules §1.2). Usual causes: shift(-1) or roll(-1), a"
        " centred window, a mean or a fit over the whole history, a resampled bar that is not"
        " closed. docs/look-ahead.md tells how to find it."
    )
