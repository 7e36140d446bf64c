"""Time one small search on invented candles: how fast this machine searches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from gpu_engine.records import Float
from pipeline.config import TrainConfig
from pipeline.config.search import PLATEAU_LIMIT
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.search.backends import chosen_backend
from pipeline.search.evaluator import Evaluator
from pipeline.search.loop import SearchSettings, search
from pipeline.search.space import Space, make_space
from pipeline.strategies.registry import load_strategy
from pipeline.training.provenance import peak_memory
from pipeline.validation.windows import whole_days

#: The probe: invented candles, few event tables, so many combinations.
DAYS, TIMEFRAME, TABLES, COMBINATIONS = 90, "5m", 6, 30_000
#: The shortest of so many repeats counts: what else runs here can only add.
REPEATS = 3


@dataclass(frozen=True)
class Speed:
    """Seconds that this machine takes for the two pieces of work that a training consists of.

    Attributes
    ----------
    backend : str
        The backend that was timed.
    table : float
        One bar of one event table.
    search : float
        One combination over one day, evaluated and ranked.
    resident : int
        Bytes that the process held at most meanwhile: interpreter, packages, backend.
    """

    backend: str
    table: float
    search: float
    resident: int


def measure_speed(config: TrainConfig) -> Speed:
    """Time the strategy and backend of ``config``, in about a second once they are compiled.

    Raises
    ------
    UserError
        When the backend or the strategy is not here.
    """
    grid, draw = grid_of(config), np.random.default_rng(0)
    few = thinned(grid, grid.of_kind("structural"), TABLES, draw)
    space = thinned(few, range(len(few.dimensions)), COMBINATIONS, draw)
    backend = chosen_backend(config.backend, lambda _: None, space.size)
    rows = synthetic_candles(DAYS, TIMEFRAME, seed=0)
    candles = make_regular(rows, TIMEFRAME, "probe")[0]
    costs, limits = config.costs.record(), config.risk.limits()
    evaluator = Evaluator(candles, space, costs, limits, backend)
    rank = config.selection != "peak" and grid.size <= PLATEAU_LIMIT
    settings = SearchSettings(
        "grid", 0, 0, config.objective, "plateau" if rank else "peak", config.min_trades, 0
    )
    whole = (whole_days(candles).whole,)

    def build_tables() -> None:
        _ = Evaluator(candles, space, costs, limits, backend).market

    def search_once() -> None:
        search(evaluator, whole, settings, lambda _: None)

    search_once()  # compiles
    structural = [space.shape[i] for i in space.of_kind("structural")]
    return Speed(
        backend=backend.name,
        table=_shortest(build_tables) / (len(candles) * math.prod(structural)),
        search=_shortest(search_once) / (space.size * DAYS),
        resident=peak_memory(),
    )


def grid_of(config: TrainConfig) -> Space:
    """Return the discrete space of ``config``, also where its search draws from ranges.

    Raises
    ------
    UserError
        When the strategy is unknown or lacks a parameter.
    """
    strategy = load_strategy(config.strategy.name)
    try:
        return make_space(strategy, config.strategy.parameters, continuous=False)
    except KeyError as missing:
        raise UserError(
            f"strategy.parameters must be those of {strategy.name}; {missing.args[0]} is missing."
        ) from None


def thinned(space: Space, axes: Sequence[int], most: int, generator: np.random.Generator) -> Space:
    """Return a discrete ``space`` with at most ``most`` settings of ``axes``, all else as it is.

    The longest of the axes loses a value, drawn at random, until they are few enough.
    """
    choices = [axis.choices for axis in space.dimensions if axis.choices is not None]
    while math.prod(len(choices[i]) for i in axes) > most:
        longest = max(axes, key=lambda i: len(choices[i]))
        choices[longest] = np.delete(choices[longest], generator.integers(len(choices[longest])))
    kept = zip(space.dimensions, choices, strict=True)
    return Space(space.strategy, tuple(replace(axis, choices=values) for axis, values in kept))


def drawn(space: Space, count: int, generator: np.random.Generator) -> Float:
    """Return ``count`` different points of a discrete space, or all, float64 of shape (n, P)."""
    index = generator.choice(space.size, size=min(count, space.size), replace=False)
    return space.points(index)


def _shortest(work: Callable[[], object]) -> float:
    """Seconds of the shortest of `REPEATS`."""
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        work()
        seconds.append(perf_counter() - start)
    return min(seconds)
