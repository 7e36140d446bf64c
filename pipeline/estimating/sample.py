"""The grid of a run, and a seeded sample of it on few event tables, which are dear to build."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from gpu_engine.records import Float
from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.search.space import Space, make_space
from pipeline.strategies.registry import load_strategy


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


def few_tables(space: Space, most: int, generator: np.random.Generator) -> Space:
    """Return a discrete ``space`` with at most ``most`` structural settings, all else as it is.

    The longest structural axis loses a value, drawn at random, until they are few enough.
    """
    dimensions = list(space.dimensions)

    def length(i: int) -> int:
        choices = dimensions[i].choices
        assert choices is not None, "a discrete space has choices"
        return len(choices)

    structural = space.of_kind("structural")
    while math.prod(map(length, structural)) > most:
        longest = max(structural, key=length)
        choices = dimensions[longest].choices
        assert choices is not None, "as above"
        kept = np.delete(choices, generator.integers(len(choices)))
        dimensions[longest] = replace(dimensions[longest], choices=kept)
    return Space(space.strategy, tuple(dimensions))


def drawn(space: Space, count: int, generator: np.random.Generator) -> Float:
    """Return ``count`` different points of a discrete space, or all, float64 of shape (n, P)."""
    index = generator.choice(space.size, size=min(count, space.size), replace=False)
    return space.points(index)
