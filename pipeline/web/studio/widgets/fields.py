"""Controls made from a request's model: its types, bounds and defaults are said once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement
from pydantic import BaseModel

from pipeline.web.studio.labels import label


class Fields:
    """One control for every field of a model.

    Parameters
    ----------
    model : type of BaseModel
        A request, or a part of one, whose fields are numbers, truths, dates or words of a few.
    changed : callable
        Called after every change.
    without : collection of str
        Fields that get no control.
    """

    def __init__(
        self,
        model: type[BaseModel],
        changed: Callable[..., Any],
        without: Collection[str] = (),
    ) -> None:
        properties = model.model_json_schema()["properties"]
        self._schemas = {name: p for name, p in properties.items() if name not in without}
        self._controls = {
            name: _control(label(name), schema, changed) for name, schema in self._schemas.items()
        }

    def values(self) -> dict[str, Any]:
        """Return what the controls hold; a number of a whole kind as an int, empty as None."""
        return {
            name: _typed(control.value, _plain(self._schemas[name]))
            for name, control in self._controls.items()
        }


def _control(name: str, schema: dict[str, Any], changed: Callable[..., Any]) -> ValueElement[Any]:
    kind, default = _plain(schema), schema.get("default")
    if kind["type"] == "boolean":
        return ui.checkbox(name, value=default, on_change=changed)
    if "enum" in kind:
        return ui.select(kind["enum"], label=name, value=default, on_change=changed).props(
            "outlined"
        )
    if kind["type"] == "string":
        return ui.input(name, on_change=changed).props("outlined type=date stack-label")
    return ui.number(
        name,
        value=default,
        min=kind.get("minimum", kind.get("exclusiveMinimum")),
        max=kind.get("maximum", kind.get("exclusiveMaximum")),
        step=1 if kind["type"] == "integer" else 0.05,
        on_change=changed,
    ).props("outlined")


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what is given, where it may also be left empty."""
    kinds = schema.get("anyOf", [schema])
    return next(kind for kind in kinds if kind.get("type") != "null")


def _typed(value: Any, kind: dict[str, Any]) -> Any:
    if value is None or value == "":
        return None
    if kind["type"] == "integer" and float(value).is_integer():
        return int(value)
    return value
