"""Draw candles by day, price, volume, coverage and gaps, as one HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu_engine import DAY_MS, Bool, Candles, Float, Int64
from pipeline.market_data.quality.report import QualityReport
from pipeline.market_data.raw import Span
from pipeline.market_data.store.atomic_files import replace_text
from pipeline.market_data.store.levels import StoredSeries
from pipeline.market_data.timeframe import utc
from pipeline.report import theme
from pipeline.report.shell import render
from pipeline.report.trades import times
from pipeline.results.jsonable import jsonable
from pipeline.validation.wording import share

#: Titles of the four panels by their axes, from the top, but for the last.
PANELS = {
    "y": "Price: close of a {}, low to high",
    "y2": "Volume by {}, base currency",
    "y3": "Share of the {}'s candles that came",
}
#: Days that are drawn: a longer history is gathered by week.
MOST_DAYS, _WEEK_MS = 2_000, 7 * DAY_MS
#: What the last panel shows: of a fetch, and of the store.
GAPS, HOLES = "Gaps: candles that did not come", "Not asked: nobody has asked yet"


@dataclass(frozen=True, eq=False)
class Days:
    """Candles gathered by UTC day, from the first to the last; all arrays of shape (days,).

    A long history is gathered by weeks that begin on a Thursday, as the epoch does.

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


def stored_days(series: StoredSeries, step: int, most: int = MOST_DAYS) -> Days:
    """Gather stored candles of ``step`` milliseconds by UTC day; of longer ones each is a day.

    More than ``most`` days are gathered by week. There is at least one candle.

    Raises
    ------
    ConflictError
        When a month is damaged.
    """
    count = len(series)
    begins = int(series.as_stored(0, 1).candles.timestamp[0])
    ends = int(series.as_stored(count - 1, count).candles.timestamp[0]) + step
    length = max(DAY_MS, step)
    if length == DAY_MS and (ends - begins) // DAY_MS > most:
        length = _WEEK_MS
    joined = series.at(length)
    opens = joined.candles.timestamp
    start = np.arange(opens[0], opens[-1] + 1, length)
    place = np.searchsorted(start, opens)

    def spread(values: Float, otherwise: float) -> Float:
        whole = np.full(len(start), otherwise)
        whole[place] = values
        return whole

    expected = np.full(len(start), length // step)
    if step < length:  # weeks begin on a Monday, the epoch on a Thursday
        expected[0] -= (begins - start[0]) // step
        expected[-1] -= (start[-1] + length - ends) // step
    candles = joined.candles
    return Days(
        start=start,
        low=spread(candles.low, np.nan),
        high=spread(candles.high, np.nan),
        close=spread(candles.close, np.nan),
        volume=spread(candles.volume, 0.0),
        coverage=spread(joined.bars.astype(np.float64), 0.0) / expected,
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
        f"{report.filled:,} bars filled ({share(report.filled_share)})."
    )
    figures = theme.themed({"candles": figure(candles)})
    text = render("candles.jinja", report.source, figures, facts=facts)
    replace_text(path, text)


def figure(candles: Candles) -> theme.Figure:
    """Draw candles on their grid by day: price, volume, coverage, gaps."""
    edges = np.flatnonzero(np.diff(candles.filled, prepend=False, append=False))
    moments = candles.timestamp[0] + edges * candles.step_ms
    gaps = list(zip(moments[::2].tolist(), moments[1::2].tolist(), strict=True))
    return panels(by_day(candles), gaps, GAPS)


def panels(days: Days, gaps: Sequence[Span], named: str) -> theme.Figure:
    """Draw four panels over the same days: price, volume, coverage, and ``gaps``, half-open, ms.

    The price is on a log scale, on which an outlier stands out and a coin's first years can be
    seen; a day without candles breaks its line. ``named`` is the title of the last panel.
    """
    week = len(days.start) > 1 and days.start[1] - days.start[0] == _WEEK_MS
    unit, length = ("week", _WEEK_MS) if week else ("day", DAY_MS)
    middle = times(days.start + length // 2)
    titles = {axis: text.format(unit) for axis, text in PANELS.items()} | {"y4": named}
    low_high = {
        "type": "bar",
        "name": "low to high",
        "base": jsonable(days.low),
        "y": jsonable(days.high - days.low),
        "customdata": jsonable(days.high),
        "marker": {"color": theme.OUT_OF_SAMPLE, "line": {"width": 0}},
        "opacity": 0.4,
        "hovertemplate": "%{base:,.7~r} to %{customdata:,.7~r}",
    }
    close = {
        "type": "scatter",
        "mode": "lines",
        "name": "close",
        "y": jsonable(days.close),
        "line": {"color": theme.OUT_OF_SAMPLE, "width": 1.5},
        "hovertemplate": "%{y:,.7~r}",
    }
    volume = _steps("volume", days.volume, theme.OUT_OF_SAMPLE, "y2")
    coverage = _steps("candles that came", days.coverage, theme.MUTED, "y3")
    data = [{"x": middle, **trace} for trace in (low_high, close, volume, coverage)]
    corner = {"xref": "paper", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}
    corner |= {"showarrow": False}
    return theme.figure(
        [*data, _gaps(gaps)],
        showlegend=False,
        bargap=0,
        barmode="overlay",
        hovermode="x unified",
        annotations=[
            {"text": f"<b>{text}</b>", "yref": f"{axis} domain", **corner}
            for axis, text in titles.items()
        ],
        xaxis={"type": "date", "anchor": "y4", "showgrid": True},
        yaxis={"domain": [0.58, 0.97], "type": "log"},
        yaxis2={"domain": [0.35, 0.52]},
        yaxis3={"domain": [0.13, 0.29], "range": [0, 1], "tickformat": ".0%"},
        yaxis4={"domain": [0, 0.07], "range": [0, 1], "visible": False, "fixedrange": True},
    )


def _steps(name: str, values: Float, color: str, axis: str) -> dict[str, Any]:
    """Draw a step a day, from 0: one shape, where a browser takes seconds for ten years of bars."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "y": values.tolist(),
        "yaxis": axis,
        "fill": "tozeroy",
        "fillcolor": color,
        "line": {"color": color, "width": 0, "shape": "hvh"},
        "hovertemplate": "%{y:.0%}" if axis == "y3" else "%{y:,.7~r}",
    }


def _gaps(gaps: Sequence[Span]) -> dict[str, Any]:
    """Mark every gap; its outline lets a single bar in years be seen."""
    moments = times(np.array(gaps, np.int64).reshape(-1))
    x: list[str | None] = []
    for start, end in zip(moments[::2], moments[1::2], strict=True):
        x += [start, start, end, end, start, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "gaps",
        "x": x,
        "y": [0, 1, 1, 0, 0, None] * len(gaps),
        "yaxis": "y4",
        "fill": "toself",
        "fillcolor": theme.LOSS,
        "line": {"color": theme.LOSS, "width": 1},
        "hoverinfo": "skip",
    }


def _blank(values: Float, none: Bool) -> Float:
    """NaN on days without candles."""
    return np.where(none, np.nan, values)
