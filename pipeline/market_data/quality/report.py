"""Report the faults of candles, and refuse candles beyond the limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import ROUND_CEILING, Context
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.market_data.quality import measures
from pipeline.market_data.raw import RawCandles, contradictory
from pipeline.market_data.timeframe import utc

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class QualityReport:
    """Faults of one market's candles, as they were before the grid was made regular.

    Attributes
    ----------
    source : str
        Where the candles came from, as errors name it.
    rows : int
        Rows that came, duplicates included.
    first_bar, last_bar : int
        Open time of the first and the last bar, milliseconds since the epoch, UTC.
    gaps, longest_gap_bars : int
        Runs of missing candles, and the bars in the longest.
    filled, filled_share : int, float
        Filled bars, and their share of all bars of the grid.
    duplicates : int
        Rows equal to another row; dropped.
    out_of_order : int
        Rows that opened before the row above them; sorted.
    zero_volume_share, flat_share : float
        Share without volume, and with high = low, of the distinct candles that came (not of the
        filled).
    ohlc_violations : int
        Candles whose low and high do not enclose open and close; kept as they came.
    first_ohlc_violation : int or None
        Open time of the first of them.
    largest_gap_jump : float
        Largest ``|log(open after a gap / close before it)|``; 0 without gaps.
    longest_stale_hours : float
        Longest run of candles that bring no new price (`measures.longest_stale`).
    stale_since : int or None
        Open time of the first of them; None without such a run.
    outliers : int
        Candles too far from the median of those around them (`measures.outliers`).
    worst_deviation : float
        Of the candle furthest from it, in robust deviations of a day's log return.
    worst_deviation_at : int or None
        Its open time; None when no candle is away from its median.
    largest_volume_change : float
        Largest lasting change of the level of volume, new over old or its inverse, >= 1
        (`measures.largest_volume_change`).
    volume_change_since : int or None
        First millisecond of the day it begins with; None without a change.
    compared_with : str or None
        Other exchanges that the store has the pair of, of some of the same times
        (`measures.disagreement`); None, and the next three with it, without any.
    median_disagreement, largest_disagreement : float or None
        Of ``|log(own close / other close)|`` at the same times.
    largest_disagreement_at : int or None
        Open time of the largest.
    """

    source: str
    rows: int
    first_bar: int
    last_bar: int
    gaps: int
    longest_gap_bars: int
    filled: int
    filled_share: float
    duplicates: int
    out_of_order: int
    zero_volume_share: float
    flat_share: float
    ohlc_violations: int
    first_ohlc_violation: int | None
    largest_gap_jump: float
    longest_stale_hours: float
    stale_since: int | None
    outliers: int
    worst_deviation: float
    worst_deviation_at: int | None
    largest_volume_change: float
    volume_change_since: int | None
    compared_with: str | None = None
    median_disagreement: float | None = None
    largest_disagreement: float | None = None
    largest_disagreement_at: int | None = None

    def compare(self, own: RawCandles, others: Mapping[str, RawCandles]) -> QualityReport:
        """Add how far the closes are from those of ``others``, by exchange."""
        measured = measures.disagreement(own, others)
        if measured is None:
            return self
        return replace(
            self,
            compared_with=measured.compared_with,
            median_disagreement=measured.median,
            largest_disagreement=measured.largest,
            largest_disagreement_at=measured.largest_at,
        )

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return plain values by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class QualityLimits:
    """Largest allowed value of each figure of the report; None allows any.

    The defaults pass Binance's majors since 2017 (a 33 h outage in 2018 is the longest gap: 1,980
    candles of 1m) and stop Kraken's first years, where up to 13 % of the hours had no trade.
    Duplicates and disorder are repaired without loss, so they are limited only on request.
    `docs/quality.md` has the figures behind every limit; an exchange may have others
    (`conf/data/quality`).
    """

    filled_share: float | None = 0.02
    longest_gap_bars: int | None = 2_000
    largest_gap_jump: float | None = 0.3
    zero_volume_share: float | None = 0.05
    flat_share: float | None = 0.05
    ohlc_violations: int | None = 0
    duplicates: int | None = None
    out_of_order: int | None = None
    longest_stale_hours: float | None = 12.0
    outliers: int | None = 0
    largest_volume_change: float | None = 30.0
    median_disagreement: float | None = 0.01
    largest_disagreement: float | None = 0.3


def measure(
    candles: RawCandles, step_ms: int, duplicates: int, out_of_order: int, source: str
) -> QualityReport:
    """Report on sorted, distinct candles that lie on the grid of ``step_ms``."""
    violation = contradictory(candles)
    stale = measures.longest_stale(candles)
    outliers = measures.outliers(candles, step_ms)
    volume = measures.largest_volume_change(candles)
    missing = np.diff(candles.timestamp)
    missing //= step_ms
    missing -= 1
    before_gap = np.flatnonzero(missing)
    jumps = np.abs(np.log(candles.open[before_gap + 1] / candles.close[before_gap]))
    filled = int(missing.sum())
    return QualityReport(
        source=source,
        rows=len(candles) + duplicates,
        first_bar=int(candles.timestamp[0]),
        last_bar=int(candles.timestamp[-1]),
        gaps=len(before_gap),
        longest_gap_bars=int(missing.max(initial=0)),
        filled=filled,
        filled_share=filled / (len(candles) + filled),
        duplicates=duplicates,
        out_of_order=out_of_order,
        zero_volume_share=float(np.mean(candles.volume == 0.0)),
        flat_share=float(np.mean(candles.high == candles.low)),
        ohlc_violations=int(violation.sum()),
        first_ohlc_violation=(
            int(candles.timestamp[np.argmax(violation)]) if violation.any() else None
        ),
        largest_gap_jump=float(jumps.max(initial=0.0)),
        longest_stale_hours=stale.candles * step_ms / HOUR_MS,
        stale_since=stale.since,
        outliers=outliers.bars,
        worst_deviation=outliers.worst,
        worst_deviation_at=outliers.worst_at,
        largest_volume_change=volume.ratio,
        volume_change_since=volume.since,
    )


def as_table(report: QualityReport) -> tuple[str, tuple[str, str], tuple[tuple[str, Any], ...]]:
    """Return the title, the header and the rows that show a report to a person."""
    return (
        f"Candles: {report.source}",
        ("quality", "value"),
        (
            ("first bar", utc(report.first_bar)),
            ("last bar", utc(report.last_bar)),
            ("rows", f"{report.rows:,}"),
            ("gaps, longest", f"{report.gaps}, {report.longest_gap_bars} bars"),
            ("filled", f"{report.filled:,} ({_percent(report.filled_share)})"),
            ("duplicates, out of order", f"{report.duplicates}, {report.out_of_order}"),
            ("zero volume", _percent(report.zero_volume_share)),
            ("flat", _percent(report.flat_share)),
            ("OHLC violations", report.ohlc_violations),
            ("largest jump across a gap", _percent(report.largest_gap_jump)),
            (
                "longest without a new price",
                _at(_stale(report.longest_stale_hours), report.stale_since),
            ),
            ("outliers", report.outliers),
            (
                "furthest from the bars around",
                _at(f"{report.worst_deviation:.3g} daily deviations", report.worst_deviation_at),
            ),
            (
                "largest change of volume",
                _at(f"{report.largest_volume_change:.3g} times", report.volume_change_since),
            ),
            *_against_others(report),
        ),
    )


def _against_others(report: QualityReport) -> list[tuple[str, str]]:
    """Rows on the other exchanges of the store; none where it has none."""
    if report.median_disagreement is None or report.largest_disagreement is None:
        return []
    largest = _at(_percent(report.largest_disagreement), report.largest_disagreement_at)
    return [
        (f"closes against {report.compared_with}, median", _percent(report.median_disagreement)),
        ("the same, largest", largest),
    ]


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _stale(hours: float) -> str:
    return f"{hours:.3g} h" if hours < 48 else f"{hours / 24:,.1f} days"


def _at(figure: str, timestamp: int | None) -> str:
    """Add to a figure when it was."""
    return figure if timestamp is None else f"{figure}, {utc(timestamp)}"


def check(report: QualityReport, limits: QualityLimits) -> None:
    """Refuse candles that are worse than the limits allow.

    Raises
    ------
    UserError
        If a value of the report is above its limit; every such limit is named.
    """
    breaches = [
        f"data.quality.{name} allows {limit:g}, found {value:.6g}{_whereabouts(report, name)}"
        for name, value, limit in _breaches(report, limits)
    ]
    if breaches:
        raise UserError(
            f"{report.source}: the candles are worse than allowed: {'; '.join(breaches)}. "
            "Use better candles or another range, or raise the limit if you mean it."
        )


def _breaches(report: QualityReport, limits: QualityLimits) -> list[tuple[str, float, float]]:
    """Return the figures above their limits: name, value and limit."""
    every = [(f.name, getattr(report, f.name), getattr(limits, f.name)) for f in fields(limits)]
    return [
        (name, value, limit)
        for name, value, limit in every
        if limit is not None and value is not None and value > limit
    ]


def in_short(report: QualityReport, limits: QualityLimits, most: int = 1) -> str:
    """Return ``ok``, or ``outliers 3 (limit 0)``: the figures that are the most times their limit.

    At most so many; the others are counted. What is shown is a limit that would let them through.
    """
    breaches = _breaches(report, limits)
    breaches.sort(key=lambda b: b[1] / b[2] if b[2] else np.inf, reverse=True)
    named = [f"{name} {_up(value)} (limit {limit:g})" for name, value, limit in breaches[:most]]
    more = [f"{len(breaches) - most} more"] if len(breaches) > most else []
    return ", ".join(named + more) or "ok"


def _up(value: float) -> str:
    """Write a figure rounded up to three digits; a count as it is."""
    if isinstance(value, int):
        return f"{value:,}"
    rounded = Context(prec=3, rounding=ROUND_CEILING).create_decimal(repr(float(value)))
    return f"{float(rounded):,.6g}"


def as_row(report: QualityReport, limits: QualityLimits) -> tuple[str, str, str, str, str]:
    """Return a report as a row: candles, first and last bar, missing candles, and `in_short`."""
    first, last = (utc(bar).removesuffix(" UTC") for bar in (report.first_bar, report.last_bar))
    rows, filled = f"{report.rows:,}", f"{report.filled:,}"
    return rows, first, last, filled, in_short(report, limits)


def _whereabouts(report: QualityReport, limited: str) -> str:
    """Say in brackets when a fault occurs, for the faults that have a time."""
    places = {
        "ohlc_violations": ("the first at", report.first_ohlc_violation),
        "longest_stale_hours": ("from", report.stale_since),
        "outliers": ("the worst at", report.worst_deviation_at),
        "largest_volume_change": ("from", report.volume_change_since),
        "largest_disagreement": (f"with {report.compared_with} at", report.largest_disagreement_at),
    }
    words, timestamp = places.get(limited, ("", None))
    return "" if timestamp is None else f" ({words} {utc(timestamp)})"
