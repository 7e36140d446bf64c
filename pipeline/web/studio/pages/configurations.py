"""List the stored configurations in a table that can be filtered and sorted."""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from pipeline.report.comparison import LEAST, MOST
from pipeline.results.records import ConfigurationSummary
from pipeline.results.rows.listing import SortKey
from pipeline.validation.stages import STAGES
from pipeline.validation.wording import defined, market_name, percent, share, small
from pipeline.web.service import composing
from pipeline.web.service.answers import Choices
from pipeline.web.service.requests import ConfigurationQuery
from pipeline.web.service.service import Service
from pipeline.web.studio import frame
from pipeline.web.studio.widgets.table import Sorting, table

#: Rows a page, and rows that the table of the API gives as JSON at most.
SHOWN, MOST_ROWS = 25, 10_000

#: What each head sorts by; what is active is filtered.
_KEYS: dict[str, SortKey] = {
    "market": "market",
    "stage": "stage_rank",
    "net profit": "oos_net_profit",
    "Sharpe ratio": "oos_sharpe_ratio",
    "drawdown": "max_drawdown",
    "trades": "sample_size",
    "p of days": "p_value",
    "q": "fdr_q_value",
    "method": "optimizer",
    "candles (UTC)": "first_day",
    "seed": "seed",
    "stored (UTC)": "created_at",
}
_COLUMNS = ("market", "stage", "beats luck", *tuple(_KEYS)[2:-1], "active", "stored (UTC)")
_SORTS = {key: head for head, key in _KEYS.items()}

#: What the address leaves out.
_USUAL = {"sort": "created_at", "descending": "true", "page": "1", "ticked": ""}


async def configurations_page(service: Service, request: Request) -> None:
    """Show the configurations that the address asks for, and how to find others."""
    choices = await frame.ask(composing.choices)
    strategies = await frame.ask(service.repository.configurations.strategies)
    with frame.page("Configurations", "/configurations", notice=service.read_only):
        await Configurations(service, choices, strategies, request.query_params).refresh()


