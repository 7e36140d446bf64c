"""Read a market's candles from files that somebody downloaded: one, a zip, or a folder of both.

Published archives reach further back than the servers of exchanges, Kraken's above all. A file
tells its market only by its name, so names are checked against the market. Rows are checked against
each other: two files that disagree are refused.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gpu_engine import DAY_MS, Advance, Int64
from pipeline.errors import UserError
from pipeline.market_data.files.archives import Member, members
from pipeline.market_data.files.names import market_in
from pipeline.market_data.files.reading import check_count, read_member, rows_of
from pipeline.market_data.files.texts import recognized_archive
from pipeline.market_data.grid import check_times
from pipeline.market_data.raw import (
    COLUMNS,
    RawCandles,
    Span,
    ascend,
    check_rows,
    concatenate,
    first_of_each,
    uncovered,
    united,
)
from pipeline.market_data.timeframe import timeframe_ms, utc

#: A longer hole in an exported file may be time without trades, or time that was not downloaded.
#: In an exchange's own archive a hole of any length is time without trades.
LONGEST_OWN_HOLE_MS = DAY_MS

Progress = Callable[[str, int], AbstractContextManager[Advance]]


def closed_candles(raw: RawCandles, step: int, now: int, written: int) -> RawCandles:
    """Leave out candles that have not closed, or were still forming when the file was written.

    Parameters
    ----------
    raw : RawCandles
        In any order.
    step : int
        Length of a candle, milliseconds.
    now, written : int
        Moments, milliseconds since the epoch, UTC. Only the candle around ``written`` is doubted:
        a file that is older than its candles has its time from elsewhere.
    """
    ends = raw.timestamp + step
    forming = (raw.timestamp <= written) & (written < ends)
    return raw.take((ends <= now) & ~forming)


def answered_spans(timestamp: Int64, step: int, published: bool) -> tuple[Span, ...]:
    """Find the time for which the candles of one file are all there are.

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
class FileCandles:
    """Candles of one market out of files.

    Attributes
    ----------
    raw : RawCandles
        Sorted, one row a time, every row a possible candle; gaps are left as they are.
    source : str
        What they were read from, for the records of the store.
    notes : tuple of str
        Sentences about what was left out.
    answered : tuple of Span
        The time that the files answer for: no candle there is missing (`answered_spans`).
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


def read_market_files(
    path: str | Path,
    exchange: str,
    pair: str,
    timeframe: str,
    now: int | None = None,
    progress: Progress | None = None,
) -> FileCandles:
    """Read a market's candles from a file, a zip, or a folder of both.

    `market_data.files.reading` lists the layouts. Of several files those are taken whose names
    tell of no other pair and no other timeframe.

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
        Milliseconds since the epoch, UTC; by default the clock's. Candles that close later are
        left out.
    progress : callable, optional
        Called with a word and the number of rows; see `pipeline.cli.console.Console.progress`.

    Raises
    ------
    UserError
        If nothing of the market is there; a file is damaged, of another market or of no known
        layout; they have too many rows; a row cannot be a candle; or two rows of one time disagree.
    """
    path = Path(path)
    step = timeframe_ms(timeframe)
    chosen, notes = _of_market(members(path), path, pair, timeframe)
    now = int(time.time() * 1_000) if now is None else now
    rows = {member: rows_of(member) for member in chosen}
    check_count(sum(rows.values()), str(path))
    tables = []
    with (progress or _untold)("rows", sum(rows.values())) as advance:
        read = [_read(member, exchange, rows[member], advance) for member in chosen]
    while read:
        table = read.pop(0)
        check_rows(table.raw, str(table.member))
        whole = closed_candles(table.raw, step, now, table.member.written)
        forming = len(table.raw) - len(whole)
        if forming:
            candles = f"{forming} candle{'s' if forming > 1 else ''}"
            notes.append(f"{table.member}: left out {candles} that had not closed.")
        if len(whole) > 1:
            check_times(first_of_each(whole).timestamp, step, timeframe, str(table.member))
        if len(whole):
            tables.append(table._replace(raw=whole))
    if not tables:
        raise UserError(f"{path} has no candle that has closed: {' '.join(notes)}")
    raw, repeated = _unite(tables)
    check_times(raw.timestamp, step, timeframe, str(path))
    if repeated:
        notes.append(f"{path}: {repeated} rows repeat a candle of before, the same each time.")
    source = path.name if len(chosen) == 1 else f"{path.name} ({len(chosen)} files)"
    answered = united(
        span
        for table in tables
        for span in answered_spans(first_of_each(table.raw).timestamp, step, table.published)
    )
    for start, end in uncovered((int(raw.timestamp[0]), int(raw.timestamp[-1])), answered):
        notes.append(
            f"{path}: no candle from {utc(start)} to {utc(end)}; no file answers for that time, so"
            " it will be asked for."
        )
    return FileCandles(raw, source, tuple(notes), answered)


def _of_market(
    files: list[Member], path: Path, pair: str, timeframe: str
) -> tuple[list[Member], list[str]]:
    """Choose the files whose names have no other market, and count the others in a note."""
    chosen: list[Member] = []
    others: Counter[str] = Counter()
    for file in files:
        name = market_in(file.parts)
        if name.contradicts(pair, timeframe):
            others[str(name)] += 1
        else:
            chosen.append(file)
    if not chosen:
        names = ", ".join(sorted(others)[:5]) + (", ..." if len(others) > 5 else "")
        raise UserError(
            f"{path} has no candles of {pair} {timeframe}; by the names of its files it has"
            f" {names}. Choose the market of the files (market.base and market.quote may be any),"
            " or rename them if their names are wrong."
        )
    if not others:
        return chosen, []
    count = others.total()
    left_out = f"{count} file{'s' if count > 1 else ''}"
    return chosen, [f"{path}: {left_out} of other markets or timeframes left out."]


@contextmanager
def _untold(_: str, rows: int) -> Iterator[Advance]:
    yield lambda done: None


def _read(member: Member, exchange: str, rows: int, advance: Advance) -> _Table:
    archive = recognized_archive(member) if member.kind == ".csv" else None
    if archive and archive.exchange != exchange:
        raise UserError(
            f"{member} has the {archive.columns} columns of an archive of"
            f" {archive.exchange.title()}, but the market is on {exchange}: choose the market of"
            " the archive."
        )
    raw = read_member(member, archive, rows, advance)
    return _Table(member, raw, published=archive is not None)


def _unite(tables: Sequence[_Table]) -> tuple[RawCandles, int]:
    """Sort the rows of all files by time and drop copies; return how many those were."""
    parts = [table.raw for table in tables]
    raw = concatenate(parts, RawCandles)
    if ascend(raw.timestamp):
        return raw, 0
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
