"""Show sweeps: many markets trained alike and judged together."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from pipeline.errors import UserError
from pipeline.report.figures import discoveries, sharpe_ratios
from pipeline.report.loading import SweptMarket
from pipeline.report.sweep import in_figures, luck, matrix, verdicts
from pipeline.results.records import Sweep, SweepView
from pipeline.validation import wording
from pipeline.validation.pooling import pooled_sentences
from pipeline.validation.stages import Q_LIMIT, STAGES
from pipeline.web.service import composing
from pipeline.web.service.answers import SweepProgress
from pipeline.web.service.service import Service
from pipeline.web.studio import frame
from pipeline.web.studio.widgets.again import link_again
from pipeline.web.studio.widgets.table import Sorting, table

#: Seconds between two looks at a sweep that runs.
EVERY = 1.0

#: What the rows are sorted by, by the head; a market without it comes last.
_KEYS: dict[str, Callable[[SweptMarket], Any]] = {
    "market": lambda market: market.name,
    "stage": lambda market: None if market.stage is None else STAGES.index(market.stage),
    "beats luck": lambda market: market.configuration and market.configuration.luck.answer,
    "net profit": lambda market: market.figure("net_profit"),
    "holding": lambda market: market.figure("hold_net_profit"),
    "Sharpe ratio": lambda market: market.figure("sharpe_ratio"),
    "drawdown": lambda market: market.figure("max_drawdown"),
    "trades": lambda market: market.figure("sample_size"),
    "p of days": lambda market: market.p_value,
    "p of search": lambda market: market.surrogate_p,
    "q": lambda market: market.fdr_q_value,
    "seconds": lambda market: market.seconds,
}
_COLUMNS = (*_KEYS, "what failed", "job")
_LISTED = (
    *("asked for, UTC", "outcome", "strategy", "method", "status", "how far"),
    "p of all together",
)
#: Markets of a sweep that the list names.
_NAMED = 4


async def sweeps_page(service: Service) -> None:
    """List the newest sweeps."""
    page = await frame.ask(service.sweeps)
    with frame.page("Sweeps", "/sweeps", notice=service.read_only):
        if not page.sweeps and not page.refused:
            frame.sentence(
                "No sweep yet: start several markets on the page Train, or run scripts/sweep."
            )
        for one in page.refused:
            frame.warning(one.reason)
        if page.sweeps:
            progress = {one.id: await frame.ask(service.progress, one) for one in page.sweeps}
            ids = [one.id for one in page.sweeps]
            ends = await frame.ask(service.repository.sweeps.outcomes, ids)
            with frame.region("Sweeps"):
                rows = [(one, progress[one.id], ends.get(one.id, [])) for one in page.sweeps]
                table("Newest first", _LISTED, rows, lambda row: _listed(*row))


def _listed(
    sweep: SweepView, progress: SweepProgress, ends: Sequence[tuple[str, str, str | None]]
) -> None:
    names = list(dict.fromkeys(market for market, _, _ in ends))
    with frame.text("th", "").props("scope=row"):
        ui.link(f"{sweep.created_at:%Y-%m-%d %H:%M}", f"/sweeps/{sweep.id}")
    with frame.text("td", "").classes("words"), ui.element("div"):
        frame.text("div", outcome(ends))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        frame.text("div", ", ".join(names[:_NAMED]) + more, "soft")
    frame.text("td", sweep.strategy)
    frame.text("td", sweep.optimizer)
    frame.text("td", wording.state(progress.state(sweep.status)))
    frame.text("td", in_words(progress, sweep.status, len(names)))
    ps = [wording.defined(pool.p_value, wording.small) for pool in sweep.pooled or ()]
    frame.text("td", ", ".join(ps) or "-", "number")


async def sweep_page(service: Service, sweep_id: str) -> None:
    """Show one sweep's markets, kept up to date while it runs."""
    with frame.page("Sweep", "/sweeps", notice=service.read_only) as theme:
        try:
            sweep, markets = await frame.ask(service.swept, frame.identity("sweep", sweep_id))
        except UserError as error:
            frame.refusal(error, "All sweeps", "/sweeps")
            return
        first = await frame.ask(service.repository.jobs.read, markets[0].job_id)
        asked = [(one.exchange, one.pair, one.timeframe) for one in markets]
        of_conf = (await frame.ask(composing.choices)).markets
        again = partial(link_again, first, asked, [one.strategy for one in markets], of_conf)
        page = SweepPage(service, theme, sweep.id, again)
        page.show(sweep, markets)
        page.tell(sweep, await frame.ask(service.progress, sweep))
        page.draw()

        async def refresh() -> None:
            sweep, markets = await frame.ask(service.swept, sweep_id)
            page.show(sweep, markets)
            page.tell(sweep, await frame.ask(service.progress, sweep))
            if sweep.status != "running":
                timer.cancel()

        timer = ui.timer(EVERY, refresh, active=sweep.status == "running", immediate=False)


