"""Candles that somebody else downloaded: archives of exchanges, freqtrade's files, plain tables.

What exchanges publish reaches further back than what their servers answer, Kraken's above all. A
file names its market only in its name, so names are held against the market, and the rows against
each other: of two files that disagree neither is taken.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gpu_engine.records import DAY_MS, Int64
from pipeline.errors import UserError
from pipeline.market_data.files.archives import Member, members
from pipeline.market_data.files.klines import published_layout, read_klines
from pipeline.market_data.files.reading import read_candles
from pipeline.market_data.grid import check_times
from pipeline.market_data.names import told
from pipeline.market_data.raw import COLUMNS, RawCandles, check_rows
from pipeline.market_data.spans import Span, uncovered, united
from pipeline.market_data.timeframe import timeframe_ms, utc

#: Of a longer hole in a file that somebody exported nobody can tell a time without trades from one
#: that was never downloaded. An exchange's own archive speaks for its holes, however long.
LONGEST_OWN_HOLE_MS = DAY_MS


def closed(raw: RawCandles, step: int, now: int, written: int) -> RawCandles:
    """Leave out candles that have not closed, or were still forming when the file was written.

    Parameters
    ----------
    raw : RawCandles
        In any order.
    step : int
        Length of a candle, milliseconds.
    now, written : int
        Moments, milliseconds since the epoch, UTC. A file that is older than candles in it was
        given its time by something else: only the candle around ``written`` is doubted.
    """
    ends = raw.timestamp + step
    forming = (raw.timestamp <= written) & (written < ends)
    return raw.take((ends <= now) & ~forming)


def spoken_for(timestamp: Int64, step: int, published: bool) -> tuple[Span, ...]:
    """Time for which the candles of one file are all there are.

    Parameters
    ----------
    timestamp : int64 array of shape (n,), n > 0
        Open times, sorted, milliseconds since the epoch, UTC.
    step : int
        Length of a candle, milliseconds.
    published : bool
        Whether it is an exchange's own archive.
    """
    longest = np.inf if published else LONGEST_OWN_HOLE_MS
    ends = np.flatnonzero(np.diff(timestamp) - step > longest)
    starts = np.concatenate([[0], ends + 1])
    ends = np.concatenate([ends, [len(timestamp) - 1]])
    return tuple(
        (int(timestamp[start]), int(timestamp[end]) + step)
        for start, end in zip(starts, ends, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Imported:
    """Candles of one market, and what a person should know about how they were found.

    Attributes
    ----------
    raw : RawCandles
        Sorted, one row a time, every row a possible candle; gaps are left as they are.
    source : str
        What they were read from, for the records of the store.
    notes : tuple of str
        Sentences: what was left out.
    answered : tuple of Span
        The time for which the files speak (`pipeline.market_data.files.importers`).
    """

    raw: RawCandles
    source: str
    notes: tuple[str, ...]
    answered: tuple[Span, ...]


class _Table(NamedTuple):
    """The candles of one file, and whether it is an exchange's own archive."""

    member: Member
    raw: RawCandles
    published: bool


def import_files(
    path: str | Path, exchange: str, pair: str, timeframe: str, now: int | None = None
) -> Imported:
    """Read a market's candles from a file, a zip, or a folder of both.

    Known are Binance's published klines and Kraken's OHLCVT (CSV, told by the number of columns),
    freqtrade's feather, Parquet and JSON, and tables with named columns
    (`market_data.files.reading`). Of several files those are taken whose names tell of no other
    pair and no other timeframe.

    Parameters
    ----------
    path : path
        A file, a zip, or a folder with any depth of folders.
    exchange : str
        The market's, such as ``kraken``; an archive published by another is refused.
    pair : str
        Such as ``BTC/USDT``; Kraken's ``XBT`` and ``XDG`` are understood.
    timeframe : str
        Such as ``5m``.
    now : int, optional
        Milliseconds since the epoch, UTC; the clock's unless told. Candles that close later are
        left out.

    Raises
    ------
    UserError
        If nothing of the market is there; a file is damaged, of another market or of no known
        layout; a row cannot be a candle; or two rows of one time disagree.
    """
    path = Path(path)
    step = timeframe_ms(timeframe)
    chosen, notes = _of_market(members(path), path, pair, timeframe)
    now = int(time.time() * 1_000) if now is None else now
    tables = []
    for table in (_read(member, exchange) for member in chosen):
        check_rows(table.raw, str(table.member))
        whole = closed(table.raw, step, now, table.member.written)
        forming = len(table.raw) - len(whole)
        if forming:
            candles = f"{forming} candle{'s' if forming > 1 else ''}"
            notes.append(f"{table.member}: left out {candles} that had not closed.")
        if len(whole) > 1:
            check_times(np.unique(whole.timestamp), step, timeframe, str(table.member))
        if len(whole):
            tables.append(table._replace(raw=whole))
    if not tables:
        raise UserError(f"{path} has no candle that has closed: {' '.join(notes)}")
    raw, repeated = _united(tables)
    check_times(raw.timestamp, step, timeframe, str(path))
    if repeated:
        notes.append(f"{path}: {repeated} rows repeat a candle of before, the same each time.")
    source = path.name if len(chosen) == 1 else f"{path.name} ({len(chosen)} files)"
    answered = united(
        span
        for table in tables
        for span in spoken_for(np.unique(table.raw.timestamp), step, table.published)
    )
    for start, end in uncovered((int(raw.timestamp[0]), int(raw.timestamp[-1])), answered):
        notes.append(
            f"{path}: no candle from {utc(start)} to {utc(end)}; no file speaks for that time, so"
            " it will be asked for."
        )
    return Imported(raw, source, tuple(notes), answered)


