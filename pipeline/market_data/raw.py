"""Hold rows of candles or of funding as they arrive, and the spans of time they answer for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

import numpy as np

from gpu_engine import Bool, Candles, Float, Int64
from pipeline.errors import UserError
from pipeline.market_data.timeframe import utc

#: Half-open ``[start, end)`` of open times, milliseconds since the epoch, UTC.
Span = tuple[int, int]

PRICES = ("open", "high", "low", "close")
COLUMNS = ("timestamp", *PRICES, "volume")
#: No price and no volume of a candle is larger; figures of many such candles stay finite.
LARGEST = 1e30

#: Milliseconds lie in this range from 1973 to 5138; seconds, micro- and nanoseconds of any
#: market's history do not, so the magnitude alone tells the unit.
MILLISECONDS_FROM, MILLISECONDS_TO = 10**11, 10**14
NANOSECONDS_FROM = 10**17

#: Fewer are no seconds since the epoch of any market's history: that is 1973.
SECONDS_FROM = 10**8


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows in the order in which they arrived: unsorted, with gaps and duplicates.

    Attributes
    ----------
    timestamp : int64 array of shape (n,)
        Milliseconds since the epoch, UTC. The other ``COLUMNS`` are float64 of the same shape.
    """

    timestamp: Int64

    COLUMNS: ClassVar[tuple[str, ...]] = ("timestamp",)

    def __len__(self) -> int:
        return len(self.timestamp)

    @classmethod
    def of(cls, table: Float) -> Self:
        """Make rows of a table of shape (n, columns)."""
        return cls(table[:, 0].astype(np.int64), *table[:, 1:].T)

    def take(self, rows: Int64 | Bool | slice) -> Self:
        """Select rows by index, by mask or by slice; the same arrays where a mask takes all."""
        if not isinstance(rows, slice) and rows.dtype == np.bool_ and rows.all():
            return self
        return type(self)(*(getattr(self, name)[rows] for name in self.COLUMNS))


@dataclass(frozen=True, eq=False)
class RawCandles(Rows):
    """Rows of candles; ``timestamp`` is the open time.

    Attributes
    ----------
    open, high, low, close : float64 arrays of shape (n,)
        Prices in the quote currency.
    volume : float64 array of shape (n,)
        In the base currency.
    """

    open: Float
    high: Float
    low: Float
    close: Float
    volume: Float

    COLUMNS = COLUMNS


def came(candles: Candles, rows: slice = slice(None)) -> RawCandles:
    """Return the candles that came among some rows of a grid; a filled one is none."""
    kept = ~candles.filled[rows]
    return RawCandles(*(getattr(candles, name)[rows][kept] for name in COLUMNS))


@dataclass(frozen=True, eq=False)
class RawFunding(Rows):
    """Payments of a perpetual contract; ``rate`` is a fraction of the notional, paid by longs."""

    rate: Float

    COLUMNS = ("timestamp", "rate")


R = TypeVar("R", bound=Rows)


def empty(kind: type[R]) -> R:
    """Return no rows of a kind."""
    return kind.of(np.empty((0, len(kind.COLUMNS))))


def concatenate(parts: Sequence[R], kind: type[R]) -> R:
    """Join the rows of all parts, one part after the other; a single one is not copied."""
    parts = [part for part in parts if len(part)] or [empty(kind)]
    if len(parts) == 1:
        return parts[0]
    return kind(*(np.concatenate([getattr(p, name) for p in parts]) for name in kind.COLUMNS))


def ascend(times: Int64) -> bool:
    """Tell whether each time is later than the one before."""
    return bool((times[1:] > times[:-1]).all())


def first_of_each(raw: R) -> R:
    """Sort rows by time; of rows of one time the first counts."""
    if ascend(raw.timestamp):
        return raw
    return raw.take(np.unique(raw.timestamp, return_index=True)[1])


