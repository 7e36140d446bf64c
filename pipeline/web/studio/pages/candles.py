"""List the candles that are stored, show those of one market, and bring others into the store."""

from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from pipeline.errors import ConflictError, NotFoundError
from pipeline.market_data.quality.report import QualityLimits, QualityReport, as_table, in_short
from pipeline.market_data.store.inventory import StoredMarket, StoredMonth
from pipeline.market_data.timeframe import timeframe_ms, utc
from pipeline.report.candle_chart import Units
from pipeline.validation.wording import market_name, plural
from pipeline.web.service import composing
from pipeline.web.service.candle_models import CandleFilter, StoredCandles
from pipeline.web.service.service import Service
from pipeline.web.studio import frame, reader
from pipeline.web.studio.widgets.candle_chart import CandleChart
from pipeline.web.studio.widgets.candle_forms import EVERY, FetchForm, ImportForm
from pipeline.web.studio.widgets.table import table

#: Rows a page.
SHOWN = 25

_BEGIN = ("market", "first (UTC)", "last (UTC)", "candles", "coverage", "missing", "not asked")
_COLUMNS = (*_BEGIN, "quality", "size", "from", "damage")
_FILTERS = ("exchange", "pair", "timeframe")


async def candles_page(service: Service, request: Request) -> None:
    """Show the stored candles that the address asks for."""
    parts, choices = await frame.ask(service.candles.parts), await frame.ask(composing.choices)
    markets = {market_name(one): one.name for one in choices.markets if not one.synthetic}
    with frame.page("Candles", "/candles", notice=service.read_only):
        address = request.query_params
        listed = Candles(service, parts, address)
        with ui.element("section").props("id=fetch"):
            frame.text("h2", "Fetch from an exchange")
            fetches = FetchForm(service.candles, markets, address, listed, service.read_only)
        if service.read_only is None:
            with ui.element("section").props("id=import"):
                frame.text("h2", "Import a file")
                ImportForm(markets, service.settings.import_bytes, listed)
        await listed.refresh()
        await fetches.refresh()
        ui.timer(EVERY, fetches.refresh, immediate=False)


