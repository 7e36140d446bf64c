"""Lay open the search that found a configuration."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from pipeline.errors import UserError
from pipeline.report.best import best_markup, days_sentences
from pipeline.report.heatmap import (
    SCORE,
    Mode,
    Scores,
    choices,
    heatmap,
    is_whole,
    measure,
    metrics_of,
    table_of,
)
from pipeline.report.importance import Importance, importance_of
from pipeline.report.search_figures import (
    equity_of_best,
    importance_bars,
    parallel_coordinates,
    relief,
)
from pipeline.validation.wording import marked, market_name, setting
from pipeline.web.service.service import Service
from pipeline.web.service.stored_tables import SearchView
from pipeline.web.studio import frame
from pipeline.web.studio.reader import connected


async def search_page(service: Service, configuration_id: str) -> None:
    """Show what a search found besides the stored configuration."""
    with frame.page("Search", "/configurations", headed=False) as theme:
        try:
            configuration = await frame.ask(
                service.configuration, frame.identity("configuration", configuration_id)
            )
        except UserError as error:
            frame.refusal(error, "All configurations", "/configurations", what="configuration")
            return
        name = marked(f"Search of {configuration.id}", configuration.synthetic)
        ui.page_title(f"{name} · Strategy Studio")
        market = market_name(configuration)
        frame.text("h1", f"{market} · the search")
        frame.sentence(configuration.id, "soft")
        if configuration.synthetic:
            frame.synthetic()
        ui.link("Back to the configuration", f"/configurations/{configuration.id}")
        try:
            search = await frame.ask(service.searches.of, configuration.id)
            await frame.ask(lambda: search.best.rank)  # read in a thread
        except UserError as error:
            frame.sentence(str(error))
            return
        replaying = frame.begin(service.searches.replayed, search)
        ui.add_body_html(frame.script("sort.js"))
        days, table = _best(search)
        figures = ui.element("div")
        await connected()  # to simulate takes a moment: the table is there meanwhile
        await theme.name()
        with ui.element("section"):
            frame.text("h2", "What matters")
            landscape = Landscape(theme, configuration.parameters, search.scores, search.objective)
            await landscape.show()
        with ui.element("section"):
            frame.text("h2", "Over the windows")
            for said in await frame.ask(lambda: search.evidence):
                frame.sentence(said)
            with frame.region("Parameters over the windows"):
                frame.part("sections.jinja", "spread")
                theme.place("spread", await frame.ask(lambda: search.over_windows))
        again = await replaying
        if table.is_deleted:  # the reader has left the page
            return
        with days.clear() or days:
            for said in days_sentences(again):
                frame.text("li", said)
        replay = None if isinstance(again, str) else again
        with figures:
            if replay is not None:
                table.content = best_markup(search.best, replay)
                frame.part("search.jinja", "equity")
                theme.place("best-equity", equity_of_best(search.best, replay))
            if len(search.best.rows):
                frame.part("search.jinja", "lines")
                drawn = parallel_coordinates(search.best, replay, search.scores.axes)
                theme.place("best-lines", drawn)


def _best(search: SearchView) -> tuple[ui.element, ui.html]:
    """Show the best combinations; return where the days are told, and the table."""
    with ui.element("section"):
        frame.text("h2", "The best combinations")
        with ui.element("ul") as days:
            frame.text(
                "li", "They are simulated again on the days of the search and on the others …"
            )
        table = frame.markup(best_markup(search.best))
        address = f"/api/configurations/{search.configuration.id}/best?format="
        with ui.element("p"):
            for kind, name in (("csv", "CSV"), ("parquet", "Parquet")):
                ui.link(f"Save as {name}", address + kind).style("margin-right: 1rem")
    return days, table


_MODES = {"best": "best of all others", "slice": "held at the values below"}
_VIEWS = {"flat": "heatmap", "relief": "surface (3-D)"}


class Landscape:
    """Importance of the parameters, and one metric over two of them.

    What is drawn is read from the file each time; nothing of it is kept.
    """

    def __init__(
        self, theme: frame.Theme, stored: dict[str, Any], scores: Scores, objective: str | None
    ) -> None:
        self._theme, self._scores, self._objective = theme, scores, objective
        self._stored = stored
        self._metric, self._mode, self._view = SCORE, "best", "flat"
        self._names, self._is_whole = choices(scores), is_whole(scores)
        self._at: dict[str, Any] = {
            name: stored[name] if stored[name] in list(values) else values[0]
            for name, values in scores.axes.items()
        }

    async def show(self) -> None:
        """Add the controls and the figures."""
        if len(self._names) < 2:
            frame.sentence(
                "Fewer than two parameters had more than one value: there is nothing to draw."
            )
            return
        self._x, self._y = self._names[:2]
        metrics = {name: measure(name, self._objective) for name in metrics_of(self._scores)}
        with ui.element("div").classes("fields"):
            _choice("metric", metrics, self._metric, self._choose_metric).style(
                "grid-column: span 2"
            )
        await self._add_importance()
        with ui.element("div").classes("fields"):
            names = {name: name for name in self._names}
            self._across = _choice("across", names, self._x, lambda v: self._turn(v, self._y))
            self._up = _choice("up", names, self._y, lambda v: self._turn(self._x, v))
            _choice("as", _VIEWS, self._view, self._choose_view)
            if self._is_whole:
                _choice("other parameters", _MODES, self._mode, self._choose_mode)
        with ui.element("div").classes("fields"):
            self._held = self._values() if self._is_whole else {}
        self._show_held()
        caption = (
            "In-sample metric of the admissible combinations of this search; the stored one is"
            f" marked on the heatmap. Empty: {'' if self._is_whole else 'not drawn, or '}nothing"
            " admissible."
        )
        self._plot = self._theme.drawing(await frame.ask(self._figure), caption, "figure tall")

    async def _add_importance(self) -> None:
        self._told = ui.element("div")
        found = await frame.ask(self._importance)
        if found is None:
            frame.sentence(
                "The importance of the parameters needs every combination, or a draw of 20 at least"
                " that are admissible and differ."
            )
            self._bars = None
            return
        self._bars = self._theme.drawing(
            importance_bars(found), "Importance of each parameter for this metric."
        )
        self._tell(found)

    def _importance(self) -> Importance | None:
        return importance_of(self._scores, self._metric)

    def _tell(self, found: Importance) -> None:
        self._told.clear()
        with self._told:
            for said in found.told:
                frame.sentence(said, "soft")

    def _figure(self) -> dict[str, Any]:
        mode: Mode = "slice" if self._mode == "slice" else "best"
        scores, x, y, at, metric = self._scores, self._x, self._y, self._at, self._metric
        if self._view == "flat":
            own, objective = self._stored, self._objective
            return heatmap(scores, x, y, mode, at, stored=own, metric=metric, objective=objective)
        labels = {name: [setting(value) for value in scores.axes[name]] for name in (x, y)}
        table = table_of(scores, x, y, mode, at, metric)
        return relief(table, labels, x, y, measure(metric, self._objective), metric)

    def _values(self) -> dict[str, ui.select]:
        """Add a control for the value of every parameter that may be held."""
        return {
            name: _choice(
                f"{name} held at",
                {place: setting(value) for place, value in enumerate(self._scores.axes[name])},
                list(self._scores.axes[name]).index(self._at[name]),
                lambda place, name=name: self._hold(name, place),
            )
            for name in self._names
        }

    async def _choose_metric(self, metric: str) -> None:
        self._metric = metric
        found = await frame.ask(self._importance)
        if found is not None and self._bars is not None:
            self._theme.redraw(self._bars, importance_bars(found))
            self._tell(found)
        await self._draw()

    async def _choose_mode(self, mode: str) -> None:
        self._mode = mode
        self._show_held()
        await self._draw()

    async def _choose_view(self, view: str) -> None:
        self._view = view
        await self._draw()

    async def _turn(self, x: str, y: str) -> None:
        """Show other axes; the same parameter on both means that they change places."""
        if (x, y) == (self._x, self._y):
            return
        if x == y:
            x, y = self._y, self._x
        self._x, self._y = x, y
        self._across.value, self._up.value = x, y
        self._show_held()
        await self._draw()

    async def _hold(self, name: str, place: int) -> None:
        self._at[name] = self._scores.axes[name][place]
        await self._draw()

    async def _draw(self) -> None:
        self._plot = self._theme.redraw(self._plot, await frame.ask(self._figure))

    def _show_held(self) -> None:
        """Show the held parameters in a slice, and no others."""
        for name, control in self._held.items():
            is_held = self._mode == "slice" and name not in (self._x, self._y)
            control.set_visibility(is_held)


def _choice(label: str, options: dict[Any, str], value: Any, chosen: Any) -> ui.select:
    return ui.select(
        options, label=label, value=value, on_change=lambda event: chosen(event.value)
    ).props("outlined")