def united(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Unite spans that overlap or touch, oldest first; empty ones are left out."""
    whole: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        else:
            whole.append((start, end))
    return tuple(whole)


def uncovered(span: Span, cover: Sequence[Span]) -> list[Span]:
    """Return the parts of ``span`` that no span of the sorted ``cover`` holds, oldest first."""
    start, end = span
    parts = []
    for cover_start, cover_end in cover:
        if start < min(cover_start, end):
            parts.append((start, min(cover_start, end)))
        start = max(start, cover_end)
    if start < end:
        parts.append((start, end))
    return parts


def within(time: Int64, spans: Iterable[Span]) -> Bool:
    """Tell which of the times lie in any of the spans; bool of shape (n,)."""
    inside = np.zeros(len(time), np.bool_)
    for start, end in spans:
        inside |= (time >= start) & (time < end)
    return inside


def among(times: Int64, others: Int64) -> Bool:
    """Tell which of the times are among the sorted ``others``; bool of shape (n,)."""
    if not len(others):
        return np.zeros(len(times), np.bool_)
    nearest = np.minimum(np.searchsorted(others, times), len(others) - 1)
    present: Bool = others[nearest] == times
    return present


def clipped(spans: Iterable[Span], to: Span) -> tuple[Span, ...]:
    """Cut the spans to the parts that lie in ``to``."""
    cut = ((max(start, to[0]), min(end, to[1])) for start, end in spans)
    return tuple((start, end) for start, end in cut if start < end)


def check_rows(raw: RawCandles, source: str, above: int | None = None) -> None:
    """Refuse rows that no candle can be; ``above`` are the lines above them in a text file.

    Raises
    ------
    UserError
        If there are no rows, a time is not in milliseconds, a number is not finite or above
        `LARGEST`, a price is not positive, a high is below its low or a volume is negative. The
        error names the first such row.
    """
    if len(raw) == 0:
        raise UserError(f"{source} has no rows: there is nothing to train on.")
    _check_milliseconds(raw.timestamp, source)
    for name in (*PRICES, "volume"):
        column = getattr(raw, name)
        _refuse(raw, name, ~np.isfinite(column), "must be a finite number", source, above)
        _refuse(raw, name, column > LARGEST, f"must be at most {LARGEST:g}", source, above)
        if name == "volume":
            _refuse(raw, name, column < 0.0, "must not be negative", source, above)
        else:
            _refuse(raw, name, column <= 0.0, "must be above 0", source, above)
    _refuse(raw, "high", raw.high < raw.low, "must not be below low", source, above)


def contradictory(raw: RawCandles) -> Bool:
    """Mark candles whose low is above, or whose high is below, one of the other prices."""
    violation: Bool = raw.high < np.maximum(raw.open, raw.close)
    violation |= raw.low > np.minimum(raw.open, raw.close)
    return violation


def _refuse(
    raw: RawCandles, name: str, bad: Bool, rule: str, source: str, above: int | None
) -> None:
    if not bad.any():
        return
    row = int(np.argmax(bad))
    more = int(bad.sum()) - 1
    place = f"row {row + 1}" if above is None else f"line {above + row + 1} of the file"
    raise UserError(
        f"{source}: {name} is {getattr(raw, name)[row]:g} at {utc(int(raw.timestamp[row]))} "
        f"({place}{f', and {more} more' if more else ''}); it {rule}. "
        "Mend or remove such rows; a missing candle is filled, a wrong one is not."
    )


def _check_milliseconds(timestamp: Int64, source: str) -> None:
    bad = (timestamp < MILLISECONDS_FROM) | (timestamp >= MILLISECONDS_TO)
    if not bad.any():
        return
    row = int(np.argmax(bad))
    value = int(timestamp[row])
    if value < SECONDS_FROM:
        raise UserError(
            f"{source}: row {row + 1} has the open time {value}, which is before 1973 in seconds"
            " and milliseconds alike: that column counts something else, such as rows. Name the"
            " column of the open times timestamp, and give this one another name."
        )
    if value < MILLISECONDS_FROM:
        unit, remedy = "seconds", "multiply by 1,000"
    elif value < NANOSECONDS_FROM:
        unit, remedy = "microseconds", "divide by 1,000"
    else:
        unit, remedy = "nanoseconds", "divide by 1,000,000"
    raise UserError(
        f"{source}: timestamps must be milliseconds since the epoch; row {row + 1} has {value}, "
        f"which looks like {unit}: {remedy}."
    )
