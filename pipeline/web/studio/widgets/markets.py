"""Which markets to train: those that fit every word chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from pipeline.market_data.timeframe import timeframe_ms
from pipeline.validation.wording import plural
from pipeline.web.service.answers import MarketChoice
from pipeline.web.studio.frame import sentence, synthetic, text

_WORDS = ("exchange", "pair", "timeframe")


class Markets:
    """Checkboxes of exchanges, pairs and timeframes; the markets are those that fit all three."""

    def __init__(self, markets: Sequence[MarketChoice], changed: Callable[..., Any]) -> None:
        self._markets, self._changed = markets, changed
        self._boxes: dict[str, dict[str, ui.checkbox]] = {}
        for word in _WORDS:
            options = list(dict.fromkeys(getattr(market, word) for market in markets))
            if word == "timeframe":
                options.sort(key=timeframe_ms)
            with ui.element("fieldset"):
                text("legend", f"{word}s")
                self._boxes[word] = {
                    option: ui.checkbox(self._label(word, option), on_change=self._chosen)
                    for option in options
                }
        self._said = sentence("").props("role=status")
        self._mark = synthetic("SYNTHETIC candles: what is found in them says nothing of a market.")
        self._tell()

    def names(self) -> list[str]:
        """Return the names of the markets chosen."""
        return [market.name for market in self._fitting()]

    def _fitting(self) -> list[MarketChoice]:
        return [
            market
            for market in self._markets
            if all(self._boxes[word][getattr(market, word)].value for word in _WORDS)
        ]

    def _label(self, word: str, option: str) -> str:
        of_it = [market for market in self._markets if getattr(market, word) == option]
        return f"{option} (SYNTHETIC)" if all(m.synthetic for m in of_it) else option

    async def _chosen(self) -> None:
        self._tell()
        await self._changed()

    def _tell(self) -> None:
        chosen = self._fitting()
        listed = ", ".join(f"{m.exchange}:{m.pair}:{m.timeframe}" for m in chosen)
        self._said.set_text(
            f"{plural(len(chosen), 'market')}: {listed}"
            if chosen
            else "No market yet: tick at least one of each row that go together."
        )
        self._mark.set_visibility(any(market.synthetic for market in chosen))
