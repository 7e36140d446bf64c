"""Fetched candles on disk: one Parquet file a market, and what stretch of time it answers for.

A hole in the candles has two meanings: nobody asked, or the exchange had nothing. The file
therefore carries, in its own metadata, the spans that were asked and answered, so that candles and
spans are replaced together by one atomic rename and a killed fetch is resumed where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from filelock import FileLock

from gpu_engine.records import Float
from pipeline.errors import UserError
from pipeline.market_data.files import read_file
from pipeline.market_data.raw import COLUMNS, RawCandles

#: Half-open ``[start, end)`` of open times, milliseconds since the epoch, UTC.
Span = tuple[int, int]

#: What one request brought: rows of shape (n, 6) in the order of `COLUMNS`, and the span that they
#: answer.
Page = tuple[Float, Span]

SPANS_KEY = b"answered_spans"


@dataclass(frozen=True, eq=False)
class Stored:
    """Candles of one market by time, and the spans for which the exchange was asked.

    Attributes
    ----------
    candles : RawCandles
        Sorted, one row a time.
    answered : tuple of Span
        Sorted and disjoint. A time inside without a candle is one the exchange does not have.
    """

    candles: RawCandles
    answered: tuple[Span, ...]

    def missing(self, start: int, end: int) -> list[Span]:
        """Parts of ``[start, end)`` that were never answered, oldest first."""
        gaps = []
        for answered_start, answered_end in self.answered:
            if start < min(answered_start, end):
                gaps.append((start, min(answered_start, end)))
            start = max(start, answered_end)
        if start < end:
            gaps.append((start, end))
        return gaps

    def add(self, pages: Iterable[Page]) -> Stored:
        """With the pages' candles; a row of a time that is already here replaces the old one."""
        pages = list(pages)
        rows = np.concatenate([rows for rows, _ in pages])
        fetched = RawCandles(rows[:, 0].astype(np.int64), *rows[:, 1:].T)
        both = RawCandles(
            *(np.concatenate([getattr(fetched, c), getattr(self.candles, c)]) for c in COLUMNS)
        )
        _, first = np.unique(both.timestamp, return_index=True)
        return Stored(both.take(first), _united((*self.answered, *(span for _, span in pages))))

    def between(self, start: int, end: int) -> RawCandles:
        """Candles that open in ``[start, end)``."""
        timestamp = self.candles.timestamp
        return self.candles.take((timestamp >= start) & (timestamp < end))


EMPTY = Stored(RawCandles(np.empty(0, np.int64), *np.empty((5, 0))), ())


def candle_path(store_dir: Path, exchange: str, symbol: str, timeframe: str) -> Path:
    """``<store>/<exchange>/<BASE>_<QUOTE>/<timeframe>.parquet``."""
    pair = symbol.replace("/", "_").replace(":", "_")
    return Path(store_dir) / exchange / pair / f"{timeframe}.parquet"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the market's lock, so that of two runs one fetches and the other finds it done.

    Raises
    ------
    UserError
        If the folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"Candles cannot be kept in {path.parent}: {error.strerror or error}. "
            "Choose a folder that can be written to."
        ) from error
    try:
        yield
    finally:
        lock.release()


def load(path: Path, step_ms: int) -> Stored:
    """Read what the store has of a market; `EMPTY` when it has nothing."""
    if not path.exists():
        return EMPTY
    candles = read_file(path)
    spans = (pyarrow.parquet.read_schema(path).metadata or {}).get(SPANS_KEY)
    if spans is not None:
        return Stored(candles, tuple((start, end) for start, end in json.loads(spans)))
    # A file that somebody else put here answers for the time from its first to its last candle.
    whole = (int(candles.timestamp.min()), int(candles.timestamp.max()) + step_ms)
    return Stored(candles, (whole,))


def save(path: Path, stored: Stored) -> None:
    """Replace the file in one step: a reader or a kill sees the old one or the new one whole.

    Only for the holder of the market's lock.
    """
    table = pa.table({name: getattr(stored.candles, name) for name in COLUMNS})
    table = table.replace_schema_metadata({SPANS_KEY: json.dumps(stored.answered)})
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _united(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Unite spans that overlap or touch, oldest first."""
    united: list[Span] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return tuple(united)
