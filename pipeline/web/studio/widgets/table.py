"""Lay rows out as a table, sorted by its heads; on a phone every row is a card."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nicegui import ui

from pipeline.web.studio.frame import text

Row = TypeVar("Row")


@dataclass(frozen=True)
class Sorting:
    """How the rows of a table are sorted, and what sorts them anew.

    ``keys`` are the words of the columns that can be sorted by, by their head; ``by`` is one of
    these words. ``sort`` is called with a word, and whether the largest is to come first.
    """

    keys: Mapping[str, str]
    by: str
    descending: bool
    sort: Callable[[str, bool], Any]


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Row],
    fill: Callable[[Row], None],
    style: str = "cards",
    sorting: Sorting | None = None,
) -> None:
    """Add a table.

    Parameters
    ----------
    fill : callable
        Adds a row's cells: one a column, the first its heading.
    style : str
        ``cards``: on a phone every row is a card. Empty: it scrolls there.
    sorting : Sorting or None
        Where given, the heads that it names are buttons that sort by them.
    """
    with ui.element("table").classes(style):
        text("caption", caption)
        with ui.element("thead"), ui.element("tr"):
            for column in columns:
                _head(column, sorting)
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr") as line:
                    fill(row)
                for cell, column in zip(line, columns, strict=True):
                    cell.props(f'data-label="{column}"')


def _head(column: str, sorting: Sorting | None) -> None:
    """Add the head of a column: a button where it can be sorted by, larger first at first."""
    if sorting is None or column not in sorting.keys:
        text("th", column).props("scope=col")
        return
    word = sorting.keys[column]
    here = word == sorting.by
    arrow = (" ▼" if sorting.descending else " ▲") if here else ""
    with text("th", "").props("scope=col") as head:
        if here:
            head.props(f"aria-sort={'descending' if sorting.descending else 'ascending'}")
        button = text("button", f"{column}{arrow}", "sorts").props("type=button")
        button.props(f'title="Sort by {column}"')
        button.on("click", lambda: sorting.sort(word, not (here and sorting.descending)))
