"""Show one configuration: the page of its report, with figures that follow its controls."""

from markupsafe import Markup
from nicegui import context, ui
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import ConflictError, UserError
from pipeline.report.loading import ReportData
from pipeline.report.page import Section, fixed_figures, head, sections, title
from pipeline.results.checks import Checked
from pipeline.web.service.requests import ConfigurationId
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import Theme, ask, attempt, frame, sentence, text, warning
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


#: As `pipeline.web.service.requests.Reason` bounds it.
_LEAST, _MOST = 3, 500


class Activation:
    """Says whether a configuration is switched on, and changes that.

    ``checked`` is None where it cannot be read: then it can only be switched off.
    """

    def __init__(
        self, service: Service, identity: str, *, active: bool, checked: Checked | None = None
    ) -> None:
        self._service, self._id, self._is_readable = service, identity, checked is not None
        if checked is None:
            sentence("No live trader is given it. If it is switched on, switch it off here.")
        elif checked.objections:
            warning(
                f"{'Active, but no' if active else 'No'} live trader is given it:"
                f" {'; '.join(checked.objections)}."
            )
        else:
            sentence(
                "Active: live traders that ask this server are given it."
                if active
                else "Not active: no live trader is given it."
            )
        if checked is not None and checked.verified_at is not None:
            sentence(f"Last verified {checked.verified_at:%Y-%m-%d %H:%M} UTC.")
        if service.read_only is not None:
            return
        with ui.element("div").classes("fields"):
            self._reason = ui.input("reason (kept in the audit trail)").props(
                f"outlined maxlength={_MOST}"
            )
            self._force = ui.checkbox("also below VALIDATION (forced)")
            self._force.set_visibility(not active)
            ui.button(
                "Deactivate" if active else "Activate",
                on_click=self._deactivate if active else self._activate,
            ).props("outline").bind_enabled_from(
                self._reason, "value", lambda reason: len((reason or "").strip()) >= _LEAST
            )

    async def _activate(self) -> None:
        await self._done(
            await attempt(self._service.activate, self._id, self._said(), self._force.value)
        )

    async def _deactivate(self) -> None:
        answer = await attempt(self._service.deactivate, self._id, self._said())
        if answer is not None and not self._is_readable:
            ui.notify(f"{self._id} is switched off.", type="positive")
            return
        await self._done(answer)

    async def _done(self, answer: object) -> None:
        if answer is not None:
            ui.navigate.reload()

    def _said(self) -> str:
        return str(self._reason.value).strip()
