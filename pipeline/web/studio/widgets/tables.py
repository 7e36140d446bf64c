"""Tables whose rows become cards on a phone, where every value says whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from nicegui import ui

from pipeline.web.studio.frame import text

Row = TypeVar("Row")


def region(label: str) -> ui.element:
    """Add a place for a table, which scrolls sideways by keys too."""
    place = ui.element("div").classes("scroll")
    return place.props(f'tabindex=0 role=region aria-label="{label}"')


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Row], fill: Callable[[Row], None]
) -> None:
    """Add a table.

    Parameters
    ----------
    fill : callable
        Adds a row's cells: one a column, the first its heading.
    """
    with ui.element("table").classes("cards"):
        text("caption", caption)
        with ui.element("thead"), ui.element("tr"):
            for column in columns:
                text("th", column).props("scope=col")
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr") as line:
                    fill(row)
                for cell, column in zip(line, columns, strict=True):
                    cell.props(f'data-label="{column}"')
