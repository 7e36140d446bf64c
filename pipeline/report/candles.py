"""Draw candles by day, price, volume, coverage and gaps, as one HTML file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu_engine import DAY_MS, Bool, Candles, Float, Int64
from pipeline.market_data.quality.report import QualityReport
from pipeline.market_data.store.atomic_files import replace_text
from pipeline.market_data.timeframe import utc
from pipeline.report import theme
from pipeline.report.shell import render
from pipeline.report.trades import times
from pipeline.results.jsonable import jsonable

#: Titles of the four panels by their axes, from the top.
PANELS = {
    "y": "Price: daily close, low to high",
    "y2": "Volume by day, base currency",
    "y3": "Share of the day's candles that came",
    "y4": "Gaps: candles that did not come",
}


@dataclass(frozen=True, eq=False)
class Days:
    """Candles gathered by UTC day, from the first to the last; all arrays of shape (days,).

    Attributes
    ----------
    start : int64
        First millisecond of the day.
    low, high, close : float64
        Prices of the candles that came; NaN on a day without any.
    volume : float64
        Sum, base currency.
    coverage : float64
        Share of the day's bars that are there; of the first and last day, of the bars from the
        first and to the last candle.
    """

    start: Int64
    low: Float
    high: Float
    close: Float
    volume: Float
    coverage: Float


def by_day(candles: Candles) -> Days:
    """Gather candles on their grid by UTC day."""
    day = candles.timestamp // DAY_MS
    begins = np.ones(len(day), np.bool_)
    begins[1:] = day[1:] != day[:-1]
    first = np.flatnonzero(begins)
    start = day[first] * DAY_MS
    del day  # ten years of 1m are 42 MB a column
    came = ~candles.filled
    present = np.add.reduceat(came, first, dtype=np.float64)
    none = present == 0.0
    rows = np.arange(len(came), dtype=np.int32)
    last = np.maximum.reduceat(np.where(came, rows, np.int32(-1)), first)
    del rows
    return Days(
        start=start,
        low=_blank(np.minimum.reduceat(np.where(came, candles.low, np.inf), first), none),
        high=_blank(np.maximum.reduceat(np.where(came, candles.high, -np.inf), first), none),
        close=_blank(candles.close[last], none),
        volume=np.add.reduceat(candles.volume, first),
        coverage=present / np.diff(first, append=len(came)),
    )


def write_picture(candles: Candles, report: QualityReport, path: Path) -> None:
    """Write one HTML file that needs nothing else.

    Parameters
    ----------
    candles : Candles
        On their grid, as `pipeline.market_data.grid.make_regular` gave them with ``report``.
    path : Path
        Replaced in one step when it exists.

    Raises
    ------
    UserError
        When plotly is not installed.
    OSError
        If it cannot be written.
    """
    facts = (
        f"{utc(report.first_bar)} to {utc(report.last_bar)}: {report.rows:,} rows, "
        f"{report.gaps:,} gaps, the longest of {report.longest_gap_bars:,} bars; "
        f"{report.filled:,} bars filled ({report.filled_share:.2%})."
    )
    figures = theme.themed({"candles": figure(candles)})
    text = render("candles.jinja", report.source, figures, facts=facts)
    replace_text(path, text)


def figure(candles: Candles) -> theme.Figure:
    """Draw four panels over the same days: price, volume, coverage, gaps.

    The price is on a log scale, on which an outlier stands out and a coin's first years can be
    seen; a day without candles breaks its line.
    """
    days = by_day(candles)
    middle = times(days.start + DAY_MS // 2)
    low_high = {
        "type": "bar",
        "name": "low to high",
        "base": jsonable(days.low),
        "y": jsonable(days.high - days.low),
        "customdata": jsonable(days.high),
        "marker": {"color": theme.OUT_OF_SAMPLE, "line": {"width": 0}},
        "opacity": 0.4,
        "hovertemplate": "%{base:.7g} to %{customdata:.7g}",
    }
    close = {
        "type": "scatter",
        "mode": "lines",
        "name": "close",
        "y": jsonable(days.close),
        "line": {"color": theme.OUT_OF_SAMPLE, "width": 1.5},
        "hovertemplate": "%{y:.7g}",
    }
    volume = _bars("volume", days.volume, theme.OUT_OF_SAMPLE, "y2")
    coverage = _bars("candles that came", days.coverage, theme.IN_SAMPLE, "y3")
    data = [{"x": middle, **trace} for trace in (low_high, close, volume, coverage)]
    return theme.figure(
        [*data, _gaps(candles)],
        "light",
        showlegend=False,
        bargap=0,
        barmode="overlay",
        hovermode="x unified",
        annotations=[_title(axis, text) for axis, text in PANELS.items()],
        xaxis={"type": "date", "anchor": "y4", "showgrid": True},
        yaxis={"domain": [0.58, 0.97], "type": "log"},
        yaxis2={"domain": [0.35, 0.52]},
        yaxis3={"domain": [0.13, 0.29], "range": [0, 1], "tickformat": ".0%"},
        yaxis4={"domain": [0, 0.07], "range": [0, 1], "visible": False, "fixedrange": True},
    )


def _title(axis: str, text: str) -> dict[str, Any]:
    """Write a panel's title above its left corner."""
    place = {"xref": "paper", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}
    return {"text": f"<b>{text}</b>", "yref": f"{axis} domain", "showarrow": False, **place}


def _bars(name: str, values: Float, color: str, axis: str) -> dict[str, Any]:
    """Draw a bar a day, from 0."""
    return {
        "type": "bar",
        "name": name,
        "y": values.tolist(),
        "yaxis": axis,
        "marker": {"color": color, "line": {"width": 0}},
        "hovertemplate": "%{y:.0%}" if axis == "y3" else "%{y:,.7g}",
    }


def _gaps(candles: Candles) -> dict[str, Any]:
    """Mark every run of missing candles; its outline lets a single bar in years be seen."""
    edges = np.flatnonzero(np.diff(candles.filled, prepend=False, append=False))
    moments = times(candles.timestamp[0] + edges * candles.step_ms)
    x: list[str | None] = []
    for start, end in zip(moments[::2], moments[1::2], strict=True):
        x += [start, start, end, end, start, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "gaps",
        "x": x,
        "y": [0, 1, 1, 0, 0, None] * (len(edges) // 2),
        "yaxis": "y4",
        "fill": "toself",
        "fillcolor": theme.LOSS,
        "line": {"color": theme.LOSS, "width": 1},
        "hoverinfo": "skip",
    }


def _blank(values: Float, none: Bool) -> Float:
    """NaN on days without candles."""
    return np.where(none, np.nan, values)
