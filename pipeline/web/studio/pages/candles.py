"""List the candles that are stored, and bring others into the store."""

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from pipeline.validation.wording import market_name, plural
from pipeline.web.service import composing
from pipeline.web.service.candle_answers import StoredCandles
from pipeline.web.service.requests import CandleFilter
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import (
    Refresh,
    ask,
    follow_address,
    frame,
    in_labels,
    region,
    sentence,
    table,
    text,
)
from pipeline.web.studio.widgets.candle_fetch import EVERY, FetchForm
from pipeline.web.studio.widgets.candle_import import ImportForm

#: Rows a page.
SHOWN = 25

_BEGIN = ("market", "first (UTC)", "last (UTC)", "candles", "coverage", "missing", "not asked")
_COLUMNS = (*_BEGIN, "quality", "size", "from", "damage")
_FILTERS = ("exchange", "pair", "timeframe")


async def candles_page(service: Service, request: Request) -> None:
    """Show the stored candles that the address asks for."""
    parts, choices = await ask(service.candles.parts), await ask(composing.choices)
    markets = {market_name(one): one.name for one in choices.markets if not one.synthetic}
    with frame("Candles", "/candles", notice=service.read_only):
        address = request.query_params
        listed = Candles(service, parts, address)
        with ui.element("section").props("id=fetch"):
            text("h2", "Fetch from an exchange")
            fetches = FetchForm(service.candles, markets, address, listed, service.read_only)
        if service.read_only is None:
            with ui.element("section").props("id=import"):
                text("h2", "Import a file")
                ImportForm(markets, service.settings.import_bytes, listed)
        await listed.refresh()
        await fetches.refresh()
        ui.timer(EVERY, fetches.refresh, immediate=False)


class Candles(Refresh):
    """Filters, the table that they leave, and the way through its pages; the address has them."""

    def __init__(
        self, service: Service, parts: Mapping[str, list[str]], address: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._service, self._address = service, dict(address)
        word = address.get("page", "1")
        self._page = max(1, int(word)) if word.isdecimal() and len(word) < 7 else 1
        follow_address(lambda: self._address)
        with ui.element("div").classes("fields").props('role=search aria-label="Filters"'):
            self._filters = {name: self._select(name, parts[name]) for name in _FILTERS}
        self._count = sentence("").props("role=status")
        self._table = region("Stored candles")
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
        page = await ask(self._service.candles.markets, query)
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
        text("td", "-" if moment is None else f"{moment:%Y-%m-%d}", "number")
    text("td", f"{row.candles:,}", "number")
    text("td", share(row.coverage), "number")
    text("td", f"{row.missing:,}", "number")
    holes = f" in {plural(len(row.holes), 'hole')}" if row.holes else ""
    text("td", f"{row.unasked:,}{holes}", "number")
    with ui.element("td"), ui.element("div"):
        text("div", in_labels(row.quality or "not measured yet"))
        if row.quality_at is not None:
            text("div", f"{row.quality_at:%Y-%m-%d %H:%M} UTC", "soft number")
    text("td", size(row.bytes), "number")
    files = [one if len(one) < 33 else f"{one[:16]} … {one[-14:]}" for one in row.sources]
    text("td", ", ".join(files) or "-").props["title"] = ", ".join(row.sources)
    text("td", f"damaged: {', '.join(row.damaged)}" if row.damaged else "-")


def share(value: float | None) -> str:
    """``99.98 %``; never 100 where a candle is lacking."""
    if value is None:
        return "-"
    rounded = int(value * 10_000) / 100
    return "100 %" if value == 1.0 else f"{rounded:.2f} %"


def size(count: int) -> str:
    """``1.2 MB``."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"
