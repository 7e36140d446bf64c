"""List what the store holds: markets, their spans, holes and sizes, from the footers of the files.

The quality of a market takes all of its candles. Every fetch and import measures it, or else who
asks for it. It is kept beside the months with the hash of what it was measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.market_data.quality.report import QualityLimits, QualityReport, in_short, measure
from pipeline.market_data.raw import RawCandles, Span, clipped, uncovered, united
from pipeline.market_data.store.month import (
    MonthSummary,
    month_span,
    read_sealed,
    read_summary,
    write_sealed,
)
from pipeline.market_data.store.store import month_files, read_without_lock
from pipeline.market_data.timeframe import TIMEFRAMES

#: Holds a market's quality report, and the hash of the months that it is about.
QUALITY = "_quality.json"

#: The folder of a perpetual's funding, beside those of its timeframes.
FUNDING = "funding"


@dataclass(frozen=True)
class StoredMonth:
    """A month of a market.

    Attributes
    ----------
    name : str
        Such as ``2023-01``.
    candles : int
    missing : int
        Candles that the exchange does not have: bars of answered time without one.
    bytes : int
        Of its file.
    sources : tuple of str
        Where its candles came from.
    written : str
        When its file was written, ISO 8601, UTC.
    """

    name: str
    candles: int
    missing: int
    bytes: int
    sources: tuple[str, ...]
    written: str


@dataclass(frozen=True)
class StoredFunding:
    """Funding payments of a perpetual; times in milliseconds since the epoch, UTC."""

    payments: int
    first: int
    last: int


@dataclass(frozen=True)
class StoredMarket:
    """What the store holds of a market in one timeframe.

    Attributes
    ----------
    exchange, pair, timeframe : str
        As ccxt names them, such as ``binanceusdm``, ``BTC/USDT:USDT`` and ``5m``.
    candles : int
    first, last : int or None
        Open times, milliseconds since the epoch, UTC; None without candles.
    missing : int
        Bars between the two that the exchange does not have.
    unasked : int
        Bars between the two for which nobody has asked, or was answered.
    holes : tuple of Span
        The time of those bars.
    bytes : int
    sources : tuple of str
    months : tuple of StoredMonth
    damaged : tuple of str
        Names of files that are no whole months.
    funding : StoredFunding or None
    quality : QualityReport or None
        None where it has not been measured since the candles changed.
    measured : str or None
        When the quality was measured, ISO 8601, UTC.
    """

    exchange: str
    pair: str
    timeframe: str
    candles: int
    first: int | None
    last: int | None
    missing: int
    unasked: int
    holes: tuple[Span, ...]
    bytes: int
    sources: tuple[str, ...]
    months: tuple[StoredMonth, ...]
    damaged: tuple[str, ...]
    funding: StoredFunding | None
    quality: QualityReport | None
    measured: str | None
    folder: Path

    @property
    def id(self) -> str:
        """The market in one word: ``binance:BTC/USDT:5m``."""
        return market_id(*self.folder.parts[-3:])

    @property
    def coverage(self) -> float | None:
        """Share of the bars from the first to the last candle that are there; None without any."""
        bars = self.candles + self.missing + self.unasked
        return self.candles / bars if bars else None


def figures(market: StoredMarket) -> dict[str, Any]:
    """Return the figures of a market by name, ready for JSON, without its months."""
    return {
        "id": market.id,
        "exchange": market.exchange,
        "pair": market.pair,
        "timeframe": market.timeframe,
        "candles": market.candles,
        "first": _iso(market.first),
        "last": _iso(market.last),
        "coverage": market.coverage,
        "missing": market.missing,
        "unasked": market.unasked,
        "holes": [[_iso(start), _iso(end)] for start, end in market.holes],
        "bytes": market.bytes,
        "sources": list(market.sources),
        "damaged": list(market.damaged),
        "funding": market.funding
        and {
            "payments": market.funding.payments,
            "first": _iso(market.funding.first),
            "last": _iso(market.funding.last),
        },
        "quality": market.quality and in_short(market.quality, QualityLimits()),
        "quality_at": market.measured,
    }


def _iso(time: int | None) -> str | None:
    """Write a time as ISO 8601, UTC."""
    return None if time is None else datetime.fromtimestamp(time / 1000, UTC).isoformat()


def stored_markets(store_dir: Path) -> list[StoredMarket]:
    """List the markets of a store by exchange, pair and length of a candle."""
    return [stored_market(folder) for folder in market_folders(store_dir).values()]


def market_folders(store_dir: Path) -> dict[str, Path]:
    """Return the folder of every market of a store by its id, in the order of `stored_markets`."""
    folders = [
        folder
        for folder in store_dir.glob("*/*/*")
        if folder.name in TIMEFRAMES and month_files(folder)
    ]
    folders.sort(key=lambda f: (f.parts[-3], f.parts[-2], TIMEFRAMES[f.name]))
    return {market_id(*folder.parts[-3:]): folder for folder in folders}


def market_id(exchange: str, folder: str, timeframe: str) -> str:
    """Return a market in one word, ``binance:BTC/USDT:5m``, by the names of its folders."""
    return ":".join((exchange, _pair(folder), timeframe))


def stored_market(folder: Path) -> StoredMarket:
    """Describe the market of a folder (`pipeline.market_data.store.store.candle_path`)."""
    step = TIMEFRAMES[folder.name]
    files = month_files(folder)
    summaries = {file: read_summary(file) for file in files}
    whole = {file: summary for file, summary in summaries.items() if summary is not None}
    times = [time for s in whole.values() for time in (s.first, s.last) if time is not None]
    first, last = min(times, default=None), max(times, default=None)
    span = (0, 0) if first is None or last is None else (first, last + step)
    answered = united(part for s in whole.values() for part in s.record.answered)
    holes = tuple(uncovered(span, answered))
    unasked = _bars(holes, step)
    candles = sum(summary.rows for summary in whole.values())
    months = tuple(_month(file, summary, span, step) for file, summary in whole.items())
    quality, measured = _known_quality(folder, list(whole.values())) or (None, None)
    return StoredMarket(
        exchange=folder.parts[-3],
        pair=_pair(folder.parts[-2]),
        timeframe=folder.name,
        candles=candles,
        first=first,
        last=last,
        missing=_bars([span], step) - unasked - candles,
        unasked=unasked,
        holes=holes,
        bytes=sum(file.stat().st_size for file in files),
        sources=tuple(dict.fromkeys(s for m in whole.values() for s in m.record.sources)),
        months=months,
        damaged=tuple(file.name for file, summary in summaries.items() if summary is None),
        funding=_funding(folder.with_name(FUNDING)),
        quality=quality,
        measured=measured,
        folder=folder,
    )


def _month(file: Path, summary: MonthSummary, span: Span, step: int) -> StoredMonth:
    answered = clipped(clipped(summary.record.answered, span), month_span(file.stem))
    return StoredMonth(
        name=file.stem,
        candles=summary.rows,
        missing=_bars(answered, step) - summary.rows,
        bytes=file.stat().st_size,
        sources=summary.record.sources,
        written=summary.record.fetched_at,
    )


def _bars(spans: Sequence[Span], step: int) -> int:
    return sum(end - start for start, end in spans) // step


def _pair(folder: str) -> str:
    """Return the pair of a market's folder: ``BTC_USDT_USDT`` is ``BTC/USDT:USDT``."""
    base, _, rest = folder.partition("_")
    quote, _, settle = rest.partition("_")
    return f"{base}/{quote}:{settle}" if settle else f"{base}/{quote}"


