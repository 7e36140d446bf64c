"""What is searched and how: `conf/strategy` and `conf/optimizer` (validation rules §2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.config.section import Count, List, Section

Number = int | float

#: The largest grid whose scores are all held, and so the largest that plateau can rank
#: (validation rules §2.8).
PLATEAU_LIMIT = 10**7


class ParameterConfig(Section):
    """One parameter of a strategy and the values that a search may give it.

    Attributes
    ----------
    kind : {"structural", "threshold", "exit"}
        What a change of it costs the engine: an event table, a filter, an exit scan.
    minimum, maximum : float or None
        What is possible at all, both included; exits must also be above 0.
    grid : tuple of int, float or None
        Ascending, no value twice. None, only where ``nullable`` and in front, is *off*.
    low, high : int, float or None
        The continuous range; None keeps the parameter at its grid values.
    nullable : bool
        Whether it is a threshold that can be switched off.
    integer : bool
        Whole numbers only; they come out as int, all others as float.
    """

    kind: Literal["structural", "threshold", "exit"]
    nullable: bool = False
    integer: bool = False
    minimum: float | None = None
    maximum: float | None = None
    grid: Annotated[List[float | None], Field(min_length=1)]
    low: float | None = None
    high: float | None = None

    @field_validator("grid")
    @classmethod
    def _valid_grid(
        cls, grid: tuple[float | None, ...], info: ValidationInfo
    ) -> tuple[Number | None, ...]:
        values = [value for value in grid if value is not None]
        if None in grid and not info.data.get("nullable"):
            raise ValueError("must not hold null: this parameter cannot be switched off")
        if None in grid[1:]:
            raise ValueError("may hold null (off) once and only in front")
        if any(later <= earlier for earlier, later in pairwise(values)):
            raise ValueError("must ascend without repetition")
        return tuple(None if value is None else _possible(value, info.data) for value in grid)

    @field_validator("low", "high")
    @classmethod
    def _valid_end(cls, value: float | None, info: ValidationInfo) -> Number | None:
        return None if value is None else _possible(value, info.data)

    @field_validator("high")
    @classmethod
    def _valid_range(cls, high: Number | None, info: ValidationInfo) -> Number | None:
        if "low" not in info.data:
            return high
        low = info.data["low"]
        if (low is None) != (high is None):
            raise ValueError("and low must be given together or be null together")
        if low is not None and high is not None and low >= high:
            raise ValueError(f"must be above low ({low:g})")
        return high

    def possible(self, value: float | None) -> Number | None:
        """Give a value its type.

        Raises
        ------
        ValueError
            If the parameter can never have it; the message goes on after the parameter's name.
        """
        if value is not None:
            return _possible(value, dict(self))
        if not self.nullable:
            raise ValueError("must be a number: it cannot be switched off")
        return None


def _possible(value: float, declared: Mapping[str, Any]) -> Number:
    """Hold a value against the declaration of its parameter and give it its type."""
    minimum, maximum = declared.get("minimum"), declared.get("maximum")
    if declared.get("kind") == "exit" and value <= 0:
        raise ValueError(f"must be above 0, not {value:g}")
    if minimum is not None and value < minimum:
        raise ValueError(f"must be at least {minimum:g}, not {value:g}")
    if maximum is not None and value > maximum:
        raise ValueError(f"must be at most {maximum:g}, not {value:g}")
    if not declared.get("integer"):
        return value
    if not value.is_integer():
        raise ValueError(f"must be a whole number, not {value:g}")
    return int(value)


class StrategyConfig(Section):
    """A strategy by name, and its parameters in grid order: the last one runs fastest."""

    name: str
    parameters: dict[str, ParameterConfig]

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.parameters:
            raise ValueError("must have parameters")
        return self

    @property
    def grid_size(self) -> int:
        """Number of combinations on the grid."""
        return math.prod(len(parameter.grid) for parameter in self.parameters.values())


class GridConfig(Section):
    """Every combination."""

    name: Literal["grid"]


class RandomConfig(Section):
    """``samples`` combinations drawn at random, none twice, in every search."""

    name: Literal["random"]
    samples: Count


class BayesianConfig(Section):
    """``trials`` combinations proposed by TPE, ``batch`` at a time, in every search."""

    name: Literal["bayesian"]
    trials: Count
    batch: Count

    @field_validator("batch")
    @classmethod
    def _within_trials(cls, batch: int, info: ValidationInfo) -> int:
        trials = info.data.get("trials")
        if trials is not None and batch > trials:
            raise ValueError(f"must be at most optimizer.trials ({trials})")
        return batch


OptimizerConfig = Annotated[GridConfig | RandomConfig | BayesianConfig, Field(discriminator="name")]
