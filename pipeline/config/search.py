"""Define what is searched and how: `conf/strategy` and `conf/optimizer` (validation rules §2)."""

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

    Its ``kind`` is what a change of it costs the engine: an event table, a filter, an exit scan.
    Whole numbers come out as int, all others as float.
    """

    kind: Literal["structural", "threshold", "exit"] = Field(description="what a change costs")
    nullable: bool = Field(False, description="whether it is a threshold that null switches off")
    integer: bool = Field(False, description="whole numbers only")
    minimum: float | None = Field(None, description="possible at all; exits are above 0 too")
    maximum: float | None = Field(None, description="possible at all")
    grid: Annotated[List[float | None], Field(min_length=1)] = Field(
        description="values, ascending; null, in front, is off"
    )
    low: float | None = Field(None, description="start of the range; null: the grid's values")
    high: float | None = Field(None, description="end of the range")

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

    name: str = Field(description="a module of pipeline/strategies")
    parameters: dict[str, ParameterConfig] = Field(description="what is searched")

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

    name: Literal["grid"] = Field(
        description="Every combination of the grid. Take it whenever the space is a grid: it is"
        " exact, and alone gives the score surface, plateau ranking and the stability of the"
        " winner."
    )


class RandomConfig(Section):
    """``samples`` combinations, none twice."""

    name: Literal["random"] = Field(
        description="Combinations drawn at random, none twice. Take it for a quick look, or where"
        " the space is too large to search whole."
    )
    samples: Count = Field(description="combinations in every search")


class BayesianConfig(Section):
    """``trials`` combinations proposed by TPE, ``batch`` at a time."""

    name: Literal["bayesian"] = Field(
        description="Combinations that a model of the scores so far proposes (TPE). Take it where"
        " an evaluation is dear, as in a continuous space; each proposal takes longer than many"
        " evaluations on a grid."
    )
    trials: Count = Field(description="combinations in every search")
    batch: Count = Field(description="proposed at a time, at most trials")

    @field_validator("batch")
    @classmethod
    def _within_trials(cls, batch: int, info: ValidationInfo) -> int:
        trials = info.data.get("trials")
        if trials is not None and batch > trials:
            raise ValueError(f"must be at most optimizer.trials ({trials})")
        return batch


OptimizerConfig = Annotated[GridConfig | RandomConfig | BayesianConfig, Field(discriminator="name")]
