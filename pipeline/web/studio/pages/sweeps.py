"""Show sweeps: many markets trained alike and judged together."""

from collections.abc import Mapping

from nicegui import context, ui
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import UserError
from pipeline.report.figures import Q_LIMIT, discoveries, sharpe_ratios
from pipeline.report.loading import SweptMarket, swept_markets
from pipeline.report.theme import Figure
from pipeline.results.records import Sweep, SweepView
from pipeline.results.sweeps import QUEUE
from pipeline.validation.pooling import pooled_sentences
from pipeline.validation.wording import defined, duration, plural
from pipeline.web.service.answers import SweepProgress
from pipeline.web.service.requests import JobId
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import (
    Theme,
    ask,
    attempt,
    frame,
    region,
    sentence,
    stage_badge,
    synthetic,
    table,
    text,
    warning,
)

#: Seconds between two looks at a sweep that runs.
EVERY = 1.0

_ID: TypeAdapter[str] = TypeAdapter(JobId)
_COLUMNS = ("market", "stage", "p", "surrogate p", "q", "seconds", "configuration", "what failed")
_LISTED = ("asked for, UTC", "strategy", "method", "status", "how far", "p of the pool")
_DISCOVERIES = (
    "Deciding p-values in order (1 where another gate failed, so that the search was not repeated"
    " on surrogates, or where nothing was found); all up to the last one below the line of"
    f" q = {Q_LIMIT:g} are discoveries"
)


async def sweeps_page(service: Service) -> None:
    """List the newest sweeps."""
    page = await ask(service.sweeps)
    with frame("Sweeps", "/sweeps", notice=service.read_only):
        if not page.sweeps and not page.refused:
            sentence("No sweep yet: start several markets on the page Train, or run scripts/sweep.")
        for one in page.refused:
            warning(one.reason)
        if page.sweeps:
            progress = {one.id: await ask(service.progress, one) for one in page.sweeps}
            with region("Sweeps"):
                table("Newest first", _LISTED, page.sweeps, lambda one: _listed(one, progress))


def _listed(sweep: SweepView, progress: Mapping[str, SweepProgress]) -> None:
    with text("th", "").props("scope=row"):
        ui.link(f"{sweep.created_at:%Y-%m-%d %H:%M}", f"/sweeps/{sweep.id}")
    text("td", sweep.strategy)
    text("td", sweep.optimizer)
    text("td", sweep.status)
    text("td", in_words(progress[sweep.id]))
    pools = sweep.pooled or ()
    text("td", ", ".join(defined(pool.p_value, ".3g") for pool in pools) or "-", "number")


async def sweep_page(service: Service, sweep_id: str) -> None:
    """Show one sweep's markets, kept up to date while it runs."""
    with frame("Sweep", "/sweeps", notice=service.read_only) as theme:
        try:
            sweep, markets = await ask(service.sweep, _ID.validate_python(sweep_id))
        except (UserError, ValidationError) as error:
            ui.status_code(404)
            warning(str(error) if isinstance(error, UserError) else "This is no sweep's id.")
            ui.link("All sweeps", "/sweeps")
            return
        await context.client.connected()
        await theme.name()
        page = SweepPage(service, theme)
        sources = service.configuration, service.repository.jobs.read
        page.show(sweep, await ask(swept_markets, markets, *sources))
        page.tell(sweep, await ask(service.progress, sweep))

        async def refresh() -> None:
            sweep, markets = await ask(service.sweep, sweep_id)
            page.tell(sweep, await ask(service.progress, sweep))
            page.show(sweep, await ask(swept_markets, markets, *sources))
            if sweep.status != "running":
                timer.cancel()

        timer = ui.timer(EVERY, refresh, active=sweep.status == "running", immediate=False)


class SweepPage:
    """How far a sweep is, its figures over all markets, and a line for each market."""

    def __init__(self, service: Service, theme: Theme) -> None:
        self._service, self._theme = service, theme
        self._said = sentence("").props("role=status")
        self._bar = ui.linear_progress(show_value=False, size="0.6rem")
        with ui.element("div").classes("line"):
            self._cancel = ui.button("Cancel what is left", on_click=self._end).props("outline")
        self._mark = synthetic("SYNTHETIC candles: those figures say nothing about a market.")
        self._pooled = ui.element("div")
        self._figures = ui.element("div")
        self._table = region("Markets")
        self._shown: tuple[Sweep, list[SweptMarket]] | None = None

    def show(self, sweep: Sweep, markets: list[SweptMarket]) -> None:
        """Bring the page up to a state; what is shown already is left alone."""
        if (sweep, markets) == self._shown:
            return
        self._shown = (sweep, markets)
        self._mark.set_visibility(any(market.synthetic for market in markets))
        self._pooled.clear()
        with self._pooled:
            for pool in sweep.pooled or ():
                for line in pooled_sentences(pool):
                    sentence(line)
        self._figures.clear()
        if any(market.configuration is not None for market in markets):
            with self._figures:
                self._draw("sharpe", "Sharpe ratio out of sample", sharpe_ratios(markets))
                self._draw("discoveries", _DISCOVERIES, discoveries(markets))
        self._table.clear()
        with self._table:
            table("In the order of the sweep", _COLUMNS, markets, _row)

    def tell(self, sweep: Sweep, progress: SweepProgress) -> None:
        """Say how far it is, over all stages of all markets."""
        running = sweep.status == "running"
        judged = ", being judged" if running and progress.ended == progress.total else ""
        self._said.set_text(f"{titled(sweep)}: {in_words(progress)}{judged}")
        self._bar.set_visibility(running)
        self._bar.set_value(progress.progress)
        self._bar.props(f'aria-label="{in_words(progress)}"')
        ours = running and sweep.owner == QUEUE and self._service.read_only is None
        self._cancel.set_visibility(ours)
        self._id = sweep.id

    async def _end(self) -> None:
        await attempt(self._service.cancel_sweep, self._id)

    def _draw(self, name: str, caption: str, drawn: Figure) -> None:
        with ui.element("figure"):
            place = ui.element("div").classes("figure").props(f"id={name} role=img")
            with place.props(f'aria-label="{caption}"'):
                self._theme.draw(drawn).classes("filling")
            text("figcaption", caption)


def in_words(progress: SweepProgress) -> str:
    """``1 of 3 markets ended, 45 %, about 12 s left``."""
    parts = [f"{progress.ended} of {plural(progress.total, 'market')} ended"]
    if progress.ended < progress.total:
        parts.append(f"{progress.progress:.0%}")
    if progress.seconds_left is not None:
        parts.append(f"about {duration(progress.seconds_left)} left")
    return ", ".join(parts)


def titled(sweep: SweepView) -> str:
    """``2026-11-30 03:45 UTC, liquidity_sweep, random, running``."""
    return (
        f"{sweep.created_at:%Y-%m-%d %H:%M} UTC, {sweep.strategy}, {sweep.optimizer},"
        f" {sweep.status}"
    )


def _row(market: SweptMarket) -> None:
    stored = market.configuration
    text("th", market.market).props("scope=row")
    with ui.element("td"):
        if stored is None:
            text("span", market.outcome)
        else:
            stage_badge(stored.lifecycle_stage, stored.synthetic)
    for value in (market.p_value, market.surrogate_p, market.fdr_q_value):
        text("td", defined(value, ".3g"), "number")
    text("td", defined(market.seconds, ",.1f"), "number")
    with ui.element("td").classes("number"):
        if stored is None:
            text("span", "-")
        else:
            ui.link(stored.id, f"/configurations/{stored.id}")
    text("td", market.error or "-")
