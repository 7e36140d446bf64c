"""Lay open the search that found a configuration."""

from importlib.resources import files

from nicegui import ui
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import ConflictError, UserError
from pipeline.report.best import best_markup
from pipeline.validation.wording import marked
from pipeline.web.service.requests import ConfigurationId
from pipeline.web.service.searched import SearchView
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import ask, frame, sentence, synthetic, text, warning
from pipeline.web.studio.pages.configuration import markup

_ID: TypeAdapter[str] = TypeAdapter(ConfigurationId)


async def search_page(service: Service, configuration_id: str) -> None:
    """Show what a search found besides the stored configuration."""
    with frame("Search", "/configurations", headed=False) as theme:
        try:
            configuration = await ask(service.configuration, _ID.validate_python(configuration_id))
        except (UserError, ValidationError) as error:
            ui.status_code(409 if isinstance(error, ConflictError) else 404)
            text("h1", "No such configuration")
            known = isinstance(error, UserError)
            warning(str(error) if known else "That is no id of a configuration.")
            ui.link("All configurations", "/configurations")
            return
        name = marked(f"Search of {configuration.id}", configuration.synthetic)
        ui.page_title(f"{name} · Strategy Studio")
        text("h1", f"The search that found {configuration.id}")
        if configuration.synthetic:
            synthetic()
        ui.link("Back to the configuration", f"/configurations/{configuration.id}")
        try:
            search = await ask(service.searches.of, configuration.id)
        except UserError as error:
            sentence(str(error))
            return
        _show(search)
        await theme.name()


def _show(search: SearchView) -> None:
    script = (files("pipeline.web.studio") / "sort.js").read_text("utf-8")
    ui.add_body_html(f"<script>{script}</script>")
    with ui.element("section"):
        text("h2", "The best combinations")
        markup(best_markup(search.best))
        address = f"/api/configurations/{search.configuration.id}/best?format="
        with ui.element("p"):
            for kind in ("csv", "parquet"):
                ui.link(f"Save as {kind.upper()}", address + kind).style("margin-right: 1rem")
