"""Draw candles, volume and trades as ECharts' options: plain dicts.

Times are milliseconds since the epoch, UTC, prices in the quote currency. The shapes themselves are
those of `pipeline/web/studio/candles.js`, which names its colours as the page's style does: a chart
follows the theme of its page without its data.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import END, STOP, TARGET, TIME, Float, Int64
from pipeline.market_data.raw import PRICES, Span
from pipeline.market_data.store.levels import Candlesticks
from pipeline.report.theme import LINE, SOFT, TOOLTIP
from pipeline.review.trade_levels import Levels
from pipeline.validation.wording import price

#: Candles in sight at most: more are neither seen nor drawn in good time.
LIMIT = 600
#: Trades that are drawn one by one: more would hide the candles.
MOST_TRADES = 300
#: Candles in sight at least.
FEWEST = 8
#: Bars before a setup from which its level is drawn.
BEFORE = 10


class Units(NamedTuple):
    """Currencies of a market: prices are in the quote's, volumes in the base's."""

    base: str
    quote: str

    @classmethod
    def of(cls, pair: str) -> "Units":
        """Read them from a pair such as ``BTC/USDT`` or ``BTC/USDT:USDT``."""
        base, _, quote = pair.partition("/")
        return cls(base, quote.partition(":")[0])


class Line(NamedTuple):
    """A level of a trade: its name, and prices that hold from a time on to the last one.

    ``time`` has one entry more than ``price``: the end of the last; NaN is no level.
    """

    name: str
    time: Int64
    price: Float


def option(span: Span, view: Span, step: int, units: Units, touch: bool) -> dict[str, Any]:
    """Return a chart of a span of time, which shows ``view``; its series are empty.

    Parameters
    ----------
    step : int
        Length of the shortest candles, ms.
    touch : bool
        Whether a finger moves the page, and not the chart.
    """
    time = {"type": "time", "min": span[0], "max": span[1], "axisLine": LINE, "axisTick": LINE}
    left = {**SOFT, "align": "left"}
    height = {"scale": True, "axisLabel": SOFT, "splitLine": LINE, "nameTextStyle": left}
    start, end = percents(span, view)
    window = {"xAxisIndex": [0, 1], "filterMode": "weakFilter", "start": start, "end": end}
    window |= {"minValueSpan": FEWEST * step, "throttle": 60}
    return {
        "animation": False,
        "useUTC": True,
        "axisPointer": {"link": [{"xAxisIndex": "all"}], "label": _label()},
        "tooltip": _tooltip(units),
        "grid": [
            {"left": 76, "right": 16, "top": 30, "bottom": "37%"},
            {"left": 76, "right": 16, "top": "70%", "bottom": 88},
        ],
        "xAxis": [
            {**time, "gridIndex": 0, "axisLabel": {"show": False}, "splitLine": {"show": False}}
            | {"axisPointer": {"label": {"show": False}}},
            {**time, "gridIndex": 1, "axisLabel": {**SOFT, "hideOverlap": True}}
            | {"name": "time, UTC", "nameLocation": "middle", "nameGap": 26}
            | {"nameTextStyle": SOFT, "splitLine": {"show": False}}
            | {"axisPointer": {"label": {":formatter": "candleChart.when"}}},
        ],
        "yAxis": [
            {**height, "gridIndex": 0, "name": f"price, {units.quote}"},
            {**height, "gridIndex": 1, "name": f"volume, {units.base}", "splitNumber": 2, "min": 0}
            | {"axisLabel": {**SOFT, ":formatter": "candleChart.short"}},
        ],
        "dataZoom": [
            {"id": "inside", "type": "inside", **window, "zoomOnMouseWheel": "ctrl"}
            | {"moveOnMouseMove": not touch, "preventDefaultMouseMove": not touch},
            {"id": "slider", "type": "slider", **window, **_slider()},
        ],
        "series": [
            _shapes("candles", "candle", [8, 0, 1], [2, 3, 4, 5], silent=True),
            _shapes("volume", "volume", [8, 0, 1], [6], silent=True, place=1),
            _shapes("lines", "level", [0, 2], [1, 3], silent=True),
            _shapes("trades", "trade", [0, 2], [1, 3]),
        ],
    }


def percents(span: Span, view: Span) -> tuple[float, float]:
    """Return where a part of a span begins and ends, percent of it."""
    start, end = (100.0 * (moment - span[0]) / (span[1] - span[0]) for moment in view)
    return max(start, 0.0), min(end, 100.0)


def part_of(span: Span, start: float, end: float) -> Span:
    """Return the part of a span from one percentage of it to another."""
    length = span[1] - span[0]
    return span[0] + round(length * start / 100.0), span[0] + round(length * end / 100.0)


def candle_rows(sticks: Candlesticks, level: int) -> list[list[float]]:
    """Return a row a candle: begin, end, open, high, low, close, volume, bars, middle."""
    candles = sticks.candles
    begin = candles.timestamp.tolist()
    prices = [_short(getattr(candles, name)) for name in PRICES]
    ends = [moment + level for moment in begin]
    middle = [moment + level // 2 for moment in begin]
    volume, bars = _short(candles.volume), sticks.bars.tolist()
    return [list(row) for row in zip(begin, ends, *prices, volume, bars, middle, strict=True)]


def trade_rows(
    trades: NDArray[np.void], first: int, opens: int, step: int, chosen: int | None = None
) -> list[list[Any]]:
    """Return a row a trade: entry and exit (time, price), side, outcome, number, chosen.

    Parameters
    ----------
    trades : TRADE array of shape (t,)
        Consecutive ones.
    first : int
        Number of the first of them.
    opens, step : int
        Open of bar 0 and length of a bar, ms.
    chosen : int, optional
        Number of the one that stands out.
    """
    entered, left = entry_times(trades, opens, step), exit_times(trades, opens, step)
    return [
        [
            *(int(begin), float(trade["entry"]), int(end), float(trade["exit"])),
            *(int(trade["side"]), int(trade["ret"] > 0.0), number, int(number == chosen)),
        ]
        for number, (trade, begin, end) in enumerate(zip(trades, entered, left, strict=True), first)
    ]


def line_rows(lines: Sequence[Line]) -> list[list[Any]]:
    """Return a row a stretch of a level: from and to (time, price), name, text at its end or ""."""
    rows: list[list[Any]] = []
    for line in lines:
        known = np.flatnonzero(~np.isnan(line.price))
        moved = [i for i in known.tolist() if i == 0 or line.price[i] != line.price[i - 1]]
        for place, i in enumerate(moved):
            last = place == len(moved) - 1
            level, after = float(line.price[i]), line.time[-1 if last else moved[place + 1]]
            text = f"{line.name} {price(level)}" if last else ""
            rows.append([int(line.time[i]), level, int(after), level, line.name, text])
    return rows


def trade_lines(trade: np.void, levels: Levels | None, opens: int, step: int) -> list[Line]:
    """Return the levels of one trade: its stop as it moved, its target, what its setup is about.

    Those at its entry alone where ``levels`` is None; ``opens`` and ``step`` as in `trade_rows`.
    """
    one = np.array([trade])
    entered, left = (int(f(one, opens, step)[0]) for f in (entry_times, exit_times))
    held = np.array([entered, left])
    names = trade.dtype.names or ()
    stored = {name: np.array([trade[name]]) for name in ("stop", "target") if name in names}
    if levels is None:
        return [Line(name, held, level) for name, level in stored.items()]
    bars = entered + step * np.arange(len(levels.stop))
    lines = [Line("stop", np.append(bars, max(left, int(bars[-1]))), levels.stop)]
    if len(np.unique(levels.stop)) > 1:
        lines.append(Line("first stop", held, levels.stop[:1]))
    if "target" in stored:
        lines.append(Line("target", held, stored["target"]))
    setup = opens + int(trade["setup_bar"]) * step
    before = np.array([setup - BEFORE * step, left])
    return lines + [Line(name, before, np.array([level])) for name, level in levels.about.items()]


def entry_times(trades: NDArray[np.void], opens: int, step: int) -> Int64:
    """Return when trades were entered: the opens of their bars (fills rules §6.2)."""
    bars: Int64 = trades["entry_bar"].astype(np.int64)
    return opens + bars * step


def exit_times(trades: NDArray[np.void], opens: int, step: int) -> Int64:
    """Return when trades ended, as far as candles tell (exits rules §5).

    The open of the exit bar, its close for what ends by the clock or with the window, and for a
    stop or a target within the bar its middle: no candle says when.
    """
    bars: Int64 = trades["exit_bar"].astype(np.int64)
    reason = trades["reason"]
    within = np.where(np.isin(reason, (STOP, TARGET)), step // 2, 0)
    return opens + bars * step + np.where(np.isin(reason, (TIME, END)), step, within)


def _short(values: Float) -> list[float]:
    """Seven digits are more than a picture shows, and half of what a float takes to write."""
    return [float(f"{value:.7g}") for value in values]


def _shapes(
    name: str, shape: str, x: list[int], y: list[int], *, silent: bool = False, place: int = 0
) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "type": "custom",
        "xAxisIndex": place,
        "yAxisIndex": place,
        ":renderItem": f"candleChart.{shape}",
        "encode": {"x": x, "y": y},
        "clip": True,
        "silent": silent,
        "emphasis": {"disabled": True},
        "data": [],
    }


def _label() -> dict[str, Any]:
    return {"color": "var(--paper)", "backgroundColor": "var(--ink)"}


def _tooltip(units: Units) -> dict[str, Any]:
    return {
        "trigger": "axis",
        "axisPointer": {"type": "cross", "lineStyle": {"color": "var(--soft)"}}
        | {"crossStyle": {"color": "var(--soft)"}, "label": _label()},
        **TOOLTIP,
        ":formatter": f"candleChart.tip({units.quote!r}, {units.base!r})",
    }


def _slider() -> dict[str, Any]:
    return {
        "bottom": 8,
        "height": 26,
        "left": 76,
        "right": 16,
        "showDataShadow": False,
        "brushSelect": False,
        "showDetail": False,
        "borderColor": "var(--line)",
        "backgroundColor": "var(--card)",
        "fillerColor": "var(--line)",
        "handleStyle": {"color": "var(--paper)", "borderColor": "var(--soft)"},
        "moveHandleStyle": {"color": "var(--soft)"},
    }
