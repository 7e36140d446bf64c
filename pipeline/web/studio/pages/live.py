"""Show what is switched on as it trades on paper, and switch it on and off."""

from datetime import UTC, datetime

from nicegui import ui

from pipeline.results.live_models import LiveEvent
from pipeline.validation.stages import STAGES
from pipeline.validation.wording import marked, market_name
from pipeline.web.service.answers import RefusedRow
from pipeline.web.service.following import Followed
from pipeline.web.service.requests import ConfigurationQuery
from pipeline.web.service.service import Service, objection
from pipeline.web.studio.frame import (
    Refresh,
    Theme,
    ask,
    attempt,
    frame,
    region,
    sentence,
    text,
    text_table,
    warning,
)
from pipeline.web.studio.widgets.activation import Switch
from pipeline.web.studio.widgets.followed import FollowedCard

#: Seconds between two looks at the database, and configurations that can be chosen.
EVERY, CHOICES = 1.0, 200


async def live_page(service: Service) -> None:
    """Show what is switched on, kept up to date."""
    with frame("Live", "/live", notice=service.read_only) as theme:
        page = Live(service, theme)
        await page.refresh()
        ui.timer(EVERY, page.refresh, immediate=False)


class Live(Refresh):
    """The page: a card for each configuration, what went wrong, and what can be switched on."""

    def __init__(self, service: Service, theme: Theme) -> None:
        super().__init__()
        self._service, self._theme = service, theme
        self._followed: Followed | None = None
        self._cards: dict[str, FollowedCard] = {}
        self._refused: list[RefusedRow] | None = None
        self._alarms: list[LiveEvent] | None = None
        self._trouble = warning("")
        self._empty = sentence(
            "Nothing is switched on. Choose a configuration below, say why, and start"
            " scripts/paper: it follows what is switched on."
        )
        self._list = ui.element("ul").classes("jobs")
        self._off = ui.element("div")
        with ui.element("section"):
            text("h2", "Alarms")
            self._quiet = sentence("None.", "soft")
            self._table = region("Alarms").classes("alarms")
        self._choice: ui.select | None = None
        if service.read_only is None:
            with ui.element("section"):
                text("h2", "Switch another on")
                self._none = sentence("Nothing else is stored: scripts/train makes one.")
                with ui.element("div") as self._on:
                    self._choice = ui.select({}, label="configuration", with_input=True)
                    self._choice.props("outlined").classes("wide-field")
                    self._choice.on_value_change(self._choose)
                    # The field cuts what is longer than a phone is wide.
                    whole = sentence("", "soft").classes("whole")
                    whole.bind_text_from(self._choice, "value", lambda chosen: chosen or "")
                    self._switch = Switch(service, self._chosen, self.refresh, active=False)

    async def _look(self) -> None:
        before = self._followed
        self._followed = found = await ask(self._service.following.look, before)
        board, now = found.board, datetime.now(UTC)
        self._empty.set_visibility(not board.signals and not board.refused)
        following = bool(board.signals or board.refused)
        self._trouble.set_text(found.trouble or "")
        self._trouble.set_visibility(following and found.trouble is not None)
        for gone in self._cards.keys() - board.signals.keys():
            self._cards.pop(gone).delete()
        for place, (identity, signal) in enumerate(board.signals.items()):
            if identity not in self._cards:
                with self._list:
                    card = FollowedCard(self._service, self._theme, identity, self.refresh)
                    self._cards[identity] = card
            await self._cards[identity].show(signal, found.accounts.get(identity), place, now)
        self._show_refused(list(board.refused.values()))
        self._show_alarms(found.alarms)
        if before is None or before.board.version != board.version:
            await self._offer()

    def _show_refused(self, refused: list[RefusedRow]) -> None:
        if refused == self._refused:
            return
        self._refused = refused
        self._off.clear()
        with self._off:
            for one in refused:
                warning(f"{one.id} is switched on and is not served: {one.reason}.")
                ui.link(f"Look at {one.id}", f"/configurations/{one.id}")

    def _show_alarms(self, alarms: list[LiveEvent]) -> None:
        if alarms == self._alarms:
            return
        self._alarms = alarms
        self._quiet.set_visibility(not alarms)
        self._table.clear()
        if alarms:
            with self._table:
                rows = ((f"{one.at:%Y-%m-%d %H:%M:%S}", one.kind, one.text) for one in alarms)
                text_table("Newest first", ("time (UTC)", "kind", "what"), rows)

    async def _offer(self) -> None:
        """Offer what is switched off, the highest stage first."""
        if self._choice is None:
            return
        query = ConfigurationQuery(active=False, limit=CHOICES)
        page = await ask(self._service.configurations, query)
        rows = sorted(page.configurations, key=lambda row: -STAGES.index(row.lifecycle_stage))
        chosen = self._choice.value
        options = {
            row.id: f"{market_name(row)} · {marked(row.lifecycle_stage, row.synthetic)} · {row.id}"
            for row in rows
        }
        self._choice.set_options(options, value=chosen if chosen in options else None)
        self._on.set_visibility(bool(rows))
        self._none.set_visibility(not rows)

    async def _choose(self) -> None:
        """Ask for force for what is not to be traded."""
        chosen = None if self._choice is None else self._choice.value
        found = chosen and await attempt(self._service.configuration, chosen)
        self._switch.need("" if not found else objection(found))

    def _chosen(self) -> str | None:
        value = None if self._choice is None else self._choice.value
        if value is None:
            ui.notify("Choose a configuration first.", type="warning")
        return value
