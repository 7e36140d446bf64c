"""Lay open the search that found a configuration."""

from nicegui import ui
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import UserError
from pipeline.report.best import best_markup, days_sentences
from pipeline.report.search_figures import equity_of_best, parallel_coordinates
from pipeline.validation.wording import marked, market_name
from pipeline.web.service.requests import ConfigurationId
from pipeline.web.service.service import Service
from pipeline.web.service.stored_tables import SearchView
from pipeline.web.studio.frame import (
    ask,
    begin,
    frame,
    markup,
    part,
    refusal,
    region,
    script,
    sentence,
    synthetic,
    text,
)
from pipeline.web.studio.reader import connected
from pipeline.web.studio.widgets.landscape import Landscape

_ID: TypeAdapter[str] = TypeAdapter(ConfigurationId)


async def search_page(service: Service, configuration_id: str) -> None:
    """Show what a search found besides the stored configuration."""
    with frame("Search", "/configurations", headed=False) as theme:
        try:
            configuration = await ask(service.configuration, _ID.validate_python(configuration_id))
        except (UserError, ValidationError) as error:
            back = "All configurations", "/configurations"
            refusal(error, "That is no id of a configuration.", *back, what="configuration")
            return
        name = marked(f"Search of {configuration.id}", configuration.synthetic)
        ui.page_title(f"{name} · Strategy Studio")
        market = market_name(configuration)
        text("h1", f"{market} · the search")
        sentence(configuration.id, "soft")
        if configuration.synthetic:
            synthetic()
        ui.link("Back to the configuration", f"/configurations/{configuration.id}")
        try:
            search = await ask(service.searches.of, configuration.id)
            await ask(lambda: search.best.rank)  # read in a thread
        except UserError as error:
            sentence(str(error))
            return
        replaying = begin(service.searches.replayed, search)
        ui.add_body_html(script("sort.js"))
        days, table = _best(search)
        figures = ui.element("div")
        await connected()  # to simulate takes a moment: the table is there meanwhile
        await theme.name()
        with ui.element("section"):
            text("h2", "What matters")
            landscape = Landscape(theme, configuration.parameters, search.scores, search.objective)
            await landscape.show()
        with ui.element("section"):
            text("h2", "Over the windows")
            for said in await ask(lambda: search.evidence):
                sentence(said)
            with region("Parameters over the windows"):
                part("sections.jinja", "spread")
                theme.place("spread", await ask(lambda: search.over_windows))
        again = await replaying
        if table.is_deleted:  # the reader has left the page
            return
        with days.clear() or days:
            for said in days_sentences(again):
                text("li", said)
        replay = None if isinstance(again, str) else again
        with figures:
            if replay is not None:
                table.content = best_markup(search.best, replay)
                part("search.jinja", "equity")
                theme.place("best-equity", equity_of_best(search.best, replay))
            if len(search.best.rows):
                part("search.jinja", "lines")
                drawn = parallel_coordinates(search.best, replay, search.scores.axes)
                theme.place("best-lines", drawn)


def _best(search: SearchView) -> tuple[ui.element, ui.html]:
    """Show the best combinations; return where the days are told, and the table."""
    with ui.element("section"):
        text("h2", "The best combinations")
        with ui.element("ul") as days:
            text("li", "They are simulated again on the days of the search and on the others …")
        table = markup(best_markup(search.best))
        address = f"/api/configurations/{search.configuration.id}/best?format="
        with ui.element("p"):
            for kind, name in (("csv", "CSV"), ("parquet", "Parquet")):
                ui.link(f"Save as {name}", address + kind).style("margin-right: 1rem")
    return days, table
