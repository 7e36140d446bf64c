"""Show the trades of a configuration on their candles, one by one, and as a table."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup
from nicegui import context, ui

from pipeline.errors import UserError
from pipeline.market_data.timeframe import timeframe_ms, utc
from pipeline.report import candle_chart
from pipeline.report.loading import ReportData
from pipeline.report.page import EXCURSIONS, excursion_part
from pipeline.report.trades import MARGIN, reason, side
from pipeline.validation.wording import percent, plural, price
from pipeline.web.service.service import Service
from pipeline.web.studio import frame
from pipeline.web.studio.widgets.candle_chart import CandleChart

#: Rows of a page of the table.
SHOWN = 25
_LOOK = "document.getElementById('section-trade-list').scrollIntoView()"
#: Markup and a figure, or why there are none.
Part = tuple[Markup, dict[str, Any]] | str
_COLUMNS = ("trade", "side", "entered (UTC)", "at", "left (UTC)", "at", "by", "net return")
_LINK = Markup(
    '<a href="?trade={0}" data-trade="{0}"{1} aria-label="Show trade {0} on the chart">{2}</a>'
)
#: Of a click on the table: which trade is to be opened.
_OPEN = """(event) => {
    const link = event.target.closest("a[data-trade]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    emit(Number(link.dataset.trade));
}"""


class Trades:
    """Chart and table of the section *Trades out of sample*; it loads its candles itself."""

    def __init__(self, service: Service, report: ReportData) -> None:
        assert report.artifacts is not None, "no trades without artifacts"
        self._service, self._configuration = service, report.configuration
        self._trades, self._windows = report.artifacts.trades, report.artifacts.windows
        self._step = timeframe_ms(self._configuration.timeframe)
        span = service.charts.span(self._configuration)
        self._opens = span[0]
        self._entered = candle_chart.entry_times(self._trades, self._opens, self._step)
        self._left = candle_chart.exit_times(self._trades, self._opens, self._step)
        self._chosen, self._page = self._from_address(), 0
        self._levels: tuple[int, list[candle_chart.Line]] = 0, []
        with frame.inside("#trades"), ui.element("div"):
            self._lay_out(span)

    def _lay_out(self, span: tuple[int, int]) -> None:
        with ui.element("div").classes("line"):
            before = ui.button("Previous", icon="chevron_left", on_click=lambda: self.turn(-1))
            after = ui.button("Next", on_click=lambda: self.turn(1)).props(
                "icon-right=chevron_right"
            )
            ui.button("All trades", on_click=lambda: self.open(None)).props("flat")
            for button, name in ((before, "Previous trade"), (after, "Next trade")):
                button.props(f'outline aria-label="{name}"')
        self._said = frame.sentence("").props("role=status")
        self._chart = CandleChart(
            "Candles with the trades out of sample",
            span,
            self._step,
            candle_chart.Units.of(self._configuration.pair),
            partial(self._service.charts.candles, self._configuration),
            self._over,
            lambda row: self.open(int(row[6])),
        )
        if self._configuration.synthetic:
            self._chart.place.classes("invented")
        self._chart.place.on("keydown.left.prevent", lambda: self.turn(-1))
        self._chart.place.on("keydown.right.prevent", lambda: self.turn(1))
        frame.sentence("With the chart in focus ← and → walk through the trades.", "soft screen")
        frame.sentence(
            "▲ long, ▼ short, at the entry. A whole line that ends in a disc gained, a dotted one"
            " that ends in a cross lost; prices are after slippage. “end”: its days ended there.",
            "soft",
        )
        self._region = frame.region("Trades out of sample")
        with ui.element("div").classes("pager"):
            self._newer = ui.button("Newer", on_click=lambda: self._turn_page(-1)).props("flat")
            self._older = ui.button("Older", on_click=lambda: self._turn_page(1)).props("flat")

    async def open(self, number: int | None, *, look: bool = False) -> None:
        """Show one trade closely, by its number from 1, and say so in the address; None: all.

        ``look`` brings the chart before the reader's eyes.
        """
        query = "" if number is None else f"?trade={number}"
        ui.navigate.history.replace(f"/configurations/{self._configuration.id}{query}")
        if look:
            ui.run_javascript(_LOOK)
        await self._show(number)

    async def begin(self) -> None:
        """Show what the address asks for."""
        await self._show(self._chosen)
        if self._chosen is not None:
            ui.run_javascript(_LOOK)

    async def _show(self, number: int | None) -> None:
        self._chosen = number
        self._said.set_text(self._words(number))
        self._page = 0 if number is None else (len(self._trades) - number) // SHOWN
        self._show_table()
        await self._chart.show(self._around(number))

    async def turn(self, by: int) -> None:
        """Show the next trade, or the one before; from all trades on the newest."""
        last = len(self._trades)
        number = last if self._chosen is None else min(max(self._chosen + by, 1), last)
        await self.open(number)

    def _from_address(self) -> int | None:
        """Return which trade the address names; None where it names none."""
        word = context.client.request.query_params.get("trade", "")
        number = int(word) if word.isdecimal() and len(word) < 9 else 0
        return number if 1 <= number <= len(self._trades) else None

    def _around(self, number: int | None) -> tuple[int, int]:
        """Return the time to look at a trade, or at all."""
        first, last = (0, -1) if number is None else (number - 1, number - 1)
        setup = self._opens + int(self._trades["setup_bar"][first]) * self._step
        left = int(self._left[last])
        margin = max(MARGIN * self._step, (left - setup) // 50)  # no mark lies on the edge
        return setup - margin, left + margin

    def _words(self, number: int | None) -> str:
        if number is None:
            return f"All {plural(len(self._trades), 'trade')}."
        trade = self._trades[number - 1]
        levels = [
            f"{name} {price(trade[name])}"
            for name in ("stop", "target")
            if name in (self._trades.dtype.names or ()) and not np.isnan(trade[name])
        ]
        return (
            f"Trade {number:,} of {len(self._trades):,}: {side(trade)} at {price(trade['entry'])}"
            f" on {utc(int(self._entered[number - 1]))}, out by"
            f" {reason(trade)} at {price(trade['exit'])},"
            f" {percent(float(trade['ret']))}. {', '.join(levels).capitalize()}"
        ).strip() + ("." if levels else "")

    async def _over(self, view: tuple[int, int]) -> tuple[dict[str, list[Any]], str]:
        """Return the trades in sight, and the levels of the chosen one."""
        first = int(np.searchsorted(self._left, view[0]))
        after = int(np.searchsorted(self._entered, view[1], "right"))
        count = max(after - first, 0)
        lines = [] if self._chosen is None else await self._lines(self._chosen)
        rows: list[list[Any]] = []
        said = f"{plural(count, 'trade')} in view."
        if count > candle_chart.MOST_TRADES:
            said = f"{count:,} trades in view: zoom in to {candle_chart.MOST_TRADES} to see each."
        elif count:
            part = self._trades[first:after]
            rows = candle_chart.trade_rows(part, first + 1, self._opens, self._step, self._chosen)
        return {"trades": rows, "lines": candle_chart.line_rows(lines)}, said

    async def _lines(self, number: int) -> list[candle_chart.Line]:
        """Return the levels of a trade; a zoom asks for those of the same one again."""
        if self._levels[0] != number:
            trade, levels = self._trades[number - 1], None
            with suppress(UserError):  # the candles say so themselves
                charts = self._service.charts
                levels = await frame.ask(charts.levels, self._configuration, self._windows, trade)
            self._levels = number, candle_chart.trade_lines(trade, levels, self._opens, self._step)
        return self._levels[1]

    def _turn_page(self, by: int) -> None:
        self._page += by
        self._show_table()

    def _show_table(self) -> None:
        """Show a page of the trades, the newest first."""
        last = len(self._trades) - self._page * SHOWN
        first = max(last - SHOWN, 0)
        self._newer.set_enabled(self._page > 0)
        self._older.set_enabled(first > 0)
        caption = f"Newest first: {first + 1:,} to {last:,} of {len(self._trades):,}; net returns"
        rows = map(self._row, range(last, first, -1))
        with self._region.clear() or self._region:
            made = frame.text_table(caption, _COLUMNS, rows, "numbers")
        made.on("click", lambda event: self.open(event.args, look=True), js_handler=_OPEN)

    def _row(self, number: int) -> tuple[str, ...]:
        trade = self._trades[number - 1]
        chosen = Markup(' aria-current="true"' if number == self._chosen else "")
        moments = (self._opens + int(trade[f"{end}_bar"]) * self._step for end in ("entry", "exit"))
        entered, left = (utc(moment).removesuffix(" UTC") for moment in moments)
        return (
            _LINK.format(number, chosen, f"{number:,}"),
            side(trade),
            entered,
            price(trade["entry"]),
            left,
            price(trade["exit"]),
            reason(trade),
            percent(float(trade["ret"])),
        )


def show_excursions(theme: frame.Theme, excursions: asyncio.Task[Part]) -> None:
    """Fill the part of the section *Performance* that needs the candles of all trades."""

    async def fill() -> None:
        made = await excursions
        if not part.is_deleted:  # the reader is still here
            with part.clear() or part:
                _excursions(theme, made)

    with frame.inside("#excursion-part"), ui.element("div") as part:
        if excursions.done():
            _excursions(theme, excursions.result())
            return
        frame.sentence("Reading the candles of every trade …", "soft").props("role=status")
    ui.timer(0.0, fill, once=True)


def _excursions(theme: frame.Theme, made: Part) -> None:
    if isinstance(made, str):
        frame.sentence(made, "soft missing")
    else:
        frame.markup(made[0])
        theme.drawing(made[1], EXCURSIONS, props="id=excursions")


async def excursions_of(service: Service, loading: asyncio.Task[ReportData]) -> Part:
    """Return what the section says of the excursions of all trades, or why it says nothing."""
    try:
        report = await loading
        if report.artifacts is None or len(report.artifacts.trades) == 0:
            return "There are no trades."
        configuration, trades = report.configuration, report.artifacts.trades
        ran = await frame.begin(service.charts.excursions, configuration, trades)
    except UserError as error:
        return str(error)
    return excursion_part(trades, ran, configuration.synthetic)
