"""Read candle files: Parquet, CSV, feather and JSON, with named columns or as exchanges publish.

Four kinds of rows are understood: the columns of the data page (docs/data.md), freqtrade's with a
date column, freqtrade's JSON, and the CSV archives of Binance and Kraken, which name no columns.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from gpu_engine import Float, Int64
from pipeline.errors import UserError, suggestion
from pipeline.market_data.arrow import array_of, cast
from pipeline.market_data.raw import COLUMNS, MILLISECONDS_TO, RawCandles

READERS: dict[str, Callable[[str | pa.NativeFile], pa.Table]] = {
    ".parquet": lambda file: pyarrow.parquet.ParquetFile(file).read(),
    ".csv": pyarrow.csv.read_csv,
    ".feather": pyarrow.feather.read_table,
}

#: freqtrade's name for the open time, a date column instead of integers.
DATE_COLUMN = "date"

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
    return _read_table(str(path), path.suffix.lower(), str(path), None)


def read_content(content: bytes, suffix: str, name: str, archive: Archive | None) -> RawCandles:
    """Read candles from the content of a file, in the order of the file.

    Parameters
    ----------
    content : bytes
        Unpacked.
    suffix : str
        One of `READERS`, or ``.json``.
    name : str
        What errors call the file.
    archive : Archive or None
        What `recognized_archive` says of a CSV file.

    Raises
    ------
    UserError
        As `read_file`; or if a row of an archive has too few fields or a field that is no number.
    """
    if suffix == ".json":
        return _read_json(content, name)
    return _read_table(pa.BufferReader(content), suffix, name, archive)


def recognized_archive(content: bytes, name: str) -> Archive | None:
    """Recognize a published CSV archive by its first line; None where that names other columns.

    Raises
    ------
    UserError
        If the line has no names and as many fields as no archive has.
    """
    line = content.lstrip()[:1_000].splitlines()[0].decode("utf-8", "replace")
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
        f"{name}: line 1 names no columns and has {len(fields)} fields; without names only the"
        f" archives of Binance ({BINANCE.columns} fields) and Kraken ({KRAKEN.columns}) are known."
        f" Give it a first line such as {','.join(COLUMNS)}."
    )


def _check_path(path: Path) -> None:
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        reason = "" if path.parent.is_dir() else f" (there is no folder {path.parent} either)"
        raise UserError(f"{path} does not exist{reason}.{suggestion(path.name, siblings)}")
    if path.is_dir():
        files = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() in READERS)
        listing = f"it holds {', '.join(files[:5])}" if files else "it holds no candles"
        raise UserError(f"{path} is a folder, not a file; {listing}. Name one file.")
    if path.suffix.lower() not in READERS:
        raise UserError(
            f"{path} has the suffix '{path.suffix}': candles are read from {', '.join(READERS)}."
        )
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty (0 bytes): fetch or export it again.")


def _read_table(
    file: str | pa.NativeFile, suffix: str, name: str, archive: Archive | None
) -> RawCandles:
    try:
        table = _read_archive(file, archive) if archive else READERS[suffix](file)
    except (pa.ArrowException, OSError, ValueError) as error:  # UnicodeDecodeError too
        reason = _first_line(error)
        if archive:
            raise UserError(
                f"{name} cannot be read as the {archive.columns} columns of an archive of "
                f"{archive.exchange.title()}: {reason.replace('Row #', 'line ')}. It is damaged or"
                " cut short; download it again."
            ) from error
        raise UserError(
            f"{name} cannot be read as {suffix[1:]}: {reason}. "
            "The file is damaged or of another kind; fetch or export it again."
        ) from error
    raw = candles_of(table, name)
    if archive is None:
        return raw
    return replace(raw, timestamp=_archive_milliseconds(raw.timestamp, archive, name))


def _read_archive(file: str | pa.NativeFile, archive: Archive) -> pa.Table:
    """Read CSV without names, all of its columns as numbers."""
    unused = [f"unused {column}" for column in range(archive.columns - len(COLUMNS))]
    types = {column: pa.float64() for column in COLUMNS} | {"timestamp": pa.int64()}
    return pyarrow.csv.read_csv(
        file,
        # Only a single thread counts lines for its errors.
        pyarrow.csv.ReadOptions(
            column_names=[*COLUMNS, *unused], skip_rows=int(archive.header), use_threads=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=COLUMNS, null_values=[]
        ),
    )


def _archive_milliseconds(time: Int64, archive: Archive, name: str) -> Int64:
    """Convert from the archive's unit, or from the microseconds of newer files."""
    fine = (archive.unit_ms == 1) & (time >= MILLISECONDS_TO)
    most = np.iinfo(np.int64).max // archive.unit_ms
    bad = (fine & (time % 1_000 != 0)) | (time > most) | (time < -most)
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{name}: the open time in row {row + 1} is {time[row]}, no whole number of"
            " milliseconds. It is damaged; download it again."
        )
    return np.where(fine, time // 1_000, time * archive.unit_ms)


def candles_of(table: pa.Table, path: str) -> RawCandles:
    """Take the named columns of a table."""
    names = table.column_names
    if "timestamp" not in names and DATE_COLUMN in names:
        index = names.index(DATE_COLUMN)
        table = table.rename_columns([*names[:index], "timestamp", *names[index + 1 :]])
    for name in COLUMNS:
        if table.column_names.count(name) != 1:
            what = f"no column '{name}'" if name not in names else f"several columns '{name}'"
            needed = ", ".join(COLUMNS)
            raise UserError(
                f"{path} has {what}. Needed: {needed} (or '{DATE_COLUMN}' instead of 'timestamp'), "
                f"in small letters; there: {', '.join(names)}.{suggestion(name, names)}"
                " Rename the column that it is."
            )
    return RawCandles(
        _milliseconds(table.column("timestamp"), path),
        *(_numbers(table.column(name), name, path) for name in COLUMNS[1:]),
    )


def _milliseconds(column: pa.ChunkedArray, path: str) -> Int64:
    """Open times as int64 milliseconds, from integers or from dates of any resolution."""
    if column.null_count:
        raise UserError(f"{path}: {column.null_count} of {len(column)} rows have no timestamp.")
    try:
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("ms"))
        elif pa.types.is_timestamp(column.type):
            # pandas 3 writes [us] where pandas 2 wrote [ns]: name the unit, never assume it.
            column = column.cast(pa.timestamp("ms", column.type.tz))
        timestamp: Int64 = array_of(cast(column, pa.int64()))
    except pa.ArrowException as error:
        raise UserError(
            f"{path}: the open times must be whole milliseconds, as integers since the epoch or "
            f"as dates; found {column.type}: {_first_line(error)}."
        ) from error
    return timestamp


def _numbers(column: pa.ChunkedArray, name: str, path: str) -> Float:
    try:
        values: Float = array_of(cast(column, pa.float64()))
    except pa.ArrowException as error:
        raise UserError(
            f"{path}: column '{name}' must hold numbers, not {column.type}: {_first_line(error)}."
        ) from error
    return values


def _read_json(content: bytes, name: str) -> RawCandles:
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
            f"{name}: the open time in row {row + 1} is {times[row]:g}; it must be a whole number"
            " of milliseconds."
        )
    return RawCandles(times.astype(np.int64), *rows[:, 1:].T)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
