"""List the stored configurations in a table that can be filtered and sorted."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from nicegui import ui
from nicegui.events import GenericEventArguments

from pipeline.results.records import ConfigurationSummary
from pipeline.validation.stages import STAGES
from pipeline.validation.wording import defined
from pipeline.web.service import composing
from pipeline.web.service.answers import Choices
from pipeline.web.service.requests import ConfigurationQuery
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import ask, frame, region, sentence, stage_badge, table, text

#: Rows a page.
SHOWN = 25

_SORTS = {
    "created_at": "date",
    "oos_sharpe_ratio": "Sharpe ratio",
    "oos_net_profit": "net profit",
    "sample_size": "trades",
    "p_value": "p-value",
}
_COLUMNS = (
    "market",
    "stage",
    "net profit",
    "Sharpe ratio",
    "trades",
    "p",
    "active",
    "stored (UTC)",
)


#: What the address leaves out.
_USUAL = {"sort": "created_at", "descending": "true", "page": "1"}
#: The browser's own buttons change the address alone.
_WENT = """<script>
addEventListener('popstate', () => emitEvent('went', location.search.slice(1)));
</script>"""


async def configurations_page(service: Service, address: Mapping[str, str]) -> None:
    """Show the configurations that the address asks for, and how to find others."""
    choices = await ask(composing.choices)
    strategies = await ask(service.strategies)
    with frame("Configurations", "/configurations", notice=service.read_only):
        ui.add_body_html(_WENT)
        await Configurations(service, choices, strategies, address).refresh()


class Configurations:
    """Filters, the table that they leave, and the way through its pages.

    What is chosen is in the address, so that it can be kept, sent and gone back to.
    """

    def __init__(
        self,
        service: Service,
        choices: Choices,
        strategies: list[str],
        address: Mapping[str, str],
    ) -> None:
        self._service, self._address = service, dict(address)
        ui.on("went", self._went)
        self._offset = (_number(address.get("page", "1")) - 1) * SHOWN
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
        self._count = sentence("").props("role=status")
        self._table = region("Configurations")
        with ui.element("div").classes("pager") as self._pager:
            self._before = ui.button("Previous", on_click=lambda: self._move(-SHOWN)).props("flat")
            self._after = ui.button("Next", on_click=lambda: self._move(SHOWN)).props("flat")

    async def refresh(self) -> None:
        """Read the page that the filters ask for."""
        query = ConfigurationQuery(**self._chosen(), limit=SHOWN, offset=self._offset)
        page = await ask(self._service.configurations, query)
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
        self._table.clear()
        with self._table:
            table("Out of sample, net of fees and slippage", _COLUMNS, page.configurations, _row)
            for one in page.refused:
                sentence(f"{one.id} is not shown: {one.reason}.")
                ui.link(f"Look at {one.id}", f"/configurations/{one.id}")

    def _chosen(self) -> dict[str, Any]:
        """Return what the controls say in the words of a `ConfigurationQuery`, without "all"."""
        chosen = {name: control.value for name, control in self._filters.items()}
        return {name: value for name, value in chosen.items() if value != ""} | {
            "sort": self._sort.value,
            "descending": self._descending.value,
        }

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

    async def _first(self) -> None:
        await self._turn_to(0)

    async def _move(self, by: int) -> None:
        await self._turn_to(max(0, self._offset + by))

    async def _turn_to(self, offset: int) -> None:
        self._offset = offset
        words = {name: _written(value) for name, value in self._chosen().items()}
        words |= {"page": str(offset // SHOWN + 1)}
        address = {name: word for name, word in words.items() if word != _USUAL.get(name)}
        self._address = address
        ui.navigate.history.push("/configurations" + (f"?{urlencode(address)}" if address else ""))
        await self.refresh()

    def _went(self, event: GenericEventArguments) -> None:
        """Follow the browser back and forward; the link that skips the navigation leads nowhere."""
        if dict(parse_qsl(event.args)) != self._address:
            ui.navigate.reload()


def _written(value: object) -> str:
    """Write a value as the address has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(word: str) -> int:
    """Return the number of a page; the first where the word is none."""
    return max(1, int(word)) if word.isdecimal() and len(word) < 7 else 1


def _row(row: ConfigurationSummary) -> None:
    with ui.element("th").props("scope=row"), ui.element("div"):
        ui.link(f"{row.exchange}:{row.pair}:{row.timeframe}", f"/configurations/{row.id}")
        text("div", row.id, "soft")
    with ui.element("td"):
        stage_badge(row.lifecycle_stage, row.synthetic)
    text("td", defined(row.oos_net_profit, "+.2%"), "number")
    text("td", defined(row.oos_sharpe_ratio, ".2f"), "number")
    text("td", f"{row.sample_size:,}", "number")
    text("td", defined(row.p_value, ".3g"), "number")
    text("td", "active" if row.is_active else "-")
    text("td", f"{row.created_at:%Y-%m-%d %H:%M}", "number")
