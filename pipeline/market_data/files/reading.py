"""Candles from a file: Parquet, CSV or feather, columns as in candles rules §1 or freqtrade's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from gpu_engine.records import Float, Int64
from pipeline.errors import UserError, suggestion
from pipeline.market_data.raw import COLUMNS, RawCandles

READERS: dict[str, Callable[[str | pa.NativeFile], pa.Table]] = {
    ".parquet": lambda file: pyarrow.parquet.ParquetFile(file).read(),
    ".csv": pyarrow.csv.read_csv,
    ".feather": pyarrow.feather.read_table,
}

#: freqtrade's name for the open time, a date column instead of integers.
DATE_COLUMN = "date"


def read_file(path: str | Path) -> RawCandles:
    """Read candles, in the order of the file.

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
    return read_candles(str(path), path.suffix.lower(), str(path))


def read_candles(file: str | pa.NativeFile, suffix: str, name: str) -> RawCandles:
    """Read candles as `read_file` does, from a path or an open file that errors call ``name``.

    ``suffix`` is one of `READERS`.
    """
    try:
        table = READERS[suffix](file)
    except (pa.ArrowException, OSError, ValueError) as error:  # UnicodeDecodeError too
        raise UserError(
            f"{name} cannot be read as {suffix[1:]}: {_first_line(error)}. "
            "The file is damaged or of another kind; fetch or export it again."
        ) from error
    return _candles(table, name)


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


def _candles(table: pa.Table, path: str) -> RawCandles:
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
        timestamp: Int64 = column.cast(pa.int64()).to_numpy()
    except pa.ArrowException as error:
        raise UserError(
            f"{path}: the open times must be whole milliseconds, as integers since the epoch or "
            f"as dates; found {column.type}: {_first_line(error)}."
        ) from error
    return timestamp


def _numbers(column: pa.ChunkedArray, name: str, path: str) -> Float:
    try:
        values: Float = column.cast(pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise UserError(
            f"{path}: column '{name}' must hold numbers, not {column.type}: {_first_line(error)}."
        ) from error
    return values


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
