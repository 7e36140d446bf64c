"""Read one candle file: Parquet, CSV, feather or JSON, with named columns or as exchanges publish.

Rows are counted before they are read; no more is unpacked than candles need.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from gpu_engine import Advance
from pipeline.errors import UserError, first_line, first_of
from pipeline.market_data.files import columnar
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.clock import Clock
from pipeline.market_data.files.headers import NotCandlesError, positions
from pipeline.market_data.files.json_rows import json_parts
from pipeline.market_data.files.layouts import Layout, Notation, layout_of
from pipeline.market_data.files.listing import listing
from pipeline.market_data.files.tables import candles_of, refuse_type
from pipeline.market_data.files.texts import csv_parts
from pipeline.market_data.files.trade_rows import candles_of_file
from pipeline.market_data.raw import COLUMNS, RawCandles

#: Rows of one import, or of one file that is read alone: 28 years of 1m candles.
MOST_ROWS = 15_000_000

#: So many rows without any volume are no candles of trades.
UNTRADED = 100


@dataclass(frozen=True)
class Content:
    """What was recognized of a file before it is read.

    Attributes
    ----------
    member : Member
    layout : Layout or None
        Of a text file.
    rows : int
        At most so many; see `rows_of`.
    """

    member: Member
    layout: Layout | None
    rows: int

    @property
    def archive(self) -> str | None:
        """The exchange that publishes such files; None of any other file."""
        return self.layout.archive if self.layout else None

    @property
    def trades(self) -> bool:
        """Whether candles are to be built from it."""
        return self.layout is not None and self.layout.kind == "trades"


def read_file(path: str | Path, notation: Notation | None = None) -> RawCandles:
    """Read the candles of one file, packed or not, in the order of the file.

    The open time is a count since the epoch (UTC; its magnitude tells seconds, milli-, micro- and
    nanoseconds) or a date of any resolution; dates without an offset are UTC. Further columns are
    ignored. An empty cell of a price or volume becomes NaN, which `make_regular` refuses by name.

    Raises
    ------
    UserError
        If the path has no or several candle files, a column is missing or not numeric.
    """
    found = listing(Path(path)).members
    if len(found) > 1:
        names = first_of(["/".join(member.parts[1:]) for member in found], 5)
        raise UserError(f"{path} holds {len(found)} files ({names}). Name one file.")
    notation = notation or Notation()
    content = recognized(found[0], notation)
    if content.trades:
        raise NotCandlesError(
            f"{path} holds trades, and no market tells the length of their candles. Build them with"
            f" scripts/fetch first.",
            "trades",
        )
    return read_content(content, notation)


def recognized(member: Member, notation: Notation) -> Content:
    """Recognize what a file holds.

    Raises
    ------
    NotCandlesError
        If it holds something else than candles.
    UserError
        If it is empty or damaged, or has more than `MOST_ROWS`.
    """
    if member.kind == ".csv":
        layout = layout_of(member.start(), str(member), notation)
        return Content(member, layout, rows_of(member, bounded=layout.kind == "candles"))
    if member.kind == ".json":
        return Content(member, None, rows_of(member))
    file = _columnar(member)
    positions(file.schema.names, str(member), notation.base)
    check_count(file.rows, str(member))
    return Content(member, None, file.rows)


def rows_of(member: Member, bounded: bool = True) -> int:
    """Count the rows of a text file without taking more memory than a chunk; a few too many.

    Raises
    ------
    UserError
        If it is empty, damaged, or is to be ``bounded`` and has more than `MOST_ROWS`.
    """
    member.start()
    lines = breaks = 0
    for chunk in member.texts():
        if member.kind == ".json":
            lines += max(chunk.count(b"["), chunk.count(b"{"))
        else:
            lines, breaks = lines + chunk.count(b"\n"), breaks + chunk.count(b"\r")
    # Only old computers of Apple end their lines without \\n.
    rows = (lines or breaks) + 1
    if bounded:
        check_count(rows, str(member))
    return rows


def check_count(rows: int, name: str) -> None:
    """Refuse more rows than any market has."""
    if rows > MOST_ROWS:
        raise UserError(
            f"{name} has {rows:,} rows; at most {MOST_ROWS:,} are read, which are 28 years of 1m"
            " candles. Look whether it holds candles, and import them some years at a time."
        )


def read_content(
    content: Content, notation: Notation, step: int = 0, advance: Advance | None = None
) -> RawCandles:
    """Read the candles of a file piece by piece, in the order of the file.

    Parameters
    ----------
    content : Content
    notation : Notation
    step : int
        Length of the candles that are built of trades, milliseconds.
    advance : callable, optional
        Called with the number of rows that were read since its last call.

    Raises
    ------
    UserError
        As `read_file`; or if a row of an archive has too few fields or a field that is no number.
    """
    member, layout, rows = content.member, content.layout, content.rows
    if layout is not None and content.trades:
        return candles_of_file(member, layout, step, advance)
    clock = Clock(str(member), notation.zone, notation.zone_advice)
    raw = RawCandles(np.empty(rows, np.int64), *(np.empty(rows) for _ in COLUMNS[1:]))
    done = 0
    for part in _parts(content, notation, clock):
        end = done + len(part)
        if end > rows:
            raise UserError(
                f"{member} has more rows than the {rows:,} that it claims: it is damaged; fetch or"
                " export it again."
            )
        for name in COLUMNS:
            getattr(raw, name)[done:end] = getattr(part, name)
        done = end
        if advance is not None:
            advance(len(part))
    pa.default_memory_pool().release_unused()
    raw = raw.take(slice(0, done))
    if done >= UNTRADED and not raw.volume.any():
        raise NotCandlesError(
            f"{member} has no volume in any of {done:,} rows: it holds prices at which nobody"
            " traded, such as mark or index prices, or its volumes were not exported. Take a file"
            " of candles with their volumes.",
            "prices without any volume",
        )
    times = clock.utc(raw.timestamp)
    return raw if times is raw.timestamp else replace(raw, timestamp=times)


def _parts(content: Content, notation: Notation, clock: Clock) -> Iterator[RawCandles]:
    if content.layout is not None:
        return csv_parts(content.member, content.layout, clock)
    if content.member.kind == ".json":
        return json_parts(content.member, notation)
    return _table_parts(content.member, notation, clock)


def _table_parts(member: Member, notation: Notation, clock: Clock) -> Iterator[RawCandles]:
    """Read a Parquet or feather file."""
    name = str(member)
    file = _columnar(member)
    try:
        where = positions(file.schema.names, name, notation.base)
        needed = [file.schema.names[at] for at in (where.time[0], *where.figures)]
        for column, meaning in zip(needed, COLUMNS, strict=True):
            kind = file.schema.field(column).type
            if not columnar.is_plain(kind):
                raise refuse_type(kind, meaning, name, "one cell holds one value")
        for table in file.checked(needed, name):
            yield candles_of(table.select(needed).rename_columns(list(COLUMNS)), name, clock)
    except columnar.DAMAGE as error:
        raise _damaged(member, error) from error


def _columnar(member: Member) -> columnar.Columnar:
    if member.plain and member.file.stat().st_size == 0:
        raise NotCandlesError(f"{member} is empty: download or export it again.", "empty")
    source = str(member.plain) if member.plain else pa.BufferReader(member.content())
    try:
        file = columnar.opened(source, member.kind)
        assert file.schema.names is not None  # names that are no text are found here
        return file
    except columnar.DAMAGE as error:
        raise _damaged(member, error) from error


def _damaged(member: Member, error: Exception) -> UserError:
    return UserError(
        f"{member} cannot be read as {member.kind[1:]}: {first_line(error)}. "
        "The file is damaged or of another kind; fetch or export it again."
    )
