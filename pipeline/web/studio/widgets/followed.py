"""Show one configuration that is followed: its signal, its paper account, its switch."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from nicegui import ui

from pipeline.live.signal import sentence as told
from pipeline.results.live_models import PaperAccount
from pipeline.results.signal_models import Signal
from pipeline.validation import wording
from pipeline.validation.stages import Stage
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import Chart, Theme, ask, sentence, stage_look, text
from pipeline.web.studio.widgets.activation import ON_PAPER, Switch

_ACTIONS = {
    "enter": "enters at the next open",
    "hold": "holds",
    "leave": "leaves at the next open",
    "wait": "flat, waits",
    "blocked": "blocked by a breaker",
    None: "",
}


class FollowedCard:
    """One configuration, brought up to date in place."""

    def __init__(
        self, service: Service, theme: Theme, identity: str, switched: Callable[[], Awaitable[None]]
    ) -> None:
        self._service, self._theme, self._id = service, theme, identity
        self._signal: Signal | None = None
        self._account: PaperAccount | None = None
        self._stage: Stage | None = None
        self._plot: Chart | None = None
        self._days: datetime | None = None
        with ui.element("li").classes("card job") as self._card:
            with ui.element("div").classes("line"):
                with text("h2", ""):
                    self._link = ui.link("", f"/configurations/{identity}")
                self._badge = text("span", "", "badge")
            with ui.element("p").classes("line"):
                self._action = text("b", "")
                self._size = text("span", "")
            self._said = sentence("")
            self._candle = sentence("", "soft")
            self._paper = sentence("")
            self._difference = sentence("", "wrong")
            self._figure = ui.element("figure")
            with ui.element("details"):
                text("summary", "Switch it off")
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
        self._badge.classes(replace=stage_look(signal.stage, signal.synthetic))
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
        drawn = await ask(self._service.following.equity, self._id)
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
                self._caption = text("figcaption", "")
        self._caption.set_text(f"{caption}.")


def _paper(account: PaperAccount | None) -> str:
    """``Paper: +3.10 % in 14 closed trades since 2026-10-01 (followed since 2026-11-01).``."""
    if account is None:
        return "Paper: nothing is booked yet."
    trades = wording.plural(account.trades, "closed trade")
    said = (
        f"Paper: {wording.percent(account.equity - 1.0)} in {trades} since"
        f" {account.first_candle:%Y-%m-%d} (followed since {account.started_at:%Y-%m-%d})"
    )
    if account.called != account.trades:
        called = wording.percent(account.called_equity - 1.0)
        said += f"; {called} in the {account.called} that were called in time"
    if account.difference == "" and account.checked_through is not None:
        through = f"{account.checked_through:%Y-%m-%d %H:%M} UTC"
        said += f"; a backtest gives the same through the candle of {through}"
    return f"{said}."
