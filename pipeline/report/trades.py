"""Draw out-of-sample trades on their candles: all of them, or one closely."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import REASONS, Candles
from pipeline.market_data.raw import PRICES, came
from pipeline.market_data.store.levels import joined, level_for, level_name
from pipeline.report.candle_chart import LIMIT, Line, Units, entry_times, exit_times, trade_lines
from pipeline.report.loading import ReportData
from pipeline.report.theme import FOUND, GAIN, LOSS, MUTED, Figure, figure
from pipeline.results.artifacts.artifact_set import ArtifactSet
from pipeline.results.jsonable import jsonable
from pipeline.review.stored import simulation_of
from pipeline.review.trade_levels import Levels, trade_levels
from pipeline.validation.wording import percent, price

#: Trades that can be looked at one by one, the newest: each brings its candles into the file.
DETAILED = 100
#: Candles drawn around one trade.
DETAIL_LIMIT = 150
#: Bars shown before and after a single trade.
MARGIN = 30

#: Colour and dash of a level by its name; another one is what the setup is about.
_LEVELS = {"stop": (LOSS, "solid"), "first stop": (LOSS, "dot"), "target": (GAIN, "dash")}


def trades_on_candles(
    candles: Candles,
    trades: NDArray[np.void],
    units: Units,
    span: tuple[int, int] | None = None,
    limit: int = LIMIT,
    lines: Sequence[Line] = (),
) -> Figure:
    """Return a candlestick chart of bars ``[start, end)`` with the trades that touch them.

    Parameters
    ----------
    candles : Candles
        The grid that the trades' bars index.
    trades : TRADE array of shape (t,)
        Entry and exit are prices after slippage; a line joins them.
    span : (int, int), optional
        The bars; those of all trades unless given.
    limit : int
        Largest number of candles drawn: above it as many as needed are joined into one.
    lines : sequence of Line
        Levels to draw over them.
    """
    start, end = span or whole(candles, trades)
    touching = trades[(trades["exit_bar"] >= start) & (trades["entry_bar"] < end)]
    data = [_candlesticks(candles, start, end, limit)]
    for name, look, part in (
        ("gained", (GAIN, "solid", "circle"), touching[touching["ret"] > 0.0]),
        ("lost", (LOSS, "dot", "x"), touching[touching["ret"] <= 0.0]),
    ):
        data.append(_lines(candles, part, name, look))
    data.append(_entries(candles, touching))
    data += [_level(line) for line in lines]
    time = {"type": "date", "rangeslider": {"visible": False}, "title": {"text": "time, UTC"}}
    height = {"title": {"text": f"price, {units.quote}"}, "tickformat": ",.7~r"}
    return figure(data, xaxis=time, yaxis=height)


def trade_charts(candles: Candles, record: ArtifactSet, report: ReportData) -> list[Figure]:
    """Return the chart of all trades of a record, and those of the newest ones."""
    config, opens = simulation_of(report.job.config), int(candles.timestamp[0])

    def levels(trade: np.void) -> Levels | None:
        return trade_levels(config, record.windows, trade, opens, candles.cut)

    units = Units.of(report.configuration.pair)
    return [
        trades_on_candles(candles, record.trades, units),
        *newest_trades(candles, record.trades, units, levels),
    ]


def newest_trades(
    candles: Candles,
    trades: NDArray[np.void],
    units: Units,
    levels: Callable[[np.void], Levels | None],
) -> list[Figure]:
    """Return a chart of each of the newest `DETAILED` trades, the newest first."""
    opens, step = int(candles.timestamp[0]), candles.step_ms
    return [
        trades_on_candles(
            candles,
            trades,
            units,
            around(candles, trade),
            limit=DETAIL_LIMIT,
            lines=trade_lines(trade, levels(trade), opens, step),
        )
        for trade in trades[: -DETAILED - 1 : -1]
    ]


def around(candles: Candles, trade: np.void) -> tuple[int, int]:
    """Return the bars to look at one trade: from before its setup to after its exit."""
    start = max(int(trade["setup_bar"]) - MARGIN, 0)
    return start, min(int(trade["exit_bar"]) + MARGIN + 1, len(candles))


def whole(candles: Candles, trades: NDArray[np.void]) -> tuple[int, int]:
    """Return the bars of all trades, or all bars where there is none."""
    if len(trades) == 0:
        return 0, len(candles)
    return around(candles, trades[0])[0], around(candles, trades[-1])[1]


def times(milliseconds: NDArray[np.int64]) -> list[str]:
    """ISO 8601 minutes in UTC of milliseconds since the epoch."""
    return [str(t) for t in milliseconds.astype("datetime64[ms]").astype("datetime64[m]")]


def _candlesticks(candles: Candles, start: int, end: int, limit: int) -> dict[str, Any]:
    """Draw bars ``[start, end)`` as at most ``limit`` candles, each over its whole time."""
    opens, step = int(candles.timestamp[0]), candles.step_ms
    level = level_for((opens + start * step, opens + end * step), step, limit)
    sticks = joined(came(candles, slice(start, end)), step, level).candles
    # More digits are more than can be seen, and take twice as much to write.
    prices = {name: [float(f"{p:.7g}") for p in getattr(sticks, name)] for name in PRICES}
    return {
        "type": "candlestick",
        "name": f"candles, {level_name(level)}",
        "x": times(sticks.timestamp),
        "xperiod": level,
        "xperiodalignment": "middle",
        **prices,
        "increasing": {"line": {"color": MUTED, "width": 1}, "fillcolor": "rgba(0,0,0,0)"},
        "decreasing": {"line": {"color": MUTED, "width": 1}, "fillcolor": MUTED},
    }


def _level(line: Line) -> dict[str, Any]:
    """Draw a level as steps; in the legend is its last price."""
    color, dash = _LEVELS.get(line.name, (FOUND, "dashdot"))
    known = line.price[~np.isnan(line.price)]
    last = f" {price(known[-1])}" if len(known) else ""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{line.name}{last}",
        "x": times(line.time),
        "y": jsonable(np.append(line.price, line.price[-1:])),
        "line": {"color": color, "dash": dash, "width": 1.5, "shape": "hv"},
        "hovertemplate": f"{line.name} %{{y:,.7~r}}<extra></extra>",
    }


def _lines(
    candles: Candles, trades: NDArray[np.void], name: str, look: tuple[str, str, str]
) -> dict[str, Any]:
    """Return all trades of one outcome as one trace, with gaps between them.

    ``look`` is colour, dash and marker.
    """
    color, dash, symbol = look
    x: list[str | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    opens, step = int(candles.timestamp[0]), candles.step_ms
    entered = times(entry_times(trades, opens, step))
    left = times(exit_times(trades, opens, step))
    for trade, begin, end in zip(trades, entered, left, strict=True):
        label = f"{side(trade)}, {percent(float(trade['ret']))}, {REASONS[trade['reason']]}"
        x += [begin, end, None]
        y += [float(trade["entry"]), float(trade["exit"]), None]
        text += [label, label, None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": y,
        "text": text,
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {"size": 7, "symbol": symbol},
        "hovertemplate": "%{text}<br>%{x}, %{y}<extra></extra>",
    }


def _entries(candles: Candles, trades: NDArray[np.void]) -> dict[str, Any]:
    symbols = ["triangle-up" if trade["side"] > 0 else "triangle-down" for trade in trades]
    colors = [GAIN if trade["ret"] > 0.0 else LOSS for trade in trades]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "entry (▲ long, ▼ short)",
        "x": times(candles.timestamp[trades["entry_bar"]]),
        "y": trades["entry"].tolist(),
        "marker": {"symbol": symbols, "size": 11, "color": colors},
        "hoverinfo": "skip",
    }


def reason(trade: np.void) -> str:
    """Say by what a trade ended."""
    return REASONS[trade["reason"]].replace("_", " ")


def side(trade: np.void) -> str:
    """Say which way a trade went."""
    return "long" if trade["side"] > 0 else "short"
