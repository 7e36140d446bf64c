"""A picture of candles: price, volume and coverage by day, with the gaps; one HTML file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import numpy as np

from gpu_engine.records import DAY_MS, Bool, Candles, Float, Int64
from pipeline.market_data.quality.report import QualityReport
from pipeline.market_data.store.atomic_files import replace_file
from pipeline.market_data.timeframe import utc

#: Plot area in pixels of the drawing, which the browser scales: left edge and width.
LEFT, WIDTH = 105.0, 1000.0

#: Of Okabe & Ito 2008: told apart by every kind of sight.
BLUE, ORANGE, RED = "#0072B2", "#E69F00", "#D55E00"

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 1150px; color: #222 }
h1 { font-size: 1.3rem; margin: 0 } p { margin: .3rem 0 1rem } svg { width: 100%; height: auto }
text { font: 13px system-ui, sans-serif; fill: #444 } .title { font-weight: 600; fill: #222 }
.axis { stroke: #999 } .grid { stroke: #ddd }
"""


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


@dataclass(frozen=True)
class Panel:
    """A strip of the drawing: its place in pixels and the values at its edges."""

    top: float
    height: float
    lowest: float
    highest: float

    def y(self, value: Float) -> Float:
        """Pixel of values, the highest on top."""
        share = (value - self.lowest) / (self.highest - self.lowest)
        return np.asarray(self.top + self.height * (1.0 - share))


def by_day(candles: Candles) -> Days:
    """Gather candles on their grid by UTC day."""
    day = candles.timestamp // DAY_MS
    first = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    came = ~candles.filled
    present = np.add.reduceat(came.astype(np.float64), first)
    none = present == 0.0
    last = np.maximum.reduceat(np.where(came, np.arange(len(day)), -1), first)
    return Days(
        start=day[first] * DAY_MS,
        low=_blank(np.minimum.reduceat(np.where(came, candles.low, np.inf), first), none),
        high=_blank(np.maximum.reduceat(np.where(came, candles.high, -np.inf), first), none),
        close=_blank(candles.close[last], none),
        volume=np.add.reduceat(candles.volume, first),
        coverage=present / np.diff(first, append=len(day)),
    )


