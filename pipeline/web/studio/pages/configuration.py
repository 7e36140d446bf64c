"""Show one configuration: the page of its report, with figures that follow its controls."""

from markupsafe import Markup
from nicegui import context, ui
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import ConflictError, UserError
from pipeline.report.loading import ReportData
from pipeline.report.page import Section, fixed_figures, head, sections, title
from pipeline.web.service.requests import ConfigurationId
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import Theme, ask, frame, sentence, text, warning
from pipeline.web.studio.widgets.activation import Activation
from pipeline.web.studio.widgets.figures import Surface, Trades, listen, place

_ID: TypeAdapter[str] = TypeAdapter(ConfigurationId)


async def configuration_page(service: Service, configuration_id: str) -> None:
    """Show a configuration once all that is kept of it is read."""
    with frame("Configuration", "/configurations", headed=False, notice=service.read_only) as theme:
        try:
            await ask(service.configuration, _ID.validate_python(configuration_id))
        except ConflictError as error:
            _show_refused(service, configuration_id, str(error))
            return
        except (UserError, ValidationError) as error:
            ui.status_code(404)
            text("h1", "No such configuration")
            warning(
                str(error) if isinstance(error, UserError) else "That is no id of a configuration."
            )
            ui.link("All configurations", "/configurations")
            return
        listen()
        waiting = sentence("Loading the configuration …").props("role=status")
        await context.client.connected()  # candles take a moment: the page is there meanwhile
        try:
            report: ReportData | str = await ask(service.report, configuration_id)
        except ConflictError as error:
            report = str(error)
        await theme.name()
        if waiting.is_deleted:  # the reader has left the page
            return
        waiting.delete()
        if isinstance(report, str):
            _show_refused(service, configuration_id, report)
        else:
            _show(service, report, theme)


def _show_refused(service: Service, configuration_id: str, reason: str) -> None:
    """Show a configuration of which a part cannot be read: it can be switched off."""
    text("h1", "A configuration that cannot be read")
    warning(reason)
    Activation(service, configuration_id, active=True)


def _show(service: Service, report: ReportData, theme: Theme) -> None:
    ui.page_title(f"{title(report)} · Strategy Studio")
    markup(head(report), "header")
    first, *others = sections(report)
    with ui.element("nav").props('aria-label="Contents"'):
        for section in (first, *others):
            ui.link(section.title, f"#section-{section.name}")
    _show_section(first)
    with ui.element("section"):
        text("h2", "Live")
        configuration, checked = report.configuration, report.checked
        Activation(service, configuration.id, active=configuration.is_active, checked=checked)
    for section in others:
        _show_section(section)
    if report.artifacts is not None:
        for name, figure in fixed_figures(report, report.artifacts).items():
            place(name, theme, figure)
        Surface(theme, report)
        Trades(theme, report)


def _show_section(section: Section) -> None:
    with ui.element("section").props(f"id=section-{section.name}"):
        text("h2", section.title)
        markup(section.inner)


def markup(inner: Markup, tag: str = "div") -> ui.html:
    """Add markup of `pipeline.report`, in which every text is escaped already."""
    return ui.html(inner, sanitize=False, tag=tag)
