"""Show one configuration: its verdict at once, then the rest of its report, with live figures."""

import asyncio
from dataclasses import replace

from markupsafe import Markup
from nicegui import context, ui

from pipeline.errors import ConflictError, UserError
from pipeline.report.loading import ReportData
from pipeline.report.page import Section, fixed_figures, head, sections, title
from pipeline.web.service.service import Service
from pipeline.web.studio import frame, reader
from pipeline.web.studio.widgets.activation import Activation
from pipeline.web.studio.widgets.trades import Part, Trades, excursions_of, show_excursions

_SEARCH = "its best combinations, importance of the parameters, and its score over any two of them."
_SEEN = "document.querySelector('.early')?.remove()"
#: Has the browser fetch the library of charts with the page, and run it while it waits for them.
_PRELOAD = "<script type=module async>import 'nicegui-echart'</script>"
_LOADING = dict.fromkeys(("artifacts", "candles"), "Loading …")


async def configuration_page(service: Service, configuration_id: str) -> None:
    """Show what the database says of a configuration, then what its artifacts say."""
    with frame.page(
        "Configuration", "/configurations", headed=False, notice=service.read_only
    ) as theme:
        try:
            sight = await frame.ask(
                service.sight, frame.identity("configuration", configuration_id)
            )
        except UserError as error:
            _refuse(service, configuration_id, error)
            return
        context.client.on_delete(lambda: service.charts.leave(configuration_id))
        loading = frame.begin(service.report, configuration_id, searched=False)
        damage = frame.begin(service.damage, configuration_id)
        excursions = asyncio.create_task(excursions_of(service, loading))
        excursions.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        await reader.arrival(asyncio.gather(excursions, damage, return_exceptions=True))
        if damage.done() and damage.exception() is None and damage.result():
            loading = frame.begin(service.report, configuration_id)
            await asyncio.wait([loading])
        there = loading.done() and loading.exception() is None
        sight = loading.result() if there else replace(sight, missing=_LOADING)
        try:
            page = ConfigurationPage(service, theme, sight)
            ui.add_head_html(_PRELOAD)
            ui.add_body_html(frame.script("seen.js"))
            ui.on("seen", page.look_again)
            if there:
                ui.run_javascript(_SEEN)
            else:
                await reader.connected()  # the verdict is there meanwhile
                # Figures are teleported into sections, which must have been drawn: it answers so.
                await reader.in_browser(_SEEN)
                page.say(await loading)
            trades = page.draw(excursions)
        except (UserError, AttributeError, KeyError, TypeError, ValueError):
            why = "; ".join(sight.checked.objections if sight.checked else ())
            if not why:
                raise
            edited = ConflictError(f"It cannot be shown as a whole: {why}.")
            _refuse(service, configuration_id, edited)
            return
        if trades is not None:
            await (reader.soon(trades.begin) if there else trades.begin())
        await reader.connected()
        # What the search kept takes longer to compare: damage of it comes when all is drawn.
        if await damage and page.report.artifacts is not None:
            ui.navigate.reload()


def _refuse(service: Service, configuration_id: str, error: UserError) -> None:
    if frame.refusal(error, "All configurations", "/configurations", what="configuration"):
        # It is there all the same, and can be switched off.
        Activation(service, configuration_id, lambda: asyncio.sleep(0), active=True)


class ConfigurationPage:
    """The head with the verdict, the switch, and a section for each part of the report."""

    def __init__(self, service: Service, theme: frame.Theme, sight: ReportData) -> None:
        self._service, self._theme = service, theme
        self.report, self._identity = sight, sight.configuration.id
        ui.page_title(f"{title(sight)} · Strategy Studio")
        inner, made = _labelled(head(sight)), _sections(sight)
        # Plain markup is seen before the scripts of the page run, which takes them half a second.
        ui.add_body_html(f'<div class="early" aria-hidden="true"><div>{inner}</div></div>')
        self._head = frame.markup(inner, "header")
        with ui.element("nav").props('aria-label="Contents"'):
            ui.link("Live", "#section-live")
            for section in made:
                ui.link(section.title, f"#section-{section.name}")
        with ui.element("section").props("id=section-live tabindex=-1"):
            frame.text("h2", "Live")
            self._live = ui.element("div")
        self._show_live(sight)
        self._sections = {section.name: _section(section) for section in made}

    def say(self, report: ReportData, *names: str) -> None:
        """Show what says something else by now, in the sections of these names or in all."""
        reader.check_open(reader.client_here())
        for section in _sections(report):
            if not names or section.name in names:
                self._sections[section.name].set_content(section.inner)  # the same is not sent
        before, self.report = self.report, report
        switched = report.configuration.is_active != before.configuration.is_active
        if switched or report.explanation != before.explanation:
            self._head.set_content(_labelled(head(report)))
            self._show_live(report)

    def draw(self, excursions: asyncio.Task[Part]) -> Trades | None:
        """Draw what the artifacts say; the chart of the trades is still to begin."""
        report = self.report
        if report.artifacts is None:
            return None
        for name, figure in fixed_figures(report, report.artifacts).items():
            self._theme.place(name, figure)
        if len(report.artifacts.trades) == 0:
            return None
        show_excursions(self._theme, excursions)
        return Trades(self._service, report)

    def _show_live(self, sight: ReportData) -> None:
        self._live.clear()
        with self._live:
            active = sight.configuration.is_active
            Activation(
                self._service, self._identity, self._switched, active=active, checked=sight.checked
            )

    async def look_again(self) -> None:
        """Bring the page up to date if something happened since; a reason half written stays."""
        events = await frame.attempt(self._service.repository.configurations.events, self._identity)
        if events is not None and events != self.report.events:
            await self._renew()

    async def _renew(self) -> None:
        """Bring head, switch and audit trail up to date."""
        report = await frame.attempt(self._service.report, self._identity)
        if report is not None:
            self.say(report, "verdict", "history")

    async def _switched(self) -> None:
        await self._renew()
        with self._live:  # the button that asked for it is gone with the old switch
            ui.run_javascript("document.getElementById('section-live').focus()")


def _sections(report: ReportData) -> list[Section]:
    """Return the sections of the report; the score surface has a page of its own."""
    address = f"/configurations/{report.configuration.id}/search"
    laid_open = Markup('<p><a href="{}">The search laid open</a>: {}</p>').format(address, _SEARCH)
    made = {section.name: section for section in sections(report)}
    made["surface"] = Section("surface", "The search", laid_open)
    made["verdict"] = made["verdict"]._replace(inner=_labelled(made["verdict"].inner))
    return list(made.values())


def _labelled(inner: Markup) -> Markup:
    return Markup(frame.in_labels(inner))


def _section(section: Section) -> ui.html:
    with ui.element("section").props(f"id=section-{section.name}"):
        frame.text("h2", section.title)
        return frame.markup(section.inner)
