"""Hold what a strategy's file declares against the contract (`pipeline.strategies.base`)."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any, get_args

from gpu_engine import METRICS, ExitSettings
from gpu_engine.exits import STOPS, TARGETS, TRAIL, ZERO_ALLOWED
from pipeline.errors import suggestion
from pipeline.strategies.base import Kind, Parameter

KINDS = get_args(Kind)
ROLES = tuple(field.name for field in fields(ExitSettings))

#: An id is the name and 23 characters more; a database and an address hold so many.
_STORED_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Columns of a data frame of `pipeline.lab`, and arguments of its functions.
TAKEN = (
    *(METRICS.names or ()),
    *("backend", "candles", "direction", "strategy", "synthetic"),
    *("fee_rate", "slippage", "maker_fee", "borrow_rate"),
)


def faults(strategy: Any) -> Iterator[str]:
    """Yield what is wrong with a ``STRATEGY``, a sentence each; nothing where it is declared well.

    Each says the thing, what is allowed, and what was given.
    """
    name = getattr(strategy, "name", None)
    if not isinstance(name, str) or not _STORED_NAME.fullmatch(name):
        yield (
            "STRATEGY.name must be 1 to 40 upper-case letters, digits and underscores, such as"
            f" 'MY_BREAKOUT_V1'; given: {name!r}."
        )
    if not callable(getattr(strategy, "events", None)):
        yield "STRATEGY must have a method events(candles, loosest); it has none."
    elif fault := signature_fault(strategy.events, "events", ("candles", "loosest")):
        yield fault
    mirrored = getattr(strategy, "mirrored", False)
    if not isinstance(mirrored, bool):
        yield f"STRATEGY.mirrored must be True or False, or be left out; given: {mirrored!r}."
    parameters = getattr(strategy, "parameters", None)
    if not isinstance(parameters, tuple) or not parameters:
        yield (
            "STRATEGY.parameters must be a tuple of Parameter(...), at least one; given:"
            f" {type(parameters).__name__}."
        )
        return
    for number, parameter in enumerate(parameters):
        if type(parameter) is not Parameter:  # a class of the file's own may raise later
            yield (
                f"STRATEGY.parameters[{number}] must be a Parameter of pipeline.strategies.base;"
                f" given: {type(parameter).__name__}."
            )
            return
    names = [parameter.name for parameter in parameters]
    for name in dict.fromkeys(n for n in names if names.count(n) > 1):
        yield f"STRATEGY.parameters must have names of their own; '{name}' is there twice."
    for parameter in parameters:
        yield from (f"parameter '{parameter.name}' {fault}" for fault in _faults(parameter))
    yield from _exit_faults([p.exit for p in parameters if p.kind == "exit"])
    yield from _example_faults(getattr(strategy, "example", {}), parameters)


def signature_fault(method: Any, name: str, handed: tuple[str, ...]) -> str | None:
    """Say why a method cannot take what it is handed; None where it can."""
    try:
        signature = inspect.signature(method)
        signature.bind(*handed)
    except ValueError:  # a compiled one, which does not say what it takes
        return None
    except TypeError:
        code = getattr(method, "__code__", None)
        where = "" if code is None else f" (line {code.co_firstlineno})"
        signature = signature.replace(return_annotation=inspect.Signature.empty)
        return (
            f"{name}{where} is handed {' and '.join(handed)}, and takes {signature}: write"
            f" def {name}(self, {', '.join(handed)})."
        )
    return None


def _example_faults(example: Any, parameters: tuple[Parameter, ...]) -> Iterator[str]:
    """Yield what is wrong with the values of an example."""
    if not isinstance(example, Mapping):
        yield (
            "STRATEGY.example must be a dict of values by the parameter's name, or be left out;"
            f" given: {type(example).__name__}."
        )
        return
    by_name = {parameter.name: parameter for parameter in parameters}
    for name, value in example.items():
        if name not in by_name:
            yield f"STRATEGY.example has '{name}', no parameter.{suggestion(name, by_name)}"
        elif value is None and not by_name[name].nullable:
            yield f"STRATEGY.example has {name}=None: only a nullable threshold may be off."
        elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            yield f"STRATEGY.example must hold numbers; given: {name}={value!r}."
        elif value is not None and (complaint := by_name[name].complaint(value)):
            yield f"STRATEGY.example has {name}={value}, which {complaint}."


def _faults(parameter: Parameter) -> Iterator[str]:
    """Yield what is wrong with one parameter; each goes on after its name."""
    if not isinstance(parameter.name, str) or not _PARAMETER_NAME.fullmatch(parameter.name):
        yield "must be called by lower-case letters, digits and underscores, a letter first."
    if parameter.name in TAKEN:
        yield "has the name of a metric, or of an argument of pipeline.lab: give it another."
    if parameter.kind not in KINDS:
        yield f"has the kind {parameter.kind!r}; allowed are {', '.join(KINDS)}."
        return
    threshold, exits = parameter.kind == "threshold", parameter.kind == "exit"
    if threshold and parameter.sense not in (+1, -1):
        yield (
            "is a threshold and must say sense=+1 (the feature must be at least it) or sense=-1"
            f" (at most); given: {parameter.sense!r}."
        )
    if not threshold and parameter.sense != 0:
        yield f"is no threshold and has no sense; given: {parameter.sense!r}."
    if parameter.nullable and not threshold:
        yield "is no threshold and cannot be nullable."
    if parameter.role and not exits:
        yield f"is no exit and has no role; given: '{parameter.role}'."
    if exits and parameter.exit not in ROLES:
        yield (
            f"is an exit, and '{parameter.exit}' is no exit role: give role=, one of"
            f" {', '.join(ROLES)}.{suggestion(parameter.exit, ROLES)}"
        )
        return
    yield from _value_faults(parameter)


def _value_faults(parameter: Parameter) -> Iterator[str]:
    """Yield what is wrong with the grid and the range of a parameter of a legal kind."""
    grid: Any = parameter.grid
    if not isinstance(grid, tuple | list | range):  # an array is true, false or neither
        yield (
            "must have its grid as a tuple, such as grid=(20, 50), grid=(20,) with its comma, or"
            f" grid=tuple(range(20, 60, 10)); given: {type(grid).__name__}."
        )
        return
    values = [value for value in parameter.grid if value is not None]
    if not parameter.grid:
        yield "must have a grid of at least one value, such as grid=(1, 2, 3)."
    if None in parameter.grid and not parameter.nullable:
        yield "has None (off) in its grid: only a nullable threshold may be off."
    elif None in parameter.grid[1:]:
        yield "may have None (off) once in its grid, and in front."
    numbers = [*values, *(v for v in (parameter.low, parameter.high) if v is not None)]
    strange = [v for v in numbers if isinstance(v, bool) or not isinstance(v, int | float)]
    if strange:
        yield f"must have numbers in grid, low and high; given: {strange[0]!r}."
        return
    if any(later <= earlier for earlier, later in pairwise(values)):
        yield f"must have a grid that ascends without repetition; given: {parameter.grid}."
    if (parameter.low is None) != (parameter.high is None):
        yield "must have both low and high, or neither."
    elif parameter.low is not None and not parameter.low < (high := parameter.high or 0.0):
        yield f"must have low below high; given: {parameter.low:g} and {high:g}."
    for value in numbers:
        complaint = parameter.complaint(value)
        if complaint:
            yield f"{complaint}."
            return
    if parameter.kind == "exit" and parameter.minimum is not None:
        zero = parameter.exit in ZERO_ALLOWED
        if parameter.minimum < 0 or (parameter.minimum == 0 and not zero):
            yield f"is an exit ({parameter.exit}) and must have a minimum above 0."


def _exit_faults(roles: list[str]) -> Iterator[str]:
    """Yield why exits of these roles cannot stand together (exits rules §2)."""
    for role in dict.fromkeys(r for r in roles if roles.count(r) > 1):
        yield f"two parameters have the exit role {role}; a role has one."
    for what, allowed in (("stop", STOPS), ("target", TARGETS)):
        several = [role for role in roles if role in allowed]
        if len(several) > 1:
            yield f"a strategy has at most one {what}; given: {', '.join(several)}."
    if len([role for role in roles if role in TRAIL]) == 1:
        yield f"{' and '.join(TRAIL)} come together or not at all."
    for role in ("target_multiple", "break_even_trigger"):
        if role in roles and not any(r in STOPS for r in roles):
            yield f"{role} is in stop distances and needs one of {', '.join(STOPS)}."


def configured(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as `pipeline.config.ParameterConfig` reads it, plain values."""
    values: dict[str, Any] = {"kind": parameter.kind}
    values |= {name: True for name in ("nullable", "integer") if getattr(parameter, name)}
    bounds = {"minimum": parameter.least, "maximum": parameter.maximum}
    values |= {name: bound for name, bound in bounds.items() if bound is not None}
    return values | {"grid": list(parameter.grid), "low": parameter.low, "high": parameter.high}