def _funding(folder: Path) -> StoredFunding | None:
    summaries = [s for file in month_files(folder) if (s := read_summary(file)) is not None]
    times = [time for s in summaries for time in (s.first, s.last) if time is not None]
    if not times:
        return None
    return StoredFunding(sum(s.rows for s in summaries), min(times), max(times))


def _content(summaries: Sequence[MonthSummary]) -> str:
    """SHA-256 of the hashes of all months: other candles have another one."""
    return sha256("".join(s.record.sha256 for s in summaries if s.rows).encode()).hexdigest()


def _known_quality(
    folder: Path, summaries: Sequence[MonthSummary]
) -> tuple[QualityReport, str] | None:
    """Return the quality that is kept of just these months, and when it was measured."""
    try:
        kept = read_sealed(folder / QUALITY)
        report, rows = QualityReport(**kept["report"]), sum(s.rows for s in summaries)
        if (kept["content"], report.rows) == (_content(summaries), rows):  # no month was left out
            return report, kept["measured"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # it is measured once more
    return None


def with_quality(market: StoredMarket) -> StoredMarket:
    """Return a market with its quality, which is measured unless it is known."""
    if market.quality:
        return market
    return replace(market, quality=measured_quality(market.folder), measured=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def measured_quality(folder: Path) -> QualityReport | None:
    """Return the quality of all candles of a market's folder, and keep it where it may be kept.

    None where there are fewer than two candles.
    """
    summaries = [s for file in month_files(folder) if (s := read_summary(file)) is not None]
    known = _known_quality(folder, summaries)
    if known is not None:
        return known[0]
    candles = read_without_lock(folder, 0, 2**62, RawCandles)
    if len(candles) < 2:
        return None
    source = market_id(*folder.parts[-3:])
    report = measure(candles, TIMEFRAMES[folder.name], 0, 0, source)
    with suppress(OSError, UserError):  # a store that may only be read
        kept = {"content": _content(summaries), "measured": _now(), "report": asdict(report)}
        write_sealed(folder / QUALITY, kept)
    return report
