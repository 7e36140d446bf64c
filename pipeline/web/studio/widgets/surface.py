"""The heatmap of any two parameters: the best over all others, or a slice at chosen values."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from pipeline.report.figures import setting
from pipeline.report.heatmap import Mode, heatmap
from pipeline.report.loading import ReportData
from pipeline.report.payload import choices, scores_of
from pipeline.report.theme import Figure
from pipeline.results.artifacts import ScoreSurface
from pipeline.web.studio.theme import Theme
from pipeline.web.studio.widgets.placeholders import choose, inside, on_choice, place, rename


class Surface:
    """The figure ``heatmap`` of the section *Score surface*, and the values of its slice."""

    def __init__(self, theme: Theme, report: ReportData) -> None:
        assert report.artifacts is not None, "no surface without artifacts"
        scores = scores_of(report.artifacts)
        if scores is None or len(choices(scores)) < 2:
            return
        self._theme, self._scores = theme, scores
        self._x, self._y = choices(scores)[:2]
        self._mode: Mode = "best"
        self._stored = stored = report.configuration.parameters
        self._at: dict[str, Any] = {
            name: stored[name] if stored[name] in list(values) else values[0]
            for name, values in scores.axes.items()
        }
        self._plot = place("heatmap", theme, self._figure())
        self._values = self._slice() if isinstance(scores, ScoreSurface) else {}
        self._tell()
        rename("heatmap-mode", "slice", "others at the values below")
        on_choice("heatmap-x", lambda value: self._axes(value, self._y, "heatmap-y"))
        on_choice("heatmap-y", lambda value: self._axes(self._x, value, "heatmap-x"))
        on_choice("heatmap-mode", self._choose_mode)

    def _figure(self) -> Figure:
        chosen = (self._scores, self._x, self._y, self._mode, self._at)
        return heatmap(*chosen, stored=self._stored)

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
        self._tell()
        self._theme.redraw(self._plot, self._figure())

    def _tell(self) -> None:
        """Show the held parameters in a slice, and no others."""
        for name, control in self._values.items():
            held = self._mode == "slice" and name not in (self._x, self._y)
            control.set_visibility(held)
