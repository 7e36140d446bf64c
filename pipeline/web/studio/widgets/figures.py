"""Draw the figures of a report's markup, and let them follow the choices on it.

Sections come as markup with an empty element for each figure and plain ``select`` elements. A
figure is teleported into its place; a choice in a ``select`` comes back as an event.
"""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from pipeline.report.heatmap import Mode, choices, heatmap, scores_of
from pipeline.report.loading import ReportData
from pipeline.report.theme import Figure
from pipeline.results.artifacts import ScoreSurface
from pipeline.validation.wording import setting
from pipeline.web.studio.frame import Theme

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


class Surface:
    """The figure ``heatmap`` of the section *Score surface*, and the values of its slice."""

    def __init__(self, theme: Theme, report: ReportData) -> None:
        assert report.artifacts is not None, "no surface without artifacts"
        scores, own = scores_of(report.artifacts), report.configuration.id
        with inside("#section-surface"):
            ui.link("The search laid open", f"/configurations/{own}/search")
        if scores is None or len(choices(scores)) < 2:
            return
        self._theme, self._scores = theme, scores
        self._x, self._y = choices(scores)[:2]
        self._mode: Mode = "best"
        self._objective = report.job.config.get("objective")
        self._stored = stored = report.configuration.parameters
        self._at: dict[str, Any] = {
            name: stored[name] if stored[name] in list(values) else values[0]
            for name, values in scores.axes.items()
        }
        self._plot = place("heatmap", theme, self._figure())
        self._values = self._slice() if isinstance(scores, ScoreSurface) else {}
        self._show_values()
        rename("heatmap-mode", "slice", "others at the values below")
        on_choice("heatmap-x", lambda value: self._axes(value, self._y, "heatmap-y"))
        on_choice("heatmap-y", lambda value: self._axes(self._x, value, "heatmap-x"))
        on_choice("heatmap-mode", self._choose_mode)

    def _figure(self) -> Figure:
        return heatmap(
            self._scores,
            self._x,
            self._y,
            self._mode,
            self._at,
            stored=self._stored,
            objective=self._objective,
        )

    def _slice(self) -> dict[str, ui.select]:
        """Add a control for the value of every parameter that may be held."""
        with inside("#section-surface"), ui.element("div").classes("fields"):
            return {
                name: ui.select(
                    {place: setting(value) for place, value in enumerate(self._scores.axes[name])},
                    label=f"{name} held at",
                    value=list(self._scores.axes[name]).index(self._at[name]),
                    on_change=lambda event, name=name: self._hold(name, event.value),
                ).props("outlined")
                for name in choices(self._scores)
            }

    def _axes(self, x: str, y: str, other: str) -> None:
        """Show other axes; the same parameter on both means that they change places."""
        if x == y:
            x, y = self._y, self._x
            choose(other, y if other == "heatmap-y" else x)
        self._x, self._y = x, y
        self._draw()

    def _choose_mode(self, mode: str) -> None:
        self._mode = "slice" if mode == "slice" else "best"
        self._draw()

    def _hold(self, name: str, place: int) -> None:
        self._at[name] = self._scores.axes[name][place]
        self._draw()

    def _draw(self) -> None:
        self._show_values()
        self._theme.redraw(self._plot, self._figure())

    def _show_values(self) -> None:
        """Show the held parameters in a slice, and no others."""
        for name, control in self._values.items():
            is_held = self._mode == "slice" and name not in (self._x, self._y)
            control.set_visibility(is_held)
