"""The places and controls that the markup of `pipeline.report` has, brought to life.

Sections come as markup with an empty element for each figure and plain ``select`` elements. A
figure is teleported into its place; a choice in a ``select`` comes back as an event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from pipeline.report.theme import Figure
from pipeline.web.studio.theme import Theme

_LISTEN = """
document.addEventListener('change', (event) => {
  if (event.target.matches('select[id]')) {
    emitEvent(`chosen-${event.target.id}`, event.target.value);
  }
});
"""


def place(name: str, theme: Theme, figure: Figure) -> ui.plotly:
    """Draw a figure in the place of its name."""
    with inside(f"#{name}"):
        return theme.draw(figure).classes("filling")


def inside(selector: str) -> ui.teleport:
    """Open an element of the markup; what is made there stays there."""
    teleport = ui.teleport(selector)
    # Each update of a teleport makes its contents anew, and the plot that was there never learns
    # that it is gone. No public switch turns this off (NiceGUI 3.18): hence the private one.
    teleport._update_method = None
    return teleport


def listen() -> None:
    """Hear of every choice on this page; once a page."""
    ui.add_body_html(f"<script>{_LISTEN}</script>")


def on_choice(name: str, handler: Callable[[str], Any]) -> None:
    """Call ``handler`` with the value that is chosen in the ``select`` of this id."""
    ui.on(f"chosen-{name}", lambda event: handler(str(event.args)))


def choose(name: str, value: str) -> None:
    """Show a value as chosen; nothing is called."""
    ui.run_javascript(f"document.getElementById('{name}').value = {value!r}")


def rename(name: str, value: str, text: str) -> None:
    """Change what an option of a ``select`` is called, where it has that option."""
    ui.run_javascript(
        f"const option = document.querySelector(`#{name} option[value={value}]`);"
        f"if (option) option.text = {text!r};"
    )
