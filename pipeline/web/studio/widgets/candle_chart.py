"""Draw candles that refine on zoom: whatever is in sight comes at a level of detail of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import context, ui
from nicegui.events import EChartPointClickEventArguments, GenericEventArguments

from pipeline.errors import UserError
from pipeline.market_data.store.levels import level_for, level_name
from pipeline.market_data.timeframe import utc
from pipeline.report.candle_chart import LIMIT, Units, candle_rows, option, part_of, percents
from pipeline.web.service.charts import ChartCandles
from pipeline.web.studio.frame import ask, sentence

#: How much more than what is in sight is read, of its length: a little way to move at once.
BEYOND = 0.5
#: Seconds between two looks at what the reader zooms to.
PAUSE = 0.15

Read = Callable[[tuple[int, int], int], ChartCandles]
#: Returns rows by the name of a series, and a sentence, for what is in sight.
Over = Callable[[tuple[int, int]], Awaitable[tuple[dict[str, list[Any]], str]]]


class CandleChart:
    """Candles and volume of a span of time, and what is drawn over them.

    Parameters
    ----------
    label : str
        What a screen reader calls it.
    span : (int, int)
        Milliseconds since the epoch: as far as it can be zoomed out.
    step : int
        Length of the shortest candles, ms.
    units : Units
    read : callable
        Takes a span and how many candles are shown at most; returns them. It may take a moment.
    over : callable, optional
        Called with what is in sight.
    picked : callable, optional
        Called with the row of a trade that was clicked.
    """

    def __init__(
        self,
        label: str,
        span: tuple[int, int],
        step: int,
        units: Units,
        read: Read,
        over: Over | None = None,
        picked: Callable[[Any], Any] | None = None,
    ) -> None:
        self._span, self._step, self._units = span, step, units
        self._read, self._over, self._picked = read, over, picked
        self._view, self._loaded, self._level = span, (0, 0), 0
        self._wanted: tuple[int, int] | None = None
        self._busy = False
        self._chart: ui.echart | None = None
        self._status = sentence("Loading the candles …", "soft").props("role=status")
        self.place = ui.element("div").classes("candles")
        self.place.props(f'tabindex=0 role=group aria-label="{label}"')
        self.place.on("keydown.+", lambda: self.zoom(0.5))
        self.place.on("keydown.-", lambda: self.zoom(2.0))
        sentence(
            "Drag the bar to zoom, or hold Ctrl and turn the wheel; with the chart in focus + and −"
            " zoom.",
            "soft screen",
        )

    @property
    def view(self) -> tuple[int, int]:
        """What is in sight."""
        return self._view

    async def show(self, view: tuple[int, int]) -> None:
        """Show a part of the span."""
        self._view = max(view[0], self._span[0]), min(view[1], self._span[1])
        await self._load(moved=True)

    async def zoom(self, by: float) -> None:
        """Show ``by`` times as much around the middle."""
        start, end = self._view
        half = max(int((end - start) * by), 8 * self._step) // 2
        await self.show(((start + end) // 2 - half, (start + end) // 2 + half))

    async def _zoomed(self, event: GenericEventArguments) -> None:
        """Follow the reader; the newest of several zooms counts."""
        (seen, *_) = event.args.get("batch") or [event.args]
        if seen.get("start") is None:
            return
        self._view = part_of(self._span, seen["start"], seen["end"])
        await self._load(moved=False)

    async def _load(self, *, moved: bool) -> None:
        """Bring candles, and what lies over them, to what is in sight; one at a time."""
        if self._busy:
            self._wanted = self._view
            return
        self._busy = True
        try:
            while True:
                self._wanted = None
                await self._draw(self._view, moved=moved)
                if self._wanted is None:
                    return
        finally:
            self._busy = False

    async def _draw(self, view: tuple[int, int], *, moved: bool) -> None:
        """Draw what is in sight, with some more on both sides where candles must be read."""
        more, most = int((view[1] - view[0]) * BEYOND / 2), int(LIMIT * (1.0 + BEYOND))
        wide, refusal, made = (view[0] - more, view[1] + more), "", None
        there = self._loaded[0] <= view[0] and view[1] <= self._loaded[1]
        if not there or level_for(wide, self._step, most) != self._level:
            try:
                made = await ask(self._read, wide, most)
            except UserError as error:
                refusal = str(error)
        data, said = await self._over(view) if self._over and not refusal else ({}, "")
        if self.place.is_deleted:  # the reader has left the page
            return
        self.place.set_visibility(not refusal)
        if made is not None:
            self._loaded, self._level = wide, made.level
            data["candles"] = data["volume"] = candle_rows(made.sticks, made.level)
        first, last = (utc(moment // 60_000 * 60_000) for moment in view)
        self._status.set_text(
            refusal or f"{level_name(self._level)} candles, {first} to {last}. {said}"
        )
        if not refusal:
            self._send(view, data, moved=moved)

    def _send(self, view: tuple[int, int], data: dict[str, list[Any]], *, moved: bool) -> None:
        """Have the browser draw what has changed."""
        if self._chart is None:
            self._chart = self._made(view, data)
            return
        change: dict[str, Any] = {
            "series": [{"id": name, "data": rows} for name, rows in data.items()]
        }
        if moved:
            start, end = percents(self._span, view)
            zooms = ("inside", "slider")
            change["dataZoom"] = [{"id": name, "start": start, "end": end} for name in zooms]
        self._chart.run_chart_method("setOption", change)

    def _made(self, view: tuple[int, int], data: dict[str, list[Any]]) -> ui.echart:
        touch = "Mobi" in context.client.request.headers.get("user-agent", "")
        made = option(self._span, view, self._step, self._units, touch)
        for series in made["series"]:
            series["data"] = tuple(map(tuple, data.get(series["id"], ())))
        with self.place:
            chart = ui.echart(made, self._clicked, renderer="svg").classes("filling")
        chart.on(
            "chart:datazoom",
            self._zoomed,
            ["start", "end", "batch"],
            throttle=PAUSE,
            leading_events=False,
        )
        return chart

    async def _clicked(self, event: EChartPointClickEventArguments) -> None:
        if event.series_name == "trades" and self._picked is not None:
            await self._picked(event.data)
