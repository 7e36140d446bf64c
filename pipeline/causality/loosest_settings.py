"""Hold tables of two ``loosest`` against each other: what passes both must be the same rows.

``loosest`` says what may be left out, and a table that reads more out of it changes what a search
trades (`pipeline.strategies.base.Strategy`).
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from gpu_engine import EventTable
from pipeline.causality.comparison import Difference, first_difference
from pipeline.errors import UserError
from pipeline.strategies.base import Strategy, of_kind, passing


def first_with_another(
    strategy: Strategy,
    loosest: Mapping[str, float],
    table: EventTable,
    build: Callable[[Mapping[str, float]], EventTable],
    end: int,
) -> tuple[Difference, tuple[str, str]] | None:
    """Find where a table parts from that of another ``loosest``, and say which two these are.

    Parameters
    ----------
    strategy : Strategy
    loosest : mapping of str to float
    table : EventTable
        Made with it.
    build : callable
        Makes the same table with another one.
    end : int
        Bars from it on are not compared.
    """

    def parted(limits: Mapping[str, float]) -> Difference | None:
        try:
            tables = table, build(limits)
        except UserError:  # it cannot have these limits, and no search asked for them
            return None
        both = _tightest(strategy, loosest, limits)
        first, second = (t.at(passing(strategy.parameters, t.features, both)) for t in tables)
        return first_difference(first, second, end, exact=False)

    def written(limits: Mapping[str, float]) -> str:
        return ", ".join(f"{n}={v:g}" for n, v in limits.items() if other[n] != loosest[n])

    other = other_loosest(strategy, loosest, table)
    if other == loosest or (difference := parted(other)) is None:
        return None
    for name in [name for name in other if other[name] != loosest[name]]:
        one = {**loosest, name: other[name]}
        if (alone := parted(one)) is not None:  # this threshold does it
            difference, other = alone, one
            break
    own, another = f"with loosest {written(loosest)}", f"with loosest {written(other)}"
    return difference, (own, f"{another}, though its features pass both")


def other_loosest(
    strategy: Strategy, loosest: Mapping[str, float], table: EventTable
) -> dict[str, float]:
    """Return other limits that some rows of a table pass; a limit without another stays.

    Each is the next tighter value that the strategy declares and that leaves a row; without one
    the next looser; without that the middle of what the rows have, which leaves half of them.
    """
    limits = dict(loosest)
    for k, parameter in enumerate(of_kind(strategy, "threshold")):
        if parameter.name not in limits:
            continue
        rows = passing(strategy.parameters, table.features, limits)
        column = np.sort(parameter.sense * table.features[rows, k])
        own = parameter.sense * limits[parameter.name]
        values = (*parameter.grid, parameter.low, parameter.high)
        declared = {parameter.sense * value for value in values if value is not None}
        tighter = sorted(v for v in declared if v > own and len(column) and v <= column[-1])
        looser = sorted((v for v in declared if v < own), reverse=True)
        middle = column[len(column) // 2 : len(column) // 2 + 1].tolist()
        for value in (*tighter, *looser, *middle):
            limit = parameter.sense * float(math.ceil(value) if parameter.integer else value)
            if parameter.complaint(limit) is None and limit != limits[parameter.name]:
                limits[parameter.name] = limit
                break
    return limits


def _tightest(
    strategy: Strategy, first: Mapping[str, float], second: Mapping[str, float]
) -> dict[str, float]:
    """Return of every limit the tighter of two."""
    senses = {parameter.name: parameter.sense for parameter in strategy.parameters}
    return {
        name: senses[name] * max(senses[name] * first[name], senses[name] * second[name])
        for name in first
    }
