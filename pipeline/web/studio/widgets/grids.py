"""The grid of a strategy: the values of each parameter, to be changed one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from pipeline.report.figures import setting
from pipeline.web.service.answers import ParameterChoice
from pipeline.web.studio.frame import sentence


class Grids:
    """One line of values for every parameter, separated by commas; "off" for no value."""

    def __init__(self, parameters: Sequence[ParameterChoice], changed: Callable[..., Any]) -> None:
        self._parameters, self._changed = parameters, changed
        with ui.element("div").classes("fields"):
            self._inputs = {
                p.name: ui.input(
                    f"{p.name} ({p.kind})",
                    value=_written(p.grid),
                    on_change=self._edited,
                    validation={"numbers, separated by commas; off for none": _is_grid},
                ).props("outlined")
                for p in parameters
            }
        self._said = sentence("").props("role=status")
        self._tell()

    def values(self) -> dict[str, list[float | None]]:
        """Return the grids that were changed.

        Raises
        ------
        ValueError
            Where one is no list of numbers; its control says so.
        """
        grids = {p.name: _read(self._inputs[p.name].value) for p in self._parameters}
        return {p.name: grids[p.name] for p in self._parameters if grids[p.name] != p.grid}

    async def _edited(self) -> None:
        self._tell()
        await self._changed()

    def _tell(self) -> None:
        grids = [control.value for control in self._inputs.values()]
        if all(_is_grid(grid) for grid in grids):
            size = math.prod(len(_read(grid)) for grid in grids)
            self._said.set_text(f"{size:,} combinations on this grid")
        else:
            self._said.set_text("A grid is a list of numbers, separated by commas.")


def _written(grid: Sequence[float | None]) -> str:
    return ", ".join(setting(value) for value in grid)


def _read(written: str) -> list[float | None]:
    """Read a line of values; ValueError where one is no finite number."""
    values = [None if word == "off" else float(word) for word in map(str.strip, written.split(","))]
    if not all(value is None or math.isfinite(value) for value in values):
        raise ValueError(written)
    return values


def _is_grid(written: str) -> bool:
    try:
        _read(written)
    except ValueError:
        return False
    return True
