"""Take a strategy by its word, its path, its class or an object of it, and values for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import ParameterConfig, Section, validate
from pipeline.config.values import TypedValue
from pipeline.errors import UserError, suggestion
from pipeline.strategies import declaration
from pipeline.strategies.registry import LoadedStrategy, Source, load_strategy, locate


class _Values(Section):
    parameters: dict[str, ParameterConfig]


def strategy_of(strategy: Any) -> LoadedStrategy:
    """Return a checked strategy.

    Parameters
    ----------
    strategy : str, Path, class or object
        A built-in word, the path of a file, or what a file would call ``STRATEGY``: an object, or
        a class that is made without arguments.

    Raises
    ------
    UserError
        When there is none of that name, or it does not declare what the contract asks.
    """
    if isinstance(strategy, str | Path):
        return load_strategy(*locate(str(strategy)))
    if isinstance(strategy, LoadedStrategy):
        return strategy
    declared = strategy() if isinstance(strategy, type) else strategy
    label = type(declared).__name__
    fault = next(declaration.faults(declared), None)
    if fault is not None:
        raise UserError(f"{label}: {fault}")
    # A text, if only an empty one, has its event tables checked as those of a file.
    return LoadedStrategy(Source(label, "", label), declared)


def values_of(strategy: LoadedStrategy, ranges: Mapping[str, Any]) -> dict[str, ParameterConfig]:
    """Return the values of every parameter: those of ``ranges``, else the declared grid.

    Raises
    ------
    UserError
        For a parameter that is none, or values that it cannot have.
    """
    declared = {p.name: declaration.configured(p) for p in strategy.parameters}
    check_names(strategy, ranges)
    parameters = {
        name: TypedValue(_plain(ranges[name]), name, declared) if name in ranges else values
        for name, values in declared.items()
    }
    return validate({"parameters": parameters}, _Values).parameters


def check_names(strategy: LoadedStrategy, named: Mapping[str, Any]) -> None:
    """Refuse what is no parameter of the strategy.

    Raises
    ------
    UserError
        It names the parameters that there are.
    """
    names = [parameter.name for parameter in strategy.parameters]
    for name in named:
        if name not in names:
            raise UserError(
                f"{name} is no parameter of {strategy.name}: it has {', '.join(names)}."
                f"{suggestion(name, names)}"
            )


def _plain(values: Any) -> Any:
    """Return a number, a text or a list of plain numbers, whatever array or range it came as."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, float) and math.isnan(values):
        return None  # off, as a row of `grid` has it
    return list(values) if isinstance(values, range | tuple) else values