class Configurations:
    """Filters, the table that they leave, and the way through its pages.

    What is chosen is in the address, so that it can be kept, sent and gone back to.
    """

    def __init__(
        self, service: Service, choices: Choices, strategies: list[str], address: Mapping[str, str]
    ) -> None:
        self._service, self._address = service, dict(address)
        ticked = address.get("ticked", "").split(",")
        self._ticked = list(dict.fromkeys(one for one in ticked if one))[:MOST]
        frame.follow_address(lambda: self._address)
        self._quiet = False
        word = address.get("page", "")
        number = int(word) if word.isdecimal() and len(word) < 7 else 1
        self._offset = max(0, number - 1) * SHOWN
        with ui.element("div").classes("fields").props('role=search aria-label="Filters"'):
            self._filters = {
                "stage": self._select("stage", STAGES),
                "exchange": self._select("exchange", choices.exchanges),
                "pair": self._select("pair", choices.pairs),
                "timeframe": self._select("timeframe", choices.timeframes),
                "strategy": self._select("strategy", strategies),
                "synthetic": self._select("candles", {False: "real", True: "SYNTHETIC"}),
                "active": self._select("active", {True: "active", False: "not active"}),
            }
            self._sort = ui.select(
                _SORTS, label="sort by", value=self._from_address("sort", _SORTS, "created_at")
            ).props("outlined")
            self._descending = ui.checkbox(
                "descending", value=self._from_address("descending", (True, False), True)
            )
        for control in (self._sort, self._descending):
            control.on_value_change(self._first)
        self._count = frame.sentence("").props("role=status")
        with ui.element("div").classes("line"):
            self._compare = ui.button("Compare", on_click=self._go).props("outline")
            self._untick = ui.button("Untick all", on_click=self._untick_all).props("flat")
            self._chosen_said = frame.text("span", "", "soft").props("role=status")
            frame.text("span", "Save this list:", "soft")
            self._exports = [
                ui.link(form.upper(), "").props(
                    f"download=stored-configurations.{form} data-form={form}"
                )
                for form in ("csv", "json", "parquet")
            ]
        self._table = frame.region("Configurations").classes("widest")
        with ui.element("div").classes("pager") as self._pager:
            self._before = ui.button("Previous", on_click=lambda: self._move(-SHOWN)).props("flat")
            self._after = ui.button("Next", on_click=lambda: self._move(SHOWN)).props("flat")

    async def refresh(self) -> None:
        """Read the page that the filters ask for."""
        query = ConfigurationQuery(**self._chosen(), limit=SHOWN, offset=self._offset)
        page = await frame.ask(self._service.configurations, query)
        last = self._offset + len(page.configurations) + len(page.refused)
        refused = len(page.refused)
        below = f"; {refused} of them cannot be shown, see below the table" if refused else ""
        self._count.set_text(
            f"{self._offset + 1:,} to {last:,} of {page.total:,}{below}"
            if page.configurations or page.refused
            else "No configuration is stored that fits."
        )
        self._pager.set_visibility(self._offset > 0 or last < page.total)
        self._before.set_enabled(self._offset > 0)
        self._after.set_enabled(last < page.total)
        self._show_choice()
        self._table.clear()
        with self._table:
            if page.configurations:
                sorting = Sorting(_KEYS, self._sort.value, self._descending.value, self._sort_by)
                caption = "Out of sample, net of fees and slippage"
                table(caption, _COLUMNS, page.configurations, self._row, sorting=sorting)
            for one in page.refused:
                frame.sentence(f"{one.id} is not shown: {one.reason}.")
                ui.link(f"Look at {one.id}", f"/configurations/{one.id}")

    def _chosen(self) -> dict[str, Any]:
        """Return what the controls say in the words of a `ConfigurationQuery`, without "all"."""
        chosen = {name: control.value for name, control in self._filters.items()}
        return {name: value for name, value in chosen.items() if value != ""} | {
            "sort": self._sort.value,
            "descending": self._descending.value,
        }

    def _row(self, row: ConfigurationSummary) -> None:
        name = market_name(row)
        with ui.element("th").props("scope=row"), ui.element("div").classes("ticked"):
            box: ui.checkbox = ui.checkbox(
                value=row.id in self._ticked,
                on_change=lambda event: self._tick(row.id, box, event.value),
            )
            box.props(f'dense aria-label="Compare {name}, {row.id}"')
            with ui.element("div"):
                ui.link(name, f"/configurations/{row.id}")
                frame.text("div", row.id, "soft identity")
        _cells(row)

    def _tick(self, identity: str, box: ui.checkbox, is_ticked: bool) -> None:
        """Take one into the choice, or out of it."""
        if is_ticked and identity not in self._ticked:
            if len(self._ticked) == MOST:
                ui.notify(f"At most {MOST} are compared: untick one first.", type="warning")
                box.value = False
                return
            self._ticked.append(identity)
        elif not is_ticked and identity in self._ticked:
            self._ticked.remove(identity)
        self._keep_choice()

    async def _untick_all(self) -> None:
        self._ticked = []
        self._keep_choice()
        await self.refresh()

    def _keep_choice(self) -> None:
        """Have the address hold the choice, which is nothing to go back from."""
        self._address = self._words()
        ui.navigate.history.replace(_path(self._address))
        self._show_choice()

    def _show_choice(self) -> None:
        count = len(self._ticked)
        self._compare.set_enabled(count >= LEAST)
        self._untick.set_visibility(count > 0)
        said = (
            f"{count} of at most {MOST} ticked" if count else f"Tick {LEAST} to {MOST} to compare"
        )
        self._chosen_said.set_text(said)
        left_out = ("page", "ticked")
        asked = {name: word for name, word in self._address.items() if name not in left_out}
        for link in self._exports:
            form = link.props["data-form"]
            limit = {"limit": MOST_ROWS} if form == "json" else {}
            query = urlencode({**asked, "format": form, **limit})
            link.props["href"] = f"/api/configurations/table?{query}"
            link.update()

    def _go(self) -> None:
        ui.navigate.to(f"/compare?{urlencode([('id', one) for one in self._ticked])}")

    async def _sort_by(self, word: str, descending: bool) -> None:
        self._quiet = True  # both controls change, and the page is read once
        self._sort.value, self._descending.value = word, descending
        self._quiet = False
        await self._turn_to(0)

    def _select(self, label: str, options: Any) -> ui.select:
        named = options if isinstance(options, dict) else {option: option for option in options}
        name = "synthetic" if label == "candles" else label
        return ui.select(
            {"": "all", **named},
            label=label,
            value=self._from_address(name, named, ""),
            on_change=self._first,
        ).props("outlined")

    def _from_address(self, name: str, options: Iterable[Any], otherwise: Any) -> Any:
        """Return which of ``options`` the address names."""
        named = {_written(option): option for option in options}
        return named.get(self._address.get(name, ""), otherwise)

    def _first(self) -> Awaitable[None] | None:
        # No coroutine: that would begin, and look whether it is quiet, when both have changed.
        return None if self._quiet else self._turn_to(0)

    async def _move(self, by: int) -> None:
        await self._turn_to(max(0, self._offset + by))

    async def _turn_to(self, offset: int) -> None:
        self._offset = offset
        self._address = self._words()
        ui.navigate.history.push(_path(self._address))
        await self.refresh()

    def _words(self) -> dict[str, str]:
        """Return what the address holds: filters, order, page and what is ticked."""
        words = {name: _written(value) for name, value in self._chosen().items()}
        words |= {"page": str(self._offset // SHOWN + 1), "ticked": ",".join(self._ticked)}
        return {name: word for name, word in words.items() if word != _USUAL.get(name)}


def _written(value: object) -> str:
    """Write a value as the address has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _path(words: Mapping[str, str]) -> str:
    return "/configurations" + (f"?{urlencode(words, safe=',')}" if words else "")


def _cells(row: ConfigurationSummary) -> None:
    with ui.element("td"):
        frame.stage_badge(row.lifecycle_stage, row.synthetic)
    frame.beats_luck(row.beats_luck, row.luck_reason)
    frame.text("td", defined(row.oos_net_profit, percent), "number")
    frame.text("td", defined(row.oos_sharpe_ratio, ".2f"), "number")
    frame.text("td", defined(row.max_drawdown, share), "number")
    frame.text("td", f"{row.sample_size:,}", "number")
    frame.text("td", defined(row.p_value, small), "number")
    frame.text("td", defined(row.fdr_q_value, small), "number")
    frame.text("td", row.optimizer or "-")
    _lines(f"{row.first_day} to", row.last_day or "") if row.first_day else frame.text("td", "-")
    frame.text("td", "-" if row.seed is None else str(row.seed), "number")
    frame.text("td", "active" if row.is_active else "-")
    _lines(f"{row.created_at:%Y-%m-%d}", f"{row.created_at:%H:%M}")


def _lines(first: str, second: str) -> None:
    """Add a cell of two lines."""
    with frame.text("td", "", "number"), ui.element("div"):
        frame.text("div", first)
        frame.text("div", second)