def write_picture(candles: Candles, report: QualityReport, path: Path) -> None:
    """Write one HTML file that needs nothing else: the drawing is SVG inside.

    Parameters
    ----------
    candles : Candles
        On their grid, as `pipeline.market_data.grid.make_regular` gave them with ``report``.
    path : Path
        Replaced in one step when it exists.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    replace_file(path, lambda temporary: temporary.write_text(_page(candles, report), "utf-8"))


def _page(candles: Candles, report: QualityReport) -> str:
    title = escape(report.source)
    facts = (
        f"{utc(report.first_bar)} to {utc(report.last_bar)}: {report.rows:,} rows, "
        f"{report.gaps:,} gaps, the longest of {report.longest_gap_bars:,} bars; "
        f"{report.filled:,} bars filled ({report.filled_share:.2%})."
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{title}</h1><p>{facts}</p>\n"
        f"{drawing(candles)}\n</body></html>\n"
    )


def drawing(candles: Candles) -> str:
    """Draw the candles as an SVG element."""
    days = by_day(candles)
    price = np.log10(np.concatenate([days.low, days.high]))
    margin = 0.05 * (np.nanmax(price) - np.nanmin(price)) + 1e-3
    panels = {
        "price": Panel(30, 240, float(np.nanmin(price) - margin), float(np.nanmax(price) + margin)),
        "volume": Panel(320, 120, 0.0, float(days.volume.max()) or 1.0),
        "coverage": Panel(490, 100, 0.0, 1.0),
        "gaps": Panel(640, 24, 0.0, 1.0),
    }
    parts = [
        *_calendar(days.start, panels),
        *_price(days, panels["price"]),
        *_volume(days, panels["volume"]),
        *_coverage(days, panels["coverage"]),
        *_gaps(candles.filled, panels["gaps"]),
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1125 700" role="img">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def _price(days: Days, panel: Panel) -> Iterator[str]:
    """Line of the daily closes over the band from low to high; a day without candles breaks both.

    On a log scale, on which an outlier stands out and a coin's first years can be seen.
    """
    yield _title("Price: daily close, low to high", panel)
    ticks = _price_ticks(panel.lowest, panel.highest)
    yield from _scale(panel, np.log10(ticks), [_figure(tick) for tick in ticks])
    x, width = _columns(len(days.start))
    low, high = panel.y(np.log10(days.low)), panel.y(np.log10(days.high))
    seen = np.flatnonzero(~np.isnan(low))
    boxes = "".join(
        f"M{x[i]:.2f} {low[i]:.1f}V{high[i]:.1f}h{width:.2f}V{low[i]:.1f}z" for i in seen
    )
    yield f'<path d="{boxes}" fill="{BLUE}" opacity="0.35"/>'
    close = panel.y(np.log10(days.close))
    after_hole = np.diff(seen, prepend=-2) > 1
    line = "".join(
        f"{'M' if begins else 'L'}{x[i] + width / 2:.2f} {close[i]:.1f}"
        for i, begins in zip(seen, after_hole, strict=True)
    )
    yield f'<path d="{line}" fill="none" stroke="{BLUE}"/>'


def _volume(days: Days, panel: Panel) -> Iterator[str]:
    yield _title("Volume by day, base currency", panel)
    ticks = _round_ticks(0.0, panel.highest)
    yield from _scale(panel, ticks, [_figure(tick) for tick in ticks])
    yield _bars(days.volume, panel, BLUE)


def _coverage(days: Days, panel: Panel) -> Iterator[str]:
    yield _title("Share of the day's candles that came", panel)
    yield from _scale(panel, np.array([0.0, 0.5, 1.0]), ["0 %", "50 %", "100 %"])
    yield _bars(days.coverage, panel, ORANGE)


def _bars(values: Float, panel: Panel, colour: str) -> str:
    """Draw a bar a day, from 0."""
    x, width = _columns(len(values))
    bottom = panel.top + panel.height
    boxes = "".join(
        f"M{left:.2f} {bottom:g}V{top:.1f}h{width:.2f}V{bottom:g}z"
        for left, top in zip(x, panel.y(values), strict=True)
    )
    return f'<path d="{boxes}" fill="{colour}"/>'


def _gaps(filled: Bool, panel: Panel) -> Iterator[str]:
    """Mark every gap, at least a pixel wide so that a single bar can be seen."""
    yield _title("Gaps: candles that did not come", panel)
    yield (
        f'<rect x="{LEFT}" y="{panel.top}" width="{WIDTH}" height="{panel.height}" fill="#f2f2f2"/>'
    )
    edges = np.flatnonzero(np.diff(filled, prepend=False, append=False))
    pixels = edges / len(filled) * WIDTH
    marks = "".join(
        f"M{LEFT + start:.2f} {panel.top:g}h{max(end - start, 1.0):.2f}v{panel.height:g}"
        f"H{LEFT + start:.2f}z"
        for start, end in zip(pixels[::2], pixels[1::2], strict=True)
    )
    yield f'<path d="{marks}" fill="{RED}"/>'


def _calendar(start: Int64, panels: dict[str, Panel]) -> Iterator[str]:
    """Lines through all panels at some first days of years or months, named below."""
    top = panels["price"].top
    bottom = panels["gaps"].top + panels["gaps"].height
    x, _ = _columns(len(start))
    for index, name in _dates(start):
        yield f'<path class="grid" d="M{x[index]:.1f} {top:g}V{bottom:g}"/>'
        yield f'<text x="{x[index]:.1f}" y="{bottom + 20:g}" text-anchor="middle">{name}</text>'


def _dates(start: Int64) -> list[tuple[int, str]]:
    """Days to name, about ten: first days of years, of months or any, by what the length allows."""
    moments = [datetime.fromtimestamp(moment / 1000, UTC) for moment in start.tolist()]
    years = [(i, f"{m:%Y}") for i, m in enumerate(moments) if (m.month, m.day) == (1, 1)]
    months = [(i, f"{m:%Y-%m}") for i, m in enumerate(moments) if m.day == 1]
    every = [(i, f"{m:%Y-%m-%d}") for i, m in enumerate(moments)]
    named = next((choice for choice in (years, months) if len(choice) >= 3), every)
    return named[:: max(1, -(-len(named) // 12))]


def _scale(panel: Panel, values: Float, names: list[str]) -> Iterator[str]:
    """Left axis: a line and a name for every value."""
    for y, name in zip(panel.y(values), names, strict=True):
        yield f'<path class="grid" d="M{LEFT} {y:.1f}h{WIDTH}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'


def _title(text: str, panel: Panel) -> str:
    return f'<text class="title" x="{LEFT}" y="{panel.top - 10:g}">{text}</text>'


def _columns(count: int) -> tuple[Float, float]:
    """Left edges of ``count`` equal columns, and their width."""
    width = WIDTH / count
    return LEFT + width * np.arange(count, dtype=np.float64), width


def _price_ticks(lowest: float, highest: float) -> Float:
    """Round prices between two logs: 1, 2 and 5 times powers of ten, or even steps if few of them.

    An absurd price may be among the candles, and must not take the picture of it away: over many
    powers only some of them are named, within what a float64 can hold.
    """
    if highest - lowest > 5.0:
        powers = np.arange(np.ceil(max(lowest, -307.0)), np.floor(min(highest, 308.0)) + 1)
        return np.asarray(10.0 ** powers[:: -(-len(powers) // 8)])
    powers = np.arange(np.floor(lowest), np.ceil(highest))
    prices = np.outer(10.0**powers, [1.0, 2.0, 5.0]).ravel()
    inside = (np.log10(prices) >= lowest) & (np.log10(prices) <= highest)
    if np.count_nonzero(inside) < 3:
        return _round_ticks(10.0**lowest, 10.0**highest)
    return np.asarray(prices[inside])


def _round_ticks(lowest: float, highest: float) -> Float:
    """Multiples of 1, 2 or 5 times a power of ten, three to seven of them."""
    power = 10.0 ** np.floor(np.log10((highest - lowest) / 3.0))
    step = power * max(m for m in (1.0, 2.0, 5.0) if m * power <= (highest - lowest) / 3.0)
    return np.asarray(step * np.arange(np.ceil(lowest / step), np.floor(highest / step) + 1))


def _figure(value: float) -> str:
    """Write a number on an axis: whole from 100 on, short where it would run out of the margin."""
    if value >= 1e9:
        return f"{value:.3g}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def _blank(values: Float, none: Bool) -> Float:
    """NaN on days without candles."""
    return np.where(none, np.nan, values)
