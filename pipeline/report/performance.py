"""Break a record down by month, and its trades by how long they were held and how far they ran.

Tables are written figures (`RecordTable`); the reckoning is in functions of its own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import END, TARGET, TIME, Bool, Candles, Float, Int32, Int64
from pipeline.market_data.raw import RawCandles, came
from pipeline.report.theme import GAIN, LOSS, OUT_OF_SAMPLE, Figure, figure
from pipeline.results.artifacts.artifact_set import DailySeries
from pipeline.validation.record_tables import RecordTable
from pipeline.validation.wording import duration, percent, share

Trades = NDArray[np.void]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Bars of the figure of holding times at most.
_BINS = 40


def monthly_returns(day: Int32, returns: Float) -> dict[int, Float]:
    """Compound daily returns by calendar month (UTC): ``prod(1 + r) - 1``.

    Parameters
    ----------
    day, returns : int32 and float64 arrays of shape (D,)
        Days since the epoch, ascending, and their returns.

    Returns
    -------
    dict of int to float64 array of shape (12,)
        By year; NaN for a month without a day. A month in part is that of its days.
    """
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    present, first = np.unique(month, return_index=True)
    grown = np.multiply.reduceat(1.0 + returns, first) - 1.0 if len(first) else returns
    years = {1970 + int(y): np.full(12, np.nan) for y in np.unique(present // 12)}
    for number, value in zip(present.tolist(), grown, strict=True):
        years[1970 + number // 12][number % 12] = value
    return years


def compounded(returns: Float) -> float:
    """Return what several returns come to one after the other; NaN counts as none."""
    return float(np.prod(1.0 + returns[~np.isnan(returns)]) - 1.0)


def month_table(series: DailySeries) -> RecordTable:
    """Lay out the months of a series by year, and below each year those of holding the market."""
    rows = []
    kinds = {"": series.returns, " holding": series.hold}
    years = {
        kind: monthly_returns(series.day, returns)
        for kind, returns in kinds.items()
        if returns is not None
    }
    for year in years[""]:
        for kind, months in years.items():
            cells = ["" if np.isnan(value) else percent(value) for value in months[year]]
            rows.append((f"{year}{kind}", *cells, percent(compounded(months[year]))))
    title = (
        "Net return by month (UTC), marked to market; the days of a month compound, and so do the"
        " months of a year. Months in part are those of their days"
    )
    return RecordTable(title, ("year", *MONTHS, "year"), rows)


def holding_bars(trades: Trades) -> Int64:
    """Count the bars in which each trade was open: ``exit_bar - entry_bar + 1``, shape (t,)."""
    held: Int64 = trades["exit_bar"].astype(np.int64) - trades["entry_bar"] + 1
    return held


def holding_table(trades: Trades, step: int) -> RecordTable:
    """Lay out how long trades were held; ``step`` is the length of a bar, ms."""
    held = holding_bars(trades)

    def written(bars: float) -> str:
        return f"{bars:,.4g} ({duration(bars * step / 1000.0)})"

    kinds: tuple[Callable[[Float], Any], ...] = (np.min, np.median, np.mean, np.max)
    rows = [
        (name, f"{len(some):,}", *(written(float(kind(some))) for kind in kinds))
        for name, some in _parts(trades, held)
    ]
    title = "Holding time in bars, from the entry bar to the exit bar, both included"
    return RecordTable(title, ("trades", "number", "shortest", "median", "mean", "longest"), rows)


class Excursions(NamedTuple):
    """How far each trade ran against itself and in its favour, float64 of shape (t,).

    Fractions of the entry price, 0 or more, before fees and funding.
    """

    adverse: Float
    favourable: Float


def excursions(candles: RawCandles, trades: Trades, opens: int, step: int) -> Excursions:
    """Reckon the maximum adverse and favourable excursion (MAE, MFE) of trades.

    For a long ``MAE = (entry - lowest) / entry`` and ``MFE = (highest - entry) / entry``, for a
    short the other way round. The lowest and the highest price are those that the position met,
    as far as candles tell (Sweeney, Maximum Adverse Excursion, 1997):

    - the low and the high of every bar before the exit bar, the entry bar included, for the entry
      is at its open (fills rules §6.2);
    - the fill of the exit, after slippage;
    - of the exit bar both extremes where the trade left at its close (exits rules §5.6, §5.7); the
      adverse one where it left at its target, for it may have come before; neither where it left at
      the open or at a stop, which counts as the first of the two (exits rules §5.9).

    Parameters
    ----------
    candles : RawCandles
        By time, of length ``step``; one that is missing had no price of its own.
    trades : TRADE array of shape (t,)
    opens, step : int
        Open of the trades' bar 0 and length of a bar, ms.
    """
    side = trades["side"].astype(np.float64)
    entered = opens + trades["entry_bar"].astype(np.int64) * step
    left = opens + trades["exit_bar"].astype(np.int64) * step
    first, last = (np.searchsorted(candles.timestamp, moment) for moment in (entered, left))
    came = np.append(candles.timestamp, -1)[last] == left
    at_close = np.isin(trades["reason"], (TIME, END)) & came
    at_target = (trades["reason"] == TARGET) & came
    long = side > 0
    lowest = _extreme(
        np.minimum, candles.low, first, last, trades["exit"], at_close | (at_target & long)
    )
    highest = _extreme(
        np.maximum, candles.high, first, last, trades["exit"], at_close | (at_target & ~long)
    )
    entry = trades["entry"]
    adverse = np.where(long, entry - lowest, highest - entry) / entry
    favourable = np.where(long, highest - entry, entry - lowest) / entry
    return Excursions(np.maximum(adverse, 0.0), np.maximum(favourable, 0.0))


def excursions_of(candles: Candles, trades: Trades) -> Excursions:
    """Reckon the excursions of trades whose bars index ``candles``."""
    return excursions(came(candles), trades, int(candles.timestamp[0]), candles.step_ms)


def _extreme(
    extreme: np.ufunc, prices: Float, first: Int64, last: Int64, fill: Float, exit_bar: Bool
) -> Float:
    """Return the extreme of rows ``[first, last)``, of the fill, and of the exit bar where told."""
    padded = np.append(prices, np.nan)
    bounds = np.column_stack((first, last)).ravel()
    before = extreme.reduceat(padded, bounds)[::2] if len(bounds) else np.empty(0)
    result = np.where(first < last, extreme(before, fill), fill)
    return np.where(exit_bar, extreme(result, padded[last]), result)


def excursion_table(trades: Trades, ran: Excursions) -> RecordTable:
    """Lay out excursions: of all trades, of those that gained and of those that lost."""
    rows = []
    adverse, favourable = (_parts(trades, values) for values in ran)
    for (name, against), (_, with_it) in zip(adverse, favourable, strict=True):
        figures = [
            share(float(kind(values)))
            for values in (against, with_it)
            for kind in (np.median, np.max)
        ]
        rows.append((name, f"{len(against):,}", *figures))
    title = (
        "How far trades ran against themselves (MAE) and in their favour (MFE), from the lows and"
        " highs of the candles between entry and exit, as a share of the entry price, before fees"
    )
    columns = ("trades", "number", "MAE, median", "MAE, largest", "MFE, median", "MFE, largest")
    return RecordTable(title, columns, rows)


def excursion_figure(trades: Trades, ran: Excursions) -> Figure:
    """Draw each trade's MAE against its MFE."""
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": (100.0 * ran.adverse[part]).tolist(),
            "y": (100.0 * ran.favourable[part]).tolist(),
            "text": [f"trade {number:,}" for number in np.flatnonzero(part) + 1],
            "marker": {"color": color, "symbol": symbol, "size": 7, "opacity": 0.75},
            "hovertemplate": "%{text}: against it %{x:.2f} %, for it %{y:.2f} %<extra></extra>",
        }
        for name, part, color, symbol in (
            ("gained", trades["ret"] > 0.0, GAIN, "circle"),
            ("lost", ~(trades["ret"] > 0.0), LOSS, "x"),
        )
    ]
    axis = {"ticksuffix": " %", "rangemode": "tozero"}
    return figure(
        data,
        xaxis={**axis, "title": {"text": "against it (MAE), % of the entry price"}},
        yaxis={**axis, "title": {"text": "for it (MFE), % of the entry price"}},
    )