def _of_market(
    found: list[Member], path: Path, pair: str, timeframe: str
) -> tuple[list[Member], list[str]]:
    """Members whose names tell of no other market, and a note on the others."""
    others = Counter(
        str(tells) for m in found if (tells := told(m.parts)).contradicts(pair, timeframe)
    )
    chosen = [m for m in found if not told(m.parts).contradicts(pair, timeframe)]
    if not chosen:
        named = ", ".join(sorted(others)[:5]) + (", ..." if len(others) > 5 else "")
        raise UserError(
            f"{path} has no candles of {pair} {timeframe}; by the names of its files it has"
            f" {named}. Choose the market of the files (market.base and market.quote may be any),"
            " or rename them if their names are wrong."
        )
    if not others:
        return chosen, []
    count = others.total()
    files = f"{count} file{'s' if count > 1 else ''}"
    return chosen, [f"{path}: {files} of other markets or timeframes left out."]


def _read(member: Member, exchange: str) -> _Table:
    content, name = member.content(), str(member)
    if member.kind == ".json":
        return _Table(member, _read_json(content, name), published=False)
    layout = published_layout(content, name) if member.kind == ".csv" else None
    if layout is None:
        candles = read_candles(pa.BufferReader(content), member.kind, name)
        return _Table(member, candles, published=False)
    if layout.exchange != exchange:
        raise UserError(
            f"{name} has the {layout.columns} columns of an archive of {layout.exchange.title()},"
            f" but the market is on {exchange}: choose the market of the archive."
        )
    return _Table(member, read_klines(content, layout, name), published=True)


def _read_json(content: bytes, name: str) -> RawCandles:
    """Rows ``[open time in ms, open, high, low, close, volume]``, as freqtrade writes them."""
    try:
        rows = np.array(json.loads(content), dtype=np.float64)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
            " It is damaged or cut short; export it again."
        ) from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"{name} must hold a list of rows of {len(COLUMNS)} numbers.") from error
    if rows.ndim != 2 or rows.shape[1] != len(COLUMNS):
        raise UserError(f"{name} must hold a list of rows of {len(COLUMNS)} numbers.")
    times = rows[:, 0]
    # Beyond 2⁵³ a float64 has no place for every integer; NaN and infinity fail too.
    bad = ~(np.abs(times) < 2.0**53) | (times % 1 != 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{name}: the open time in row {row + 1} is {times[row]:g}; it must be a whole number"
            " of milliseconds."
        )
    return RawCandles(times.astype(np.int64), *rows[:, 1:].T)


def _united(tables: Sequence[_Table]) -> tuple[RawCandles, int]:
    """Rows of all files by time, copies dropped, and how many those were."""
    parts = [table.raw for table in tables]
    raw = RawCandles(*(np.concatenate([getattr(p, column) for p in parts]) for column in COLUMNS))
    file = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.argsort(raw.timestamp, kind="stable")
    raw, file = raw.take(order), file[order]
    repeated = np.flatnonzero(np.diff(raw.timestamp) == 0) + 1
    for column in COLUMNS[1:]:
        values = getattr(raw, column)
        differs = values[repeated] != values[repeated - 1]
        if differs.any():
            row = int(repeated[np.argmax(differs)])
            raise UserError(
                f"Two candles of {utc(int(raw.timestamp[row]))} disagree: {column} is"
                f" {values[row - 1]:.10g} in {tables[file[row - 1]].member} and"
                f" {values[row]:.10g} in {tables[file[row]].member}. Take the wrong file away."
            )
    return raw.take(np.delete(np.arange(len(raw)), repeated)), len(repeated)
