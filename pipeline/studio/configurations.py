"""Every stored configuration as a table, to be filtered and sorted."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from pipeline.service import ConfigurationQuery, Service
from pipeline.service.answers import Choices, ConfigurationSummary
from pipeline.studio.asking import ask
from pipeline.studio.badges import stage_badge
from pipeline.studio.frame import frame, sentence, text
from pipeline.validation.lifecycle import STAGES
from pipeline.wording import defined

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
    *("market", "stage", "net profit", "Sharpe ratio", "trades", "p"),
    *("active", "strategy", "stored (UTC)", "configuration"),
)


async def configurations_page(service: Service) -> None:
    """Show the newest configurations, and how to find others."""
    choices = await ask(service.choices)
    with frame("Configurations", "/configurations"):
        await Configurations(service, choices).refresh()


class Configurations:
    """Filters, the table that they leave, and the way through its pages."""

    def __init__(self, service: Service, choices: Choices) -> None:
        self._service, self._offset = service, 0
        with ui.element("div").classes("fields").props('role=search aria-label="Filters"'):
            self._filters = {
                "stage": self._select("stage", STAGES),
                "exchange": self._select("exchange", choices.exchanges),
                "pair": self._select("pair", choices.pairs),
                "timeframe": self._select("timeframe", choices.timeframes),
                "strategy": self._select("strategy", list(choices.strategies)),
                "synthetic": self._select("candles", {False: "real", True: "SYNTHETIC"}),
                "active": self._select("active", {True: "active", False: "not active"}),
            }
            self._sort = ui.select(
                _SORTS, label="sort by", value="created_at", on_change=self._first
            ).props("outlined")
            self._descending = ui.checkbox("largest first", value=True, on_change=self._first)
        self._count = sentence("").props("role=status")
        self._table = ui.element("div").classes("scroll")
        self._table.props('tabindex=0 role=region aria-label="Configurations"')
        with ui.element("div").classes("pager"):
            self._before = ui.button("Previous", on_click=lambda: self._move(-SHOWN)).props("flat")
            self._after = ui.button("Next", on_click=lambda: self._move(SHOWN)).props("flat")

    async def refresh(self) -> None:
        """Read the page that the filters ask for."""
        chosen = {name: control.value for name, control in self._filters.items()}
        query = ConfigurationQuery(
            **{name: value for name, value in chosen.items() if value != ""},
            sort=self._sort.value,
            descending=self._descending.value,
            limit=SHOWN,
            offset=self._offset,
        )
        page = await ask(self._service.configurations, query)
        last = self._offset + len(page.configurations)
        self._count.set_text(
            f"{self._offset + 1:,} to {last:,} of {page.total:,}"
            if page.configurations
            else "No configuration is stored that fits."
        )
        self._before.set_enabled(self._offset > 0)
        self._after.set_enabled(last < page.total)
        self._table.clear()
        with self._table:
            _table(page.configurations)

    def _select(self, name: str, options: Any) -> ui.select:
        named = options if isinstance(options, dict) else {option: option for option in options}
        return ui.select({"": "all", **named}, label=name, value="", on_change=self._first).props(
            "outlined"
        )

    async def _first(self) -> None:
        self._offset = 0
        await self.refresh()

    async def _move(self, by: int) -> None:
        self._offset = max(0, self._offset + by)
        await self.refresh()


def _table(found: list[ConfigurationSummary]) -> None:
    with ui.element("table"):
        text("caption", "Out of sample, net of fees and slippage")
        with ui.element("thead"), ui.element("tr"):
            for column in _COLUMNS:
                text("th", column).props("scope=col")
        with ui.element("tbody"):
            for one in found:
                with ui.element("tr"):
                    _row(one)


def _row(one: ConfigurationSummary) -> None:
    with ui.element("th").props("scope=row"):
        ui.link(f"{one.exchange}:{one.pair}:{one.timeframe}", f"/configurations/{one.id}")
    with ui.element("td"):
        stage_badge(one.lifecycle_stage, one.synthetic)
    text("td", defined(one.oos_net_profit, "+.2%"), "number")
    text("td", defined(one.oos_sharpe_ratio, ".2f"), "number")
    text("td", f"{one.sample_size:,}", "number")
    text("td", defined(one.p_value, ".3g"), "number")
    text("td", "active" if one.is_active else "-")
    text("td", one.strategy)
    text("td", f"{one.created_at:%Y-%m-%d %H:%M}", "number")
    text("td", one.id, "number")