class Candles(frame.Refresh):
    """Filters, the table that they leave, and the way through its pages; the address has them."""

    def __init__(
        self, service: Service, parts: Mapping[str, list[str]], address: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._service, self._address = service, dict(address)
        word = address.get("page", "1")
        self._page = max(1, int(word)) if word.isdecimal() and len(word) < 7 else 1
        frame.follow_address(lambda: self._address)
        with ui.element("div").classes("fields").props('role=search aria-label="Filters"'):
            self._filters = {name: self._select(name, parts[name]) for name in _FILTERS}
        self._count = frame.sentence("").props("role=status")
        self._table = frame.region("Stored candles")
        with ui.element("div").classes("pager") as self._pager:
            self._before = ui.button("Previous", on_click=lambda: self._turn_to(self._page - 1))
            self._after = ui.button("Next", on_click=lambda: self._turn_to(self._page + 1))
            for button in (self._before, self._after):
                button.props("flat")

    async def _look(self) -> None:
        """Read the page that the filters ask for."""
        chosen = {name: control.value or None for name, control in self._filters.items()}
        offset = (self._page - 1) * SHOWN
        query = CandleFilter(**chosen, limit=SHOWN, offset=offset)
        page = await frame.ask(self._service.candles.markets, query)
        last = offset + len(page.candles)
        self._count.set_text(
            f"{offset + 1:,} to {last:,} of {page.total:,}"
            if page.candles
            else "No candles are stored that fit. Fetch or import some below."
        )
        self._pager.set_visibility(offset > 0 or last < page.total)
        self._before.set_enabled(offset > 0)
        self._after.set_enabled(last < page.total)
        self._table.clear()
        if page.candles:
            with self._table:
                table("By exchange, pair and timeframe", _COLUMNS, page.candles, _row)

    def _select(self, name: str, options: list[str]) -> ui.select:
        value = self._address.get(name, "")
        return ui.select(
            {"": "all"} | {option: option for option in options},
            label=name,
            value=value if value in options else "",
            on_change=lambda: self._turn_to(1),
        ).props("outlined")

    async def _turn_to(self, page: int) -> None:
        self._page = max(1, page)
        words = {name: control.value for name, control in self._filters.items() if control.value}
        if self._page > 1:
            words["page"] = str(self._page)
        self._address = words
        query = urlencode(words, safe=":/")
        ui.navigate.history.push(f"/candles?{query}" if query else "/candles")
        await self.refresh()


def _row(row: StoredCandles) -> None:
    with ui.element("th").props("scope=row"):
        ui.link(row.id, f"/candles/{row.id}")
    for moment in (row.first, row.last):
        frame.text("td", "-" if moment is None else f"{moment:%Y-%m-%d}", "number")
    frame.text("td", f"{row.candles:,}", "number")
    frame.text("td", share(row.coverage), "number")
    frame.text("td", f"{row.missing:,}", "number")
    holes = f" in {plural(len(row.holes), 'hole')}" if row.holes else ""
    frame.text("td", f"{row.unasked:,}{holes}", "number")
    with ui.element("td"), ui.element("div"):
        frame.text("div", frame.in_labels(row.quality or "not measured yet"))
        if row.quality_at is not None:
            frame.text("div", f"{row.quality_at:%Y-%m-%d %H:%M} UTC", "soft number")
    frame.text("td", size(row.bytes), "number")
    files = [one if len(one) < 33 else f"{one[:16]} … {one[-14:]}" for one in row.sources]
    frame.text("td", ", ".join(files) or "-").props["title"] = ", ".join(row.sources)
    frame.text("td", f"damaged: {', '.join(row.damaged)}" if row.damaged else "-")


def share(value: float | None) -> str:
    """``99.98 %``; never 100 where a candle is lacking."""
    if value is None:
        return "-"
    rounded = int(value * 10_000) / 100
    return "100 %" if value == 1.0 else f"{rounded:.2f} %"


def size(count: int) -> str:
    """``1.2 MB``."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


#: Holes that are named; a store with more counts the others.
HOLES = 12

_COVERAGE = "Price, volume, coverage, and the time that nobody has asked for"
_MONTHS = ("month", "candles", "missing", "size", "written (UTC)", "from")


async def market_page(service: Service, identity: str) -> None:
    """Show one market: what its files say at once, then its picture."""
    with frame.page(identity, "/candles", notice=service.read_only) as theme:
        try:
            market = await frame.ask(service.candles.market, identity)
        except NotFoundError as error:
            frame.refusal(error, "All candles", "/candles")
            return
        choices = await frame.ask(composing.choices)
        picturing = frame.begin(service.candles.picture, market)
        _facts(market, {(m.exchange, m.pair, m.timeframe) for m in choices.markets})
        with ui.element("section") as picture:
            frame.text("h2", "Coverage (UTC)")
            loading = frame.sentence("Reading the candles …").props("role=status")
        with ui.element("section"):
            frame.text("h2", "Candles")
            chart = _chart(service, market)
        with ui.element("section"):
            frame.text("h2", "Quality")
            _quality(market.quality, market.measured)
        _holes(market)
        _months(market)
        if not await reader.arrival(picturing):
            await reader.connected()
        try:
            drawn = await picturing
        except ConflictError as error:
            loading.set_text(str(error))
        else:
            loading.delete()
            if drawn is not None:
                with picture:
                    theme.drawing(drawn, _COVERAGE, "figure panels", "id=coverage")
        if chart is not None:
            await reader.soon(partial(chart.show, chart.view))


def _facts(market: StoredMarket, named: set[tuple[str, str, str]]) -> None:
    """Say what is stored, in sentences; ``named`` are the markets that have boxes on the form."""
    if market.first is not None and market.last is not None:
        frame.sentence(
            f"{market.candles:,} candles of {market.timeframe} from {utc(market.first)} to"
            f" {utc(market.last)}: {share(market.coverage)} of that time."
        )
    frame.sentence(
        f"{plural(market.missing, 'bar')} missing: their source has none."
        f" {plural(market.unasked, 'bar')} not asked: a fetch asks for them."
        f" {size(market.bytes)} on disk, from {', '.join(market.sources) or 'nobody'}."
    )
    if market.funding is not None:
        first, last = utc(market.funding.first)[:10], utc(market.funding.last)[:10]
        frame.sentence(f"{market.funding.payments:,} funding payments from {first} to {last}.")
    for name in market.damaged:
        frame.warning(f"{name} is damaged: it is not used. A fetch of this market replaces it.")
    parts = market.id.replace(":", "/", 1).rsplit(":", 1)
    with ui.element("div").classes("line"):
        ui.link("All candles", "/candles")
        if training := training_link(market, named):
            ui.link(*training)
        for form in ("csv", "parquet"):
            address = f"/api/candles/{'/'.join(parts)}?format={form}"
            ui.link(f"Download as {form.upper() if form == 'csv' else 'Parquet'}", address)


def training_link(market: StoredMarket, named: set[tuple[str, str, str]]) -> tuple[str, str] | None:
    """Return text and address of the form for the longest time of whole days without a hole.

    None where there is no such day. The text says the first and the last of the days.

    Parameters
    ----------
    named : set of (str, str, str)
        Exchange, pair and timeframe of the markets of `conf/market`, which have boxes to tick.
    """
    if market.first is None or market.last is None:
        return None
    day = timeframe_ms("1d")
    edges = [market.first, *(edge for hole in market.holes for edge in hole)]
    edges.append(market.last + timeframe_ms(market.timeframe))
    since, until = max(
        (
            (-(-start // day), end // day)
            for start, end in zip(edges[::2], edges[1::2], strict=True)
        ),
        key=lambda days: (days[1] - days[0], days[0]),
    )
    if since >= until:
        return None
    key = (market.exchange, market.pair, market.timeframe)
    words = {"more": market.id}
    if key in named:
        words = dict(zip(("exchange", "pair", "timeframe"), key, strict=True))
    first, last, end = (utc(at * day)[:10] for at in (since, until - 1, until))
    part = ", the longest part without a hole" if market.holes else ""
    address = f"/?{urlencode(words | {'since': first, 'until': end}, safe=',/:')}"
    return f"Train on {first} to {last}{part}", address


def _chart(service: Service, market: StoredMarket) -> CandleChart | None:
    """Add the candles themselves; None where there are none."""
    if market.first is None or market.last is None:
        frame.sentence("There are none.")
        return None
    step = timeframe_ms(market.timeframe)
    return CandleChart(
        f"Candles of {market.id}",
        (market.first, market.last + step),
        step,
        Units.of(market.pair),
        partial(service.candles.chart, market),
    )


def _quality(report: QualityReport | None, measured: str | None) -> None:
    if report is None:
        frame.sentence("There are fewer than two candles, so there is nothing to measure.")
        return
    when = "" if measured is None else f", measured {measured[:16].replace('T', ' ')} UTC"
    short = frame.in_labels(in_short(report, QualityLimits(), most=13))
    said = "within the limits of a training" if short == "ok" else f"a training refuses: {short}"
    frame.sentence(f"Quality: {said}{when}. Only a training holds it against other exchanges, too.")
    _, columns, rows = as_table(report)
    with frame.region("Quality"):
        frame.text_table("Held against the default limits of a training", columns, rows)


def _holes(market: StoredMarket) -> None:
    if not market.holes:
        return
    with ui.element("section"):
        frame.text("h2", "Holes")
        frame.sentence("Nobody has asked for the candles of these times:")
        with ui.element("ul"):
            for start, end in market.holes[:HOLES]:
                frame.text("li", f"{utc(start)} to {utc(end)}")
        if len(market.holes) > HOLES:
            frame.sentence(f"and {len(market.holes) - HOLES:,} more.")


def _months(market: StoredMarket) -> None:
    with ui.element("section"):
        frame.text("h2", "Months")
        with ui.element("details"):
            frame.text("summary", f"{plural(len(market.months), 'file')}, one a month")
            with frame.region("Months"):
                frame.text_table("Oldest first", _MONTHS, map(_month, market.months))


def _month(month: StoredMonth) -> tuple[str, ...]:
    counts = f"{month.candles:,}", f"{month.missing:,}", size(month.bytes)
    return month.name, *counts, month.written[:16].replace("T", " "), ", ".join(month.sources)