class SweepPage:
    """What a sweep came to, its markets by pair and timeframe, its figures, and all columns."""

    def __init__(
        self, service: Service, theme: frame.Theme, sweep_id: str, again: Callable[[], None]
    ) -> None:
        self._service, self._theme, self._id = service, theme, sweep_id
        self._by, self._descending = "", True
        self._mark = frame.synthetic("SYNTHETIC candles: those figures say nothing about a market.")
        self._verdicts = ui.element("div")
        self._said = frame.sentence("").props("role=status")
        self._bar = ui.linear_progress(show_value=False, size="0.6rem")
        with ui.element("div").classes("line"):
            self._cancel = ui.button("Cancel what is left", on_click=self._end).props("outline")
            again()
        frame.text("h2", "Markets by timeframe")
        self._matrix = ui.element("div").classes("matrix")
        frame.text("h2", "All figures")
        saved = "Save this table:"
        with ui.element("div").classes("line"):
            frame.text("span", saved, "soft")
            for form in ("csv", "json", "parquet"):
                address = f"/api/sweeps/{sweep_id}/markets?format={form}"
                ui.link(form.upper(), address).props(f"download=sweep_{sweep_id}-markets.{form}")
        self._table = frame.region("Markets").classes("widest")
        self._figures = ui.element("div")
        self._pooled = ui.element("div")
        self._drawn, self._keys = False, 0
        self._shown: tuple[Sweep, list[SweptMarket]] | None = None

    def show(self, sweep: Sweep, markets: list[SweptMarket]) -> None:
        """Bring the page up to a state; what is shown already is left alone."""
        if (sweep, markets) == self._shown:
            return
        self._shown = (sweep, markets)
        self._keys = len({market.key for market in markets})
        self._mark.set_visibility(any(market.synthetic for market in markets))
        self._verdicts.clear()
        with self._verdicts:
            for line in verdicts(markets):
                frame.sentence(f"{line}.", "verdict")
            for line in luck(sweep, markets):
                frame.sentence(line)
        self._matrix.clear()
        with self._matrix, frame.region("Markets by timeframe"):
            frame.part("matrix.jinja", "matrix", matrix(markets), in_figures)
        self._lay_out()
        if self._drawn:
            self.draw()
        self._pooled.clear()
        with self._pooled:
            if sweep.pooled:
                frame.text("h2", "All markets together")
            for pool in sweep.pooled or ():
                for line in pooled_sentences(pool):
                    frame.sentence(line)

    def draw(self) -> None:
        """Draw the figures of what is shown, from now on with every change of it."""
        assert self._shown is not None, "there is something to draw"
        self._drawn, markets = True, self._shown[1]
        self._figures.clear()
        if rows := sum(market.configuration is not None for market in markets):
            with self._figures:
                frame.text("h2", "Against each other and against luck")
                frame.part("swept.jinja", "figures", Q_LIMIT, rows)
                self._theme.place("sharpe", sharpe_ratios(markets))
                self._theme.place("discoveries", discoveries(markets))

    def _lay_out(self) -> None:
        """Show the table in the order asked for; that of the sweep at first."""
        assert self._shown is not None, "there is something to show"
        markets = self._shown[1]
        if self._by:
            key = _KEYS[self._by]
            known = [market for market in markets if key(market) is not None]
            known.sort(key=key, reverse=self._descending)
            markets = known + [market for market in markets if key(market) is None]
        self._table.clear()
        with self._table:
            keys = {head: head for head in _KEYS}
            sorting = Sorting(keys, self._by, self._descending, self._sort)
            table("Out of sample, net of costs", _COLUMNS, markets, _row, sorting=sorting)

    def _sort(self, word: str, descending: bool) -> None:
        self._by, self._descending = word, descending
        self._lay_out()

    def tell(self, sweep: Sweep, progress: SweepProgress) -> None:
        """Say how far it is, over all stages of all markets."""
        told = in_words(progress, sweep.status, self._keys)
        self._said.set_text(f"{titled(sweep, progress)}: {told}")
        self._bar.set_visibility(progress.state(sweep.status) == "running")
        self._bar.set_value(progress.progress)
        self._bar.props(f'aria-label="{told}"')
        self._cancel.set_visibility(self._service.may_cancel(sweep, progress))

    async def _end(self) -> None:
        await frame.attempt(self._service.cancel_sweep, self._id)


