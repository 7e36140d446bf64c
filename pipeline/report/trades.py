"""Draw out-of-sample trades on their candles: all of them, or one closely."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import REASONS, Candles, Float
from pipeline.report.theme import GAIN, LOSS, MUTED, Figure, Theme, figure

#: Candles in a chart: more are neither seen nor drawn in good time, so several are joined.
LIMIT = 600
#: Trades that can be looked at one by one, the newest: each brings its candles into the file.
DETAILED = 100
#: Candles drawn around one trade.
DETAIL_LIMIT = 150
#: Bars shown before and after a single trade.
MARGIN = 30


def trades_on_candles(
    candles: Candles,
    trades: NDArray[np.void],
    span: tuple[int, int] | None = None,
    theme: Theme = "light",
    limit: int = LIMIT,
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
    """
    start, end = span or whole(candles, trades)
    touching = trades[(trades["exit_bar"] >= start) & (trades["entry_bar"] < end)]
    data = [_candlesticks(joined(candles.cut(start, end), limit))]
    for name, color, dash, part in (
        ("gained", GAIN, "solid", touching[touching["ret"] > 0.0]),
        ("lost", LOSS, "dot", touching[touching["ret"] <= 0.0]),
    ):
        data.append(_lines(candles, part, name, color, dash))
    data.append(_entries(candles, touching))
    axis = {"type": "date", "rangeslider": {"visible": False}}
    return figure(data, theme, xaxis=axis, yaxis={"title": {"text": "price"}})


def newest_trades(candles: Candles, trades: NDArray[np.void]) -> list[Figure]:
    """Return a chart of each of the newest `DETAILED` trades, oldest first."""
    return [one_trade(candles, trades, trade) for trade in trades[-DETAILED:]]


def one_trade(candles: Candles, trades: NDArray[np.void], trade: np.void) -> Figure:
    """Return a chart of one trade closely."""
    return trades_on_candles(candles, trades, around(candles, trade), limit=DETAIL_LIMIT)


def around(candles: Candles, trade: np.void) -> tuple[int, int]:
    """Return the bars to look at one trade: from before its setup to after its exit."""
    start = max(int(trade["setup_bar"]) - MARGIN, 0)
    return start, min(int(trade["exit_bar"]) + MARGIN + 1, len(candles))


def whole(candles: Candles, trades: NDArray[np.void]) -> tuple[int, int]:
    """Return the bars of all trades, or all bars where there is none."""
    if len(trades) == 0:
        return 0, len(candles)
    return around(candles, trades[0])[0], around(candles, trades[-1])[1]


def joined(candles: Candles, limit: int) -> dict[str, Any]:
    """Return at most ``limit`` candles as columns, each of equally many bars joined into one.

    Open of the first, highest high, lowest low, close of the last (the last one may hold fewer).
    """
    size = -(-len(candles) // limit)
    first = np.arange(0, len(candles), size)
    last = np.minimum(first + size, len(candles)) - 1
    return {
        "x": times(candles.timestamp[first]),
        "open": candles.open[first],
        "high": np.maximum.reduceat(candles.high, first),
        "low": np.minimum.reduceat(candles.low, first),
        "close": candles.close[last],
    }


def times(milliseconds: NDArray[np.int64]) -> list[str]:
    """ISO 8601 minutes in UTC of milliseconds since the epoch."""
    return [str(t) for t in milliseconds.astype("datetime64[ms]").astype("datetime64[m]")]


def _candlesticks(columns: dict[str, Any]) -> dict[str, Any]:
    prices = {name: _short(columns[name]) for name in ("open", "high", "low", "close")}
    return {
        "type": "candlestick",
        "name": "candles",
        "x": columns["x"],
        **prices,
        "increasing": {"line": {"color": MUTED, "width": 1}, "fillcolor": "rgba(0,0,0,0)"},
        "decreasing": {"line": {"color": MUTED, "width": 1}, "fillcolor": MUTED},
    }


def _short(prices: Float) -> list[float]:
    """Seven digits are more than a picture shows, and half of what a float takes to write."""
    return [float(f"{price:.7g}") for price in prices]


def _lines(
    candles: Candles, trades: NDArray[np.void], name: str, color: str, dash: str
) -> dict[str, Any]:
    """Return all trades of one outcome as one trace, with gaps between them."""
    x: list[str | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    entered, left = (times(candles.timestamp[trades[f"{end}_bar"]]) for end in ("entry", "exit"))
    for trade, begin, end in zip(trades, entered, left, strict=True):
        label = f"{side(trade)}, {trade['ret']:+.2%}, {REASONS[trade['reason']]}"
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
        "marker": {"size": 6, "symbol": "circle"},
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


def side(trade: np.void) -> str:
    """Say which way a trade went."""
    return "long" if trade["side"] > 0 else "short"
