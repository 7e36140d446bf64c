"""Read the values that a person types for a parameter: a list, a range, one number, null.

``[1,2,3]`` are exactly these values. ``1:3:0.5`` are the steps from 1 to 3, and the range from 1 to
3 where a search is continuous. ``1:3`` is the range, and those values of the declared grid that lie
in it. One number, or off (null) where a parameter can be off, fixes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

#: Steps of one range; more are a slip of the keyboard.
MOST_STEPS = 10_000
FORMS = "a list [1,2,3], a range 1:3 or 1:3:0.5, or one number"

_STEPS = f"must have a step above 0 that reaches its end in at most {MOST_STEPS:,} steps"


@dataclass(frozen=True)
class TypedValue:
    """What was typed in place of a parameter's keys, and what the strategy declares of all."""

    value: Any
    name: str
    declared: Mapping[str, Mapping[str, Any]]

    def __str__(self) -> str:
        return "null" if self.value is None else str(self.value)

    def configuration(self) -> dict[str, Any]:
        """Return the parameter's keys as declared, with ``grid``, ``low`` and ``high`` as typed.

        Raises
        ------
        ValueError
            When it is none of `FORMS`; the message goes on after the parameter's name.
        """
        if self.name not in self.declared:
            raise ValueError(f"is no parameter of this strategy ({', '.join(self.declared)})")
        own = self.declared[self.name]
        return {**own, **_values(self.value, own["grid"], own.get("integer", False))}


def _values(value: Any, declared: list[Any], integer: bool) -> dict[str, Any]:
    """Return ``grid``, ``low`` and ``high`` of what was typed."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("[") and text.endswith("]"):
            items = text[1:-1].split(",") if text[1:-1].strip() else []
            return _fixed([_item(item.strip()) for item in items])
        if ":" in text:
            return _range([_decimal(part) for part in text.split(":")], declared, integer)
        return _fixed([_item(text)])
    return _fixed(list(value) if isinstance(value, list | tuple) else [value])


def _fixed(grid: list[Any]) -> dict[str, Any]:
    """Return exactly these values: a continuous search has no others."""
    return {"grid": grid, "low": None, "high": None}


def _range(parts: list[Decimal], declared: list[Any], integer: bool) -> dict[str, Any]:
    if len(parts) > 3:
        raise ValueError(f"must be {FORMS}")
    (low, high), step = parts[:2], parts[2:]
    if low >= high:
        raise ValueError(f"must begin below its end: {low} is not below {high}")
    if integer and (low % 1 or high % 1):
        raise ValueError("must begin and end at a whole number")
    if step:
        grid: list[Any] = _steps(low, high, step[0])
    else:
        grid = [v for v in declared if v is not None and low <= Decimal(str(v)) <= high]
        if not grid:
            raise ValueError(
                f"must have a step, as in {low}:{high}:{_some_step(high - low, integer):f}: no"
                " value of its grid lies in this range"
            )
    return {"grid": grid, "low": float(low), "high": float(high)}


def _some_step(span: Decimal, integer: bool) -> Decimal:
    """Return a step that reaches the end of a range, a whole one where values must be whole."""
    counts = (4, 5, 6, 7, 8, 9, 10, 3, 2, 1)
    return span / next(n for n in counts if not integer or span % n == 0)


def _steps(low: Decimal, high: Decimal, step: Decimal) -> list[float]:
    """Return every step of a range, each the float64 nearest to its decimal."""
    if step <= 0 or (high - low) / step > MOST_STEPS:
        raise ValueError(_STEPS)
    count, rest = divmod(high - low, step)
    if rest:
        below = low + count * step
        raise ValueError(
            f"must end at a step: {below} and {below + step} are steps of {step} from {low},"
            f" and {high} is none"
        )
    return [float(low + k * step) for k in range(int(count) + 1)]


def _item(text: str) -> float | None:
    return None if text in ("null", "off") else float(_decimal(text))


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"must be {FORMS}") from None
    if not number.is_finite():
        raise ValueError(f"must be {FORMS}")
    return number
