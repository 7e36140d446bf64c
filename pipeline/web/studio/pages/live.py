"""Show what is switched on as it trades on paper, and switch it on and off."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from nicegui import ui

from pipeline.live.signal import sentence as told
from pipeline.results.document.signal_models import Signal
from pipeline.results.tables.live_models import LiveEvent, PaperAccount
from pipeline.validation import wording
from pipeline.validation.stages import STAGES, Stage
from pipeline.validation.wording import marked, market_name
from pipeline.web.service.answers import RefusedRow
from pipeline.web.service.following import LiveState
from pipeline.web.service.requests import ConfigurationQuery
from pipeline.web.service.service import Service, objection
from pipeline.web.studio import frame
from pipeline.web.studio.widgets.activation import ON_PAPER, Switch

#: Seconds between two looks at the database, and configurations that can be chosen.
EVERY, CHOICES = 1.0, 200


async def live_page(service: Service) -> None:
    """Show what is switched on, kept up to date."""
    with frame.page("Live", "/live", notice=service.read_only) as theme:
        page = Live(service, theme)
        await page.refresh()
        ui.timer(EVERY, page.refresh, immediate=False)


class Live(frame.Refresh):
    """The page: a card for each configuration, what went wrong, and what can be switched on."""

    def __init__(self, service: Service, theme: frame.Theme) -> None:
        super().__init__()
        self._service, self._theme = service, theme
        self._followed: LiveState | None = None
        self._cards: dict[str, LiveCard] = {}
        self._refused: list[RefusedRow] | None = None
        self._alarms: list[LiveEvent] | None = None
        self._trouble = frame.warning("")
        self._empty = frame.sentence(
            "Nothing is switched on. Choose a configuration below, say why, and start"
            " scripts/paper: it follows what is switched on."
        )
        self._list = ui.element("ul").classes("jobs")
        self._off = ui.element("div")
        with ui.element("section"):
            frame.text("h2", "Alarms")
            self._quiet = frame.sentence("None.", "soft")
            self._table = frame.region("Alarms").classes("alarms")
        self._choice: ui.select | None = None
        if service.read_only is None:
            with ui.element("section"):
                frame.text("h2", "Switch another on")
                self._none = frame.sentence("Nothing else is stored: scripts/train makes one.")
                with ui.element("div") as self._on:
                    self._choice = ui.select({}, label="configuration", with_input=True)
                    self._choice.props("outlined").classes("wide-field")
                    self._choice.on_value_change(self._choose)
                    # The field cuts what is longer than a phone is wide.
                    whole = frame.sentence("", "soft").classes("whole")
                    whole.bind_text_from(self._choice, "value", lambda chosen: chosen or "")
                    self._switch = Switch(service, self._chosen, self.refresh, active=False)

    async def _look(self) -> None:
        before = self._followed
        self._followed = found = await frame.ask(self._service.following.look, before)
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
                    card = LiveCard(self._service, self._theme, identity, self.refresh)
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
                frame.warning(f"{one.id} is switched on and is not served: {one.reason}.")
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
                frame.text_table("Newest first", ("time (UTC)", "kind", "what"), rows)

    async def _offer(self) -> None:
        """Offer what is switched off, the highest stage first."""
        if self._choice is None:
            return
        query = ConfigurationQuery(active=False, limit=CHOICES)
        page = await frame.ask(self._service.configurations, query)
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
        found = chosen and await frame.attempt(self._service.configuration, chosen)
        self._switch.need("" if not found else objection(found))

    def _chosen(self) -> str | None:
        value = None if self._choice is None else self._choice.value
        if value is None:
            ui.notify("Choose a configuration first.", type="warning")
        return value


_ACTIONS = {
    "enter": "enters at the next open",
    "hold": "holds",
    "leave": "leaves at the next open",
    "wait": "flat, waits",
    "blocked": "blocked by a breaker",
    None: "",
}


class LiveCard:
    """One configuration, brought up to date in place."""

    def __init__(
        self,
        service: Service,
        theme: frame.Theme,
        identity: str,
        switched: Callable[[], Awaitable[None]],
    ) -> None:
        self._service, self._theme, self._id = service, theme, identity
        self._signal: Signal | None = None
        self._account: PaperAccount | None = None
        self._stage: Stage | None = None
        self._plot: frame.Chart | None = None
        self._days: datetime | None = None
        with ui.element("li").classes("card job") as self._card:
            with ui.element("div").classes("line"):
                with frame.text("h2", ""):
                    self._link = ui.link("", f"/configurations/{identity}")
                self._badge = frame.text("span", "", "badge")
            with ui.element("p").classes("line"):
                self._action = frame.text("b", "")
                self._size = frame.text("span", "")
            self._said = frame.sentence("")
            self._candle = frame.sentence("", "soft")
            self._paper = frame.sentence("")
            self._difference = frame.sentence("", "wrong")
            self._figure = ui.element("figure")
            with ui.element("details"):
                frame.text("summary", "Switch it off")
                Switch(service, lambda: identity, switched, active=True)

    def delete(self) -> None:
        """Take the card off the page."""
        self._card.delete()

    async def show(
        self, signal: Signal, account: PaperAccount | None, place: int, now: datetime
    ) -> None:
        """Show what changed since the last look, and the age of the candle."""
        self._card.style(f"order: {place}")
        if signal.candle is not None:
            age = wording.duration(max((now - signal.candle.closed).total_seconds(), 0.0))
            closed = f"{signal.candle.closed:%Y-%m-%d %H:%M} UTC at {signal.candle.close:.10g}"
            self._candle.set_text(f"Newest candle closed {closed}, {age} ago.")
        else:
            self._candle.set_text("")
        if signal != self._signal:
            self._signal = signal
            self._show_signal(signal)
        if account != self._account:
            self._account = account
            self._paper.set_text(_paper(account))
            difference = None if account is None else account.difference
            self._difference.set_text(
                f"The ledger is not what a backtest gives: {difference}." if difference else ""
            )
            await self._draw(account)

    def _show_signal(self, signal: Signal) -> None:
        self._link.set_text(f"{wording.market_name(signal.market)} · {signal.strategy}")
        self._badge.set_text(wording.marked(signal.stage, signal.synthetic))
        self._badge.classes(replace=frame.stage_look(signal.stage, signal.synthetic))
        self._action.set_text(_ACTIONS[signal.action])
        self._size.set_text(
            f"size {wording.whole_percent(signal.size)} of a full position"
            if signal.size
            else "no signal, size 0"
            if signal.refusal
            else ON_PAPER
        )
        said = told(signal)
        self._said.set_text(f"{said[0].upper()}{said[1:]}")
        self._said.classes(replace="warning" if signal.refusal else "")

    async def _draw(self, account: PaperAccount | None) -> None:
        """Draw the equity again where a candle was booked on another day."""
        through = None if account is None else account.through
        if through is None or (self._days is not None and self._days.date() == through.date()):
            return
        self._days = through
        drawn = await frame.ask(self._service.following.equity, self._id)
        if drawn is None or self._card.is_deleted:
            return
        figure, caption = drawn
        if self._plot is not None:
            self._theme.redraw(self._plot, figure)
        else:
            with self._figure:
                place = ui.element("div").classes("figure small").props("role=img")
                with place.props('aria-label="Paper equity"'):
                    self._plot = self._theme.draw(figure).classes("filling")
                self._caption = frame.text("figcaption", "")
        self._caption.set_text(f"{caption}.")


def _paper(account: PaperAccount | None) -> str:
    """``Paper: +3.1 % in 14 closed trades since 2026-10-01 (followed since 2026-11-01).``."""
    if account is None:
        return "Paper: nothing is booked yet."
    trades = wording.plural(account.trades, "closed trade")
    # Of no trade there is no result.
    result = f"{wording.percent(account.equity - 1.0)} in {trades}"
    said = (
        f"Paper: {result if account.trades else 'no trade closed'} since"
        f" {account.first_candle:%Y-%m-%d} (followed since {account.started_at:%Y-%m-%d})"
    )
    if account.called != account.trades:
        called = wording.percent(account.called_equity - 1.0)
        part = f"{called} in the {account.called} that were" if account.called else "none was"
        said += f"; {part} called in time"
    if account.difference == "" and account.checked_through is not None:
        through = f"{account.checked_through:%Y-%m-%d %H:%M} UTC"
        said += f"; a backtest gives the same through the candle of {through}"
    return f"{said}."
