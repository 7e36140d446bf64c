"""Read candle files: Parquet, CSV, feather and JSON, with named columns or as exchanges publish.

Four kinds of rows are understood: the columns of the data page (docs/data.md), freqtrade's with a
date column, freqtrade's JSON, and the CSV archives of Binance and Kraken, which name no columns.
Rows are counted before they are read; no more is unpacked than candles need.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from gpu_engine import Advance
from pipeline.errors import UserError, first_line, suggestion
from pipeline.market_data.files import columnar
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.tables import (
    candles_of,
    needed_columns,
    refuse_type,
)
from pipeline.market_data.files.texts import Archive, csv_parts, json_parts
from pipeline.market_data.raw import COLUMNS, RawCandles

#: Kinds of files with named columns.
TABLES = (".parquet", ".csv", ".feather")

#: Rows of one import, or of one file that is read alone: 28 years of 1m candles.
MOST_ROWS = 15_000_000


def read_file(path: str | Path) -> RawCandles:
    """Read candles with named columns, in the order of the file.

    The open time is either ``timestamp`` (integers, milliseconds since the epoch, UTC; their
    magnitude is checked by `make_regular`) or a date column, ``timestamp`` or ``date``, of any
    resolution; dates without a time zone are UTC. Other columns are ignored. An empty cell of a
    price or volume becomes NaN, which `make_regular` refuses by name.

    Raises
    ------
    UserError
        If the path is no readable file of a known kind, a column is missing or not numeric.
    """
    path = Path(path)
    _check_path(path)
    member = Member(path, None, (path.name,))
    return read_member(member, None, rows_of(member))


def rows_of(member: Member) -> int:
    """Count the rows of a file without taking more memory than a chunk of it; a few too many.

    Raises
    ------
    UserError
        If it is empty, damaged, or has more than `MOST_ROWS`.
    """
    if member.kind not in (".csv", ".json"):
        rows = _columnar(member).rows
    else:
        member.start()
        lines = breaks = 0
        for chunk in member.chunks():
            lines += chunk.count(b"[" if member.kind == ".json" else b"\n")
            breaks += 0 if member.kind == ".json" else chunk.count(b"\r")
        # Only old computers of Apple end their lines without \\n.
        rows = (lines or breaks) + 1
    check_count(rows, str(member))
    return rows


def check_count(rows: int, name: str) -> None:
    """Refuse more rows than any market has."""
    if rows > MOST_ROWS:
        raise UserError(
            f"{name} has {rows:,} rows; at most {MOST_ROWS:,} are read, which are 28 years of 1m"
            " candles. Look whether it holds candles, and import them some years at a time."
        )


def read_member(
    member: Member, archive: Archive | None, rows: int, advance: Advance | None = None
) -> RawCandles:
    """Read the candles of a file piece by piece, in the order of the file.

    Parameters
    ----------
    member : Member
    archive : Archive or None
        What `recognized_archive` says of a CSV file.
    rows : int
        What `rows_of` says.
    advance : callable, optional
        Called with the number of rows that were read since its last call.

    Raises
    ------
    UserError
        As `read_file`; or if a row of an archive has too few fields or a field that is no number.
    """
    parts = {".csv": lambda: csv_parts(member, archive), ".json": lambda: json_parts(member)}
    raw = RawCandles(np.empty(rows, np.int64), *(np.empty(rows) for _ in COLUMNS[1:]))
    done = 0
    for part in parts.get(member.kind, lambda: _table_parts(member))():
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
    return raw.take(slice(0, done))


def _table_parts(member: Member) -> Iterator[RawCandles]:
    """Read a Parquet or feather file."""
    name = str(member)
    file = _columnar(member)
    try:
        needed = needed_columns(file.schema.names, name)
        for column in needed:
            kind = file.schema.field(column).type
            if not columnar.is_plain(kind):
                raise refuse_type(kind, column, name, "one cell holds one value")
        for table in file.checked(needed, name):
            yield candles_of(table, name)
    except columnar.DAMAGE as error:
        raise _damaged(member, error) from error


def _columnar(member: Member) -> columnar.Columnar:
    source = str(member.plain) if member.plain else pa.BufferReader(member.content())
    try:
        return columnar.opened(source, member.kind)
    except columnar.DAMAGE as error:
        raise _damaged(member, error) from error


def _damaged(member: Member, error: Exception) -> UserError:
    return UserError(
        f"{member} cannot be read as {member.kind[1:]}: {first_line(error)}. "
        "The file is damaged or of another kind; fetch or export it again."
    )


def _check_path(path: Path) -> None:
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        reason = "" if path.parent.is_dir() else f" (there is no folder {path.parent} either)"
        raise UserError(f"{path} does not exist{reason}.{suggestion(path.name, siblings)}")
    if path.is_dir():
        files = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() in TABLES)
        listing = f"it holds {', '.join(files[:5])}" if files else "it holds no candles"
        raise UserError(f"{path} is a folder, not a file; {listing}. Name one file.")
    if path.suffix.lower() not in TABLES:
        raise UserError(
            f"{path} has the suffix '{path.suffix}': candles are read from {', '.join(TABLES)}."
        )
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty (0 bytes): fetch or export it again.")