def in_words(progress: SweepProgress, status: str, markets: int) -> str:
    """``1 of 3 markets ended, 45 %, about 12 s left``; of several strategies it says trainings."""
    unit = "market" if markets == progress.total else "training"
    parts = [progress.ends(wording.plural(progress.total, unit))]
    if progress.is_judged(status):
        parts.append("being judged")
    if progress.ended < progress.total:
        parts.append(wording.whole_percent(progress.progress))
    if progress.seconds_left is not None:
        parts.append(f"about {wording.duration(progress.seconds_left)} left")
    return ", ".join(parts)


def titled(sweep: SweepView, progress: SweepProgress) -> str:
    """``2026-11-30 03:45 UTC, liquidity_sweep, random, running``."""
    told = f"{sweep.created_at:%Y-%m-%d %H:%M} UTC, {sweep.strategy}, {sweep.optimizer}"
    return f"{told}, {wording.state(progress.state(sweep.status))}"


def outcome(ends: Sequence[tuple[str, str, str | None]]) -> str:
    """``9 markets: 2 VALIDATION, 7 PAPER``: of those without a stage how far they are."""
    counted = Counter(stage or wording.state(status) for _, status, stage in ends)

    def rank(word: str) -> tuple[int, str]:
        stage = word.rpartition(" ")[2]
        return (-STAGES.index(stage) if stage in STAGES else 1, word)

    listed = ", ".join(f"{counted[word]} {word}" for word in sorted(counted, key=rank))
    return f"{wording.trainings(len(ends), len({market for market, _, _ in ends}))}: {listed}"


def _row(market: SweptMarket) -> None:
    stored = market.configuration
    with ui.element("th").props("scope=row"), ui.element("div"):
        if stored is None:
            frame.text("span", market.name)
        else:
            ui.link(market.name, f"/configurations/{stored.id}")
            frame.text("div", stored.id, "soft identity")
    with ui.element("td"):
        if stored is None:
            frame.text("span", market.outcome)
        else:
            frame.stage_badge(stored.lifecycle_stage, stored.synthetic)
    frame.beats_luck(stored.luck.answer, stored.luck.reason) if stored else frame.text("td", "-")
    for name, write in _WRITTEN:
        value = market.figure(name)
        frame.text("td", "-" if value is None else write(value), "number")
    for value in (market.p_value, market.surrogate_p, market.fdr_q_value):
        frame.text("td", wording.defined(value, wording.small), "number")
    frame.text("td", wording.defined(market.seconds, ",.1f"), "number")
    frame.text("td", frame.in_labels(market.error or "-"), "failure" if market.error else "")
    with ui.element("td").classes("number"):
        ui.link(market.job_id[:8], f"/jobs/{market.job_id}")


#: Figures of a row, and how each is written.
_WRITTEN: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("net_profit", wording.percent),
    ("hold_net_profit", wording.percent),
    ("sharpe_ratio", "{:.2f}".format),
    ("max_drawdown", wording.share),
    ("sample_size", "{:,.0f}".format),
)
