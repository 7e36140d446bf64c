"""Read CSV and JSON piece by piece, with named columns or as exchanges publish.

A piece is read as if it were a file: so a file of any size takes the memory of a piece, beside its
candles. A file of up to one piece is read as a whole.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.csv

from gpu_engine import Int64
from pipeline.errors import UserError, first_line
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.tables import candles_of, needed_columns, refuse_type
from pipeline.market_data.raw import COLUMNS, MILLISECONDS_TO, RawCandles

#: Bytes of the first line of a CSV file, and columns that it may name.
LONGEST_LINE, MOST_COLUMNS = 64 << 10, 1_000

#: The first name of the header that some of Binance's files have.
BINANCE_HEADER = "open_time"


@dataclass(frozen=True)
class Archive:
    """Layout of a published archive, whose first six columns are those of a candle.

    Attributes
    ----------
    exchange : str
        Whose candles they are.
    columns : int
        Fields in a row.
    unit_ms : int
        Length of the unit that its times count, in milliseconds.
    header : bool
        Whether the first line names the columns.
    """

    exchange: str
    columns: int
    unit_ms: int
    header: bool = False


#: Open time, open, high, low, close, volume, close time, quote volume, trades, taker's volume in
#: base and in quote, unused. Spot files count microseconds from 2025 and milliseconds before; the
#: magnitude tells (https://github.com/binance/binance-public-data).
BINANCE = Archive("binance", 12, 1)

#: Time in seconds, open, high, low, close, volume, trades
#: (https://support.kraken.com/articles/360047124832).
KRAKEN = Archive("kraken", 7, 1_000)


def recognized_archive(member: Member) -> Archive | None:
    """Recognize a published CSV archive by its first line; None where that names other columns.

    Raises
    ------
    UserError
        If the line has no names and as many fields as no archive has.
    """
    line = member.start().lstrip()[:1_000].splitlines()[0].decode("utf-8", "replace")
    fields = [field.strip().strip('"') for field in line.removeprefix("\ufeff").split(",")]
    if fields[0] == BINANCE_HEADER:
        return replace(BINANCE, header=True)
    try:
        float(fields[0])
    except ValueError:
        return None
    for archive in (BINANCE, KRAKEN):
        if len(fields) == archive.columns:
            return archive
    raise UserError(
        f"{member}: line 1 names no columns and has {len(fields)} fields; without names only the"
        f" archives of Binance ({BINANCE.columns} fields) and Kraken ({KRAKEN.columns}) are known."
        f" Give it a first line such as {','.join(COLUMNS)}."
    )


def csv_parts(member: Member, archive: Archive | None) -> Iterator[RawCandles]:
    """Read a CSV file; ``archive`` is what `recognized_archive` says of it.

    Raises
    ------
    UserError
        If a row has too few fields or a field is no number.
    """
    name = str(member)
    names: list[str] | None = None
    dates = False
    rows = lines = 0
    for piece in member.pieces((b"\n", b"\r")):
        if archive is None and names is None:
            _check_header(piece, name)
        try:
            if archive is None:
                table = _table(piece, names)
            else:
                table = _read_archive(piece, archive, int(archive.header and lines == 0))
        except (pa.ArrowException, ValueError) as error:  # UnicodeDecodeError too
            raise _damaged(name, archive, first_line(error), lines) from error
        part = candles_of(table, name)
        if archive is None:
            column = table.column(needed_columns(table.column_names, name)[0])
            if names is None:
                names, dates = table.column_names, pa.types.is_temporal(column.type)
            if pa.types.is_temporal(column.type) is not dates:
                raise refuse_type(column.type, "timestamp", name, "other rows have another type")
        else:
            part = replace(
                part, timestamp=_archive_milliseconds(part.timestamp, archive, name, rows)
            )
        yield part
        rows += len(part)
        lines += piece.count(b"\n") or piece.count(b"\r")


_SEPARATORS = {b";": "semicolons", b"\t": "tabs", b"|": "vertical bars"}


def _check_header(piece: bytes, name: str) -> None:
    header = piece.lstrip()[: LONGEST_LINE + 1].splitlines()[0]
    fields = header.count(b",") + 1
    if b"\0" in header:
        raise UserError(f"{name} is no CSV: line 1 holds bytes that are no text in UTF-8.")
    separator = next((word for sign, word in _SEPARATORS.items() if sign in header), None)
    if fields == 1 and separator is not None:
        raise UserError(
            f"{name} separates its columns by {separator}: save it with commas between them, and"
            f" with points in numbers. Needed: {', '.join(COLUMNS)}."
        )
    if len(header) > LONGEST_LINE or fields > MOST_COLUMNS:
        raise UserError(
            f"{name}: line 1 has {fields:,} fields or more; at most {MOST_COLUMNS:,} are read, of"
            f" {LONGEST_LINE:,} bytes in all. Export the columns {', '.join(COLUMNS)} alone."
        )


def _table(piece: bytes, names: list[str] | None) -> pa.Table:
    """Read CSV whose first line names the columns, or the rest of one."""
    options = (
        pyarrow.csv.ReadOptions() if names is None else pyarrow.csv.ReadOptions(column_names=names)
    )
    return pyarrow.csv.read_csv(pa.BufferReader(piece), options)


def _damaged(name: str, archive: Archive | None, reason: str, lines: int) -> UserError:
    if archive is None:
        return UserError(
            f"{name} cannot be read as csv: {reason}. Line 1 must name the columns, and every row"
            " must have as many fields: delete what stands above the header. If nothing does, the"
            " file is damaged or of another kind; fetch or export it again."
        )
    reason = re.sub(r"Row #(\d+)", lambda row: f"line {int(row[1]) + lines}", reason)
    return UserError(
        f"{name} cannot be read as the {archive.columns} columns of an archive of "
        f"{archive.exchange.title()}: {reason}. It is damaged or cut short; download it again."
    )


def _read_archive(piece: bytes, archive: Archive, skip: int) -> pa.Table:
    """Read CSV without names, all of its columns as numbers, after ``skip`` lines."""
    unused = [f"unused {column}" for column in range(archive.columns - len(COLUMNS))]
    types = {column: pa.float64() for column in COLUMNS} | {"timestamp": pa.int64()}
    return pyarrow.csv.read_csv(
        pa.BufferReader(piece),
        # Only a single thread counts lines for its errors.
        pyarrow.csv.ReadOptions(
            column_names=[*COLUMNS, *unused], skip_rows=skip, use_threads=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=COLUMNS, null_values=[]
        ),
    )


def _archive_milliseconds(time: Int64, archive: Archive, name: str, before: int) -> Int64:
    """Convert from the archive's unit, or from the microseconds of newer files.

    ``before`` rows of the file were read already.
    """
    fine = (archive.unit_ms == 1) & (time >= MILLISECONDS_TO)
    most = np.iinfo(np.int64).max // archive.unit_ms
    bad = (fine & (time % 1_000 != 0)) | (time > most) | (time < -most)
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{name}: the open time in row {before + row + 1} is {time[row]}, no whole number of"
            " milliseconds. It is damaged; download it again."
        )
    return np.where(fine, time // 1_000, time * archive.unit_ms)


def json_parts(member: Member) -> Iterator[RawCandles]:
    """Read rows ``[open time in ms, open, high, low, close, volume]``, as freqtrade writes them.

    Raises
    ------
    UserError
        If it is no JSON, or no list of such rows.
    """
    pieces = member.pieces((b"],",))
    rows, begun = 0, b""
    piece: bytes | None = next(pieces)
    while piece is not None:
        following = next(pieces, None)
        text = begun + piece
        part = _read_json(text if following is None else text[:-1] + b"]", str(member), rows)
        yield part
        rows += len(part)
        piece, begun = following, b"["


def _read_json(content: bytes, name: str, before: int) -> RawCandles:
    """Read rows ``[open time in ms, open, high, low, close, volume]``, as freqtrade writes them."""
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
            f"{name}: the open time in row {before + row + 1} is {times[row]:g}; it must be a whole"
            " number of milliseconds."
        )
    return RawCandles(times.astype(np.int64), *rows[:, 1:].T)
