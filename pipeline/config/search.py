"""Define what is searched and how: strategy and `conf/optimizer` (validation rules §2)."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.config.section import Count, List, OwnText, Section
from pipeline.config.values import TypedValue
from pipeline.errors import UserError
from pipeline.strategies.base import Parameter

if TYPE_CHECKING:
    from pipeline.strategies.registry import LoadedStrategy

Number = int | float

#: The largest grid whose scores are all held, and so the largest that plateau can rank
#: (validation rules §2.8).
PLATEAU_LIMIT = 10**7
#: The largest grid that is searched whole: days of the fastest GPU. And the largest that a search
#: draws from: an index is a 64-bit integer.
MOST_COMBINATIONS, MOST_DRAWN = 10**10, 2**63 - 1


class ParameterConfig(Section):
    """One parameter of a strategy and the values that a search may give it.

    Its ``kind`` is what a change of it costs the engine: an event table, a filter, an exit scan.
    Whole numbers come out as int, all others as float. ``nullable`` is a threshold that null
    switches off; ``minimum`` and ``maximum`` bound what is possible at all (exits are above 0 too).
    These are the strategy's own, so no help names them as keys.
    """

    kind: Literal["structural", "threshold", "exit"]
    nullable: bool = False
    integer: bool = False
    minimum: float | None = None
    maximum: float | None = None
    grid: Annotated[List[float | None], Field(min_length=1)] = Field(
        description="values, ascending; null, in front, is off"
    )
    low: float | None = Field(None, description="start of the range; null: the grid's values")
    high: float | None = Field(None, description="end of the range")

    @model_validator(mode="before")
    @classmethod
    def _from_typed_value(cls, value: Any) -> Any:
        return value.configuration() if isinstance(value, TypedValue) else value

    @field_validator("grid")
    @classmethod
    def _valid_grid(
        cls, grid: tuple[float | None, ...], info: ValidationInfo
    ) -> tuple[Number | None, ...]:
        values = [value for value in grid if value is not None]
        if None in grid and not info.data.get("nullable"):
            raise ValueError("must not hold off (null): this parameter cannot be switched off")
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
    names = ("minimum", "maximum", "integer")
    bounds = {name: declared[name] for name in names if declared.get(name) is not None}
    complaint = Parameter("", declared.get("kind", "structural"), "", **bounds).complaint(value)
    if complaint is not None:
        raise ValueError(complaint)
    return int(value) if declared.get("integer") else value


class StrategyConfig(Section):
    """A strategy, and its parameters in grid order: the last one runs fastest.

    ``text`` is the whole file of an own strategy, None of a built-in one: a worker, and whoever
    reads the result later, need no file. ``file`` is where it lay; it is not stored.
    """

    name: str = Field(description="a word, or the path of a Python file")
    text: OwnText
    file: str | None = Field(None, exclude=True)
    parameters: dict[str, ParameterConfig] = Field(description="what is searched")

    @model_validator(mode="before")
    @classmethod
    def _read_typed_values(cls, values: Any) -> Any:
        """Give a value that stands in place of a parameter's keys what its class declares."""
        parameters = values.get("parameters") if isinstance(values, dict) else None
        if not isinstance(parameters, dict):
            return values
        groups = (dict, ParameterConfig, TypedValue)
        typed = {name: v for name, v in parameters.items() if not isinstance(v, groups)}
        if not typed:
            return values
        from pipeline.strategies.declaration import configured
        from pipeline.strategies.registry import load_strategy

        strategy = load_strategy(values["name"], values.get("text"), values.get("file"))
        declared = {parameter.name: configured(parameter) for parameter in strategy.parameters}
        read = {name: TypedValue(v, name, declared) for name, v in typed.items()}
        return {**values, "parameters": {**parameters, **read}}

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.parameters:
            raise ValueError("must have parameters")
        return self

    @property
    def grid_size(self) -> int:
        """Number of combinations on the grid."""
        return math.prod(len(parameter.grid) for parameter in self.parameters.values())

    def load(self) -> "LoadedStrategy":
        """Return the strategy itself.

        Raises
        ------
        UserError
            When it is not here, its file is broken, or it declares other parameters than these.
        """
        from pipeline.strategies.registry import load_strategy

        strategy = load_strategy(self.name, self.text, self.file)
        declared = {parameter.name: parameter for parameter in strategy.parameters}
        if declared.keys() != self.parameters.keys():
            missing = ", ".join(sorted(declared.keys() - self.parameters.keys())) or "none"
            unknown = ", ".join(sorted(self.parameters.keys() - declared.keys())) or "none"
            raise UserError(
                f"strategy.parameters must be those of {strategy.name}; missing: {missing},"
                f" unknown: {unknown}."
            )
        for name, values in self.parameters.items():
            for fact in ("kind", "integer", "nullable"):
                said = getattr(values, fact)
                if said != getattr(declared[name], fact):
                    raise UserError(
                        f"strategy.parameters.{name}.{fact} is declared by {strategy.name} and"
                        f" cannot be changed: leave it out; given: {said}."
                    )
        return strategy


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
