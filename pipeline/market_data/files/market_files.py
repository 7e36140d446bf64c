"""Read a market's candles from files that somebody downloaded: one, a zip, or a folder of both.

Published archives reach further back than the servers of exchanges, Kraken's above all. A file
tells its market by its name above all, so names are checked against the market. Rows are checked
against each other: two files that disagree are refused.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gpu_engine import DAY_MS, Advance, Int64
from pipeline.errors import NotCandlesError, UserError, first_of
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.choice import Request, check_contract, of_market
from pipeline.market_data.files.listing import listing
from pipeline.market_data.files.reading import Content, check_count, read_content, recognized
from pipeline.market_data.grid import check_times
from pipeline.market_data.raw import (
    COLUMNS,
    RawCandles,
    Span,
    ascend,
    check_rows,
    concatenate,
    contradictory,
    first_of_each,
    uncovered,
    united,
)
from pipeline.market_data.timeframe import timeframe_ms, utc

#: A longer hole in an exported file may be time without trades, or time that was not downloaded.
#: In an exchange's own archive a hole of any length is time without trades.
LONGEST_OWN_HOLE_MS = DAY_MS

#: Further ahead of this machine's clock no candle opens, unless its times are wrong.
CLOCK_ERROR_MS = 3_600_000

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
        Every row a possible candle; gaps are left as they are. Sorted, one row a time; of one file
        that is trained on, the rows as they come.
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
    request: Request, now: int | None = None, progress: Progress | None = None
) -> FileCandles:
    """Read a market's candles from a file, a zip, or a folder of both.

    `market_data.files.layouts` lists the layouts. Of several files those are taken whose names
    tell of no other pair, timeframe or contract, and which hold candles; trades are taken where
    there is nothing else.

    Parameters
    ----------
    request : Request
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
    path, step = request.path, timeframe_ms(request.timeframe)
    found = listing(path, request.door)
    members = [replace(member, growing=request.growing) for member in found.members]
    chosen, notes = of_market(members, request)
    alone = len(found.members) == 1
    contents, others = _of_candles(chosen, request, alone)
    check_count(sum(content.rows for content in contents if not content.trades), str(path))
    now = int(time.time() * 1_000) if now is None else now
    tables: list[_Table] = []
    with (progress or _untold)("rows", sum(content.rows for content in contents)) as advance:
        for content in contents:
            try:
                raw = read_content(content, request.notation, step, advance)
            except NotCandlesError as error:
                if alone:
                    raise
                others.append(f"{content.member.parts[-1]}: {error.what}")
                continue
            tables += _closed(content, raw, request, now, notes)
    if not tables and others:
        raise _no_candles(request, others)
    others += found.others
    if others:
        files = f"{len(others)} file{'s' if len(others) > 1 else ''}"
        notes.append(f"{path}: {files} without candles left out ({first_of(others, 5)}).")
    if not tables:
        raise UserError(
            f"{path} has no candle that has closed: {' '.join(notes)} Take a file of older ones."
        )
    return _united(tables, request, notes)


def _of_candles(
    chosen: list[Member], request: Request, alone: bool
) -> tuple[list[Content], list[str]]:
    """Recognize the files, and say in a few words of each other one what it is."""
    contents: list[Content] = []
    others: list[str] = []
    for member in chosen:
        try:
            content = recognized(member, request.notation)
            check_contract(content, request)
        except NotCandlesError as error:
            if alone:
                raise
            others.append(f"{member.parts[-1]}: {error.what}")
        else:
            contents.append(content)
    candles = [content for content in contents if not content.trades]
    if candles and len(candles) < len(contents):
        others += [f"{one.member.parts[-1]}: trades" for one in contents if one.trades]
        contents = candles
    if not contents:
        raise _no_candles(request, others)
    return contents, others


def _no_candles(request: Request, others: list[str]) -> UserError:
    return UserError(
        f"{request.path} has no candles of {request.market}: {first_of(others, 5)}. Take the"
        " exchange's files of candles (klines, OHLCVT)."
    )


def _closed(
    content: Content, raw: RawCandles, request: Request, now: int, notes: list[str]
) -> Iterator[_Table]:
    """Yield the candles of a file that have closed, if there are any."""
    member, step = content.member, timeframe_ms(request.timeframe)
    layout = None if content.trades else content.layout
    check_rows(raw, str(member), None if layout is None else layout.skip)
    ahead = raw.timestamp > now + CLOCK_ERROR_MS
    if ahead.any():
        last = utc(int(raw.timestamp.max()))
        raise UserError(
            f"{member}: {int(ahead.sum()):,} candles open after now ({utc(now)}), the last at"
            f" {last}: its times are not in UTC, or this machine's clock is wrong. Set the clock,"
            f" or take a file with times in UTC. {request.notation.zone_advice}"
        )
    whole = closed_candles(raw, step, now, member.written)
    forming = len(raw) - len(whole)
    if forming:
        candles = f"{forming} candle{'s' if forming > 1 else ''}"
        notes.append(f"{member}: left out {candles} that had not closed.")
    wrong = contradictory(whole)
    if wrong.any():
        first = utc(int(whole.timestamp[np.argmax(wrong)]))
        notes.append(
            f"{member}: in {int(wrong.sum()):,} candles open or close lies outside low to high, the"
            f" first of {first}. They are kept as they are, and a training refuses them unless"
            " data.quality.ohlc_violations allows so many. Mend the file if these are mistakes."
        )
    if content.trades:
        notes.append(f"{member}: {len(raw):,} candles built of its trades.")
    if len(whole) > 1 and request.unites:
        check_times(first_of_each(whole).timestamp, step, request.timeframe, str(member))
    if len(whole):
        yield _Table(member, whole, published=content.archive is not None)


def _united(tables: list[_Table], request: Request, notes: list[str]) -> FileCandles:
    path, step = request.path, timeframe_ms(request.timeframe)
    source = path.name if len(tables) == 1 else f"{path.name} ({len(tables)} files)"
    answered = united(
        span
        for table in tables
        for span in answered_spans(first_of_each(table.raw).timestamp, step, table.published)
    )
    if len(tables) == 1 and not request.unites:
        return FileCandles(tables[0].raw, source, tuple(notes), answered)
    raw, repeated = _sorted_rows(tables)
    check_times(raw.timestamp, step, request.timeframe, str(path))
    if repeated:
        notes.append(f"{path}: {repeated} rows repeat a candle of before, the same each time.")
    for start, end in uncovered((int(raw.timestamp[0]), int(raw.timestamp[-1])), answered):
        will = ", so the next fetch asks the exchange" if request.unites else ""
        notes.append(
            f"{path}: no candle from {utc(start)} to {utc(end)}; no file answers for that time"
            f"{will}."
        )
    return FileCandles(raw, source, tuple(notes), answered)


@contextmanager
def _untold(_: str, rows: int) -> Iterator[Advance]:
    yield lambda done: None


def _sorted_rows(tables: Sequence[_Table]) -> tuple[RawCandles, int]:
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
            first, second = tables[file[row - 1]].member, tables[file[row]].member
            advice = "Take the wrong file away." if first != second else "Remove the wrong row."
            raise UserError(
                f"Two candles of {utc(int(raw.timestamp[row]))} disagree: {column} is"
                f" {values[row - 1]:.10g} in {first} and"
                f" {values[row]:.10g} in {second}. {advice}"
            )
    return raw.take(np.delete(np.arange(len(raw)), repeated)), len(repeated)