def holding_figure(trades: Trades) -> Figure:
    """Draw how many trades were held how long."""
    held = holding_bars(trades)
    width = max(1, -(-int(held.max()) // _BINS))
    edges = np.arange(1, int(held.max()) + width + 1, width)
    counts = np.histogram(held, edges)[0]
    spans = [
        f"{first:,}" if width == 1 else f"{first:,} to {first + width - 1:,}"
        for first in edges[:-1].tolist()
    ]
    bars = {
        "type": "bar",
        "name": "trades",
        "x": (edges[:-1] + (width - 1) / 2).tolist(),
        "y": counts.tolist(),
        "width": 0.9 * width,
        "text": spans,
        "textposition": "none",
        "marker": {"color": OUT_OF_SAMPLE},
        "hovertemplate": "%{text} bars: %{y:,} trades<extra></extra>",
    }
    return figure(
        [bars],
        xaxis={"title": {"text": "holding time, bars"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "trades"}},
    )


def _parts(trades: Trades, values: Float | Int64) -> list[tuple[str, Float]]:
    """Return the values of all trades, of those that gained and of the others, if there are any."""
    gained, values = trades["ret"] > 0.0, values.astype(np.float64)
    parts = {"all": values, "gained": values[gained], "lost": values[~gained]}
    return [(name, part) for name, part in parts.items() if len(part)]
