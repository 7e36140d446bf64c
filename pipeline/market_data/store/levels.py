"""Read stored candles at a level of detail: as they are, or joined into longer ones for a chart.

A longer candle opens at a multiple of its length from the epoch, so that a chart which moves or
refines finds those again that it has. It is made of what is stored, also where some are missing:
``bars`` says of how many.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

import numpy as np

from gpu_engine import DAY_MS, Int64
from pipeline.errors import ConflictError
from pipeline.market_data.raw import RawCandles, Span, concatenate, empty
from pipeline.market_data.resample import resampled
from pipeline.market_data.store.month import DamagedError, month_span, read_month, read_summary
from pipeline.market_data.store.store import month_files
from pipeline.market_data.timeframe import TIMEFRAMES, timeframe_name

#: Time before and after any candle.
_ALWAYS = ((0, 2**62),)


@dataclass(frozen=True, eq=False)
class Candlesticks:
    """Candles of one length by time; ``bars``, int64 (n,), of how many stored ones each is."""

    candles: RawCandles
    bars: Int64

    def __len__(self) -> int:
        return len(self.bars)


def level_for(span: Span, step: int, most: int) -> int:
    """Return the shortest length of candles, ms, of which at most ``most`` touch a span.

    Lengths are multiples of ``step``: timeframes, then days doubled again and again.
    """
    start, end = span
    for level in _levels(step):
        if -(-end // level) - start // level <= most:
            return level
    raise AssertionError("the last one begins at the epoch")


def _levels(step: int) -> Iterator[int]:
    yield from (length for length in TIMEFRAMES.values() if length % step == 0)
    days = 2
    while True:
        yield days * DAY_MS
        days *= 2


def level_name(level: int) -> str:
    """Name a length: a timeframe, or days such as ``4d``."""
    return timeframe_name(level) or f"{level // DAY_MS}d"


class StoredSeries:
    """The candles of a market's folder in ``[start, end)``, read a month at a time.

    Two are equal that read the same rows of the same files, which have not been written since.

    Raises
    ------
    ConflictError
        When a month is damaged; so do its methods.
    """

    def __init__(self, folder: Path, step: int, span: Span) -> None:
        self._step, (start, end) = step, span
        self._last: tuple[Path, RawCandles] = Path(), empty(RawCandles)
        self._files: list[Path] = []
        self._within: list[tuple[int, int]] = []  # rows of each month
        hashes, written = [], []
        for file in month_files(folder):
            first, after = month_span(file.stem)
            if not (first < end and start < after):
                continue
            summary = read_summary(file)
            if summary is None:
                raise _damaged(file, "its footer cannot be read")
            if summary.first is None or summary.last is None:
                continue
            if start <= summary.first and summary.last < end:
                rows = (0, summary.rows)
            else:
                low, high = np.searchsorted(_month(file).timestamp, (start, end))
                rows = int(low), int(high)
            self._files.append(file)
            self._within.append(rows)
            hashes.append(f"{rows} {summary.record.sha256}")
            now = file.stat()
            written.append((now.st_ino, now.st_size, now.st_mtime_ns))
        self._ends = list(accumulate((high - low for low, high in self._within), initial=0))
        self.tag = sha256(";".join((str(folder), *hashes)).encode()).hexdigest()[:32]
        self._same = (self.tag, *written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredSeries) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)

    def __len__(self) -> int:
        return self._ends[-1]

    def as_stored(self, first: int, after: int) -> Candlesticks:
        """Read rows ``first`` to ``after`` (not included) as they are."""
        parts = []
        for place, file in enumerate(self._files):
            begins, ends = self._ends[place], self._ends[place + 1]
            if begins < after and first < ends:
                low = self._within[place][0] - begins
                rows = slice(low + max(first, begins), low + min(after, ends))
                parts.append(self._month(file).take(rows))
        candles = concatenate(parts, RawCandles)
        return Candlesticks(candles, np.ones(len(candles), np.int64))

    def _month(self, file: Path) -> RawCandles:
        """Read a month; the last one is kept, of which the next rows may be."""
        name, candles = self._last
        if name != file:
            candles = _month(file)
            self._last = file, candles
        return candles

    def at(self, level: int) -> Candlesticks:
        """Join all of them to candles of ``level`` milliseconds, a multiple of their length.

        Those of days and longer are joined from days, which are kept: ten years are read once.
        """
        if level % DAY_MS or DAY_MS % self._step:
            return self._from_months(level)
        days = _days(self)
        return days if level == DAY_MS else _join(days.candles, days.bars, DAY_MS, level)

    def _from_months(self, level: int) -> Candlesticks:
        def join(file: Path, rows: tuple[int, int]) -> Candlesticks:
            return joined(_month(file).take(slice(*rows)), self._step, level)

        with ThreadPoolExecutor(2) as threads:
            parts = list(threads.map(join, self._files, self._within))
        return _join(
            concatenate([part.candles for part in parts], RawCandles),
            np.concatenate([np.empty(0, np.int64), *(part.bars for part in parts)]),
            self._step,
            level,
        )


@lru_cache(maxsize=8)  # ten years of days take 0.2 MB
def _days(series: StoredSeries) -> Candlesticks:
    return series._from_months(DAY_MS)


def joined(candles: RawCandles, step: int, level: int) -> Candlesticks:
    """Join candles of ``step`` milliseconds, sorted, to those of ``level``, a multiple of it."""
    return _join(candles, np.ones(len(candles), np.int64), step, level)


def _join(candles: RawCandles, bars: Int64, step: int, level: int) -> Candlesticks:
    """Join candles that lie in the same one of ``level``: months end within a long one."""
    if not len(candles):
        return Candlesticks(candles, bars)
    opens = candles.timestamp // level
    first = np.flatnonzero(np.diff(opens, prepend=-1))
    return Candlesticks(resampled(candles, step, level, _ALWAYS), np.add.reduceat(bars, first))


def _month(file: Path) -> RawCandles:
    try:
        return read_month(file, RawCandles)[0]
    except (DamagedError, OSError) as error:
        raise _damaged(file, str(error)) from None


def _damaged(file: Path, reason: str) -> ConflictError:
    return ConflictError(
        f"The stored candles of {file.stem} are damaged ({reason}): fetch this market again"
        " with scripts/fetch, which replaces them."
    )
