"""Read one candle file: Parquet, CSV, feather or JSON, with named columns or as exchanges publish.

Rows are counted before they are read; no more is unpacked than candles need.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gpu_engine import Advance, Float, Int64
from pipeline.errors import NotCandlesError, UserError, first_line, first_of
from pipeline.market_data.arrow import array_of, cast
from pipeline.market_data.files import columnar
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.clock import Clock, milliseconds_of
from pipeline.market_data.files.headers import positions
from pipeline.market_data.files.layouts import Layout, Notation, check_order, layout_of
from pipeline.market_data.files.listing import listing
from pipeline.market_data.files.texts import candles_of_file, csv_parts
from pipeline.market_data.raw import COLUMNS, RawCandles

#: Rows of one import, or of one file that is read alone: 28 years of 1m candles.
MOST_ROWS = 15_000_000

#: So many rows without any volume are no candles of trades.
UNTRADED = 100

#: Fields of a row of JSON: ccxt's and freqtrade's, Binance's API.
JSON_WIDTHS = (6, 12)


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


def read_file(path: str | Path) -> RawCandles:
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
    notation = Notation()
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


def json_parts(member: Member, notation: Notation) -> Iterator[RawCandles]:
    """Read a list of rows: open time, open, high, low, close, volume, and what may follow.

    A row is a list of numbers, or of texts that are numbers, or it names its fields.

    Raises
    ------
    UserError
        If it is no JSON.
    NotCandlesError
        If it is no list of such rows.
    """
    named = member.start().lstrip()[:64].replace(b" ", b"").replace(b"\n", b"").startswith(b"[{")
    pieces = member.pieces((b"},",) if named else (b"],",))
    rows, begun = 0, b""
    piece: bytes | None = next(pieces)
    while piece is not None:
        following = next(pieces, None)
        text = begun + piece
        content = _json_of(text if following is None else text.rstrip()[:-1] + b"]", str(member))
        yield (part := _json_candles(content, str(member), rows, notation))
        rows += len(part)
        piece, begun = following, b"["


def _json_of(text: bytes, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
            " It is damaged or cut short; export it again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise _no_rows(name) from error


def _json_candles(content: Any, name: str, before: int, notation: Notation) -> RawCandles:
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        content = _by_name(content, name, notation)
    if not (isinstance(content, list) and content):
        raise _no_rows(name)
    try:
        if len({len(row) for row in content}) != 1 or len(content[0]) not in JSON_WIDTHS:
            raise _no_rows(name)
        if not before:
            check_order([list(map(str, row)) for row in content[:2_000]], name)
        rows = np.array([row[: len(COLUMNS)] for row in content], dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise _no_rows(name) from error
    return RawCandles(_json_times(rows[:, 0], name, before), *rows[:, 1:].T)


def _by_name(content: list[dict[str, Any]], name: str, notation: Notation) -> list[Any]:
    names = list(content[0])
    where = positions(names, name, notation.base)
    keys = [names[at] for at in (where.time[0], *where.figures)]
    try:
        return [[row[key] for key in keys] for row in content]
    except KeyError as error:
        raise UserError(
            f"{name}: a row has no {error}, which the first one has. It is damaged; export it"
            " again."
        ) from error


def _json_times(times: np.ndarray, name: str, before: int) -> Int64:
    # Beyond 2⁵³ a float64 has no place for every integer; NaN and infinity fail too.
    bad = ~(np.abs(times) < 2.0**53) | (times % 1 != 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{name}: the open time in row {before + row + 1} is {times[row]:g}; it must be a whole"
            " number of milliseconds."
        )
    return milliseconds_of(times.astype(np.int64), name, before)


def _no_rows(name: str) -> NotCandlesError:
    return NotCandlesError(
        f"{name} must hold a list of rows of {len(COLUMNS)} numbers ({', '.join(COLUMNS)}), or of"
        " rows that name them. If it holds candles in another form, export them as CSV with a line"
        " of names.",
        "no rows of candles",
    )


def candles_of(table: pa.Table, path: str, clock: Clock | None = None) -> RawCandles:
    """Take the columns of a candle from a table, in any spelling.

    Parameters
    ----------
    table : Table
    path : str
        What errors call it.
    clock : Clock, optional
        Of a table that is a piece of a file: whoever gives it ends with `Clock.utc`.

    Raises
    ------
    UserError
        If a column is missing or of another type.
    """
    where = positions(table.column_names, path)
    times = clock or Clock(path)
    time = times.times(table.column(where.time[0]))
    return RawCandles(
        time if clock else times.utc(time),
        *(
            numbers(table.column(at), name, path)
            for at, name in zip(where.figures, COLUMNS[1:], strict=True)
        ),
    )


def refuse_type(kind: pa.DataType, name: str, path: str, reason: str) -> UserError:
    """Say that a column is of a type that its figures cannot have."""
    if name == "timestamp":
        return UserError(
            f"{path}: the open times must be whole milliseconds, as integers since the epoch or "
            f"as dates; found {kind}: {reason}."
        )
    return UserError(f"{path}: column '{name}' must hold numbers, not {kind}: {reason}.")


def numbers(column: pa.ChunkedArray, name: str, path: str) -> Float:
    """Return a column as float64; NaN for an empty cell.

    Raises
    ------
    UserError
        If a cell is no number.
    """
    try:
        values: Float = array_of(cast(column, pa.float64()))
    except pa.ArrowException as error:
        raise refuse_type(column.type, name, path, first_line(error)) from error
    return values
