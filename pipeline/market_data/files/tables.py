"""Take the columns of a candle out of tables, whatever holds them."""

from collections.abc import Sequence

import pyarrow as pa

from gpu_engine import Float, Int64
from pipeline.errors import UserError, first_line, suggestion
from pipeline.market_data.arrow import array_of, cast
from pipeline.market_data.raw import COLUMNS, RawCandles

#: freqtrade's name for the open time, a date column instead of integers.
DATE_COLUMN = "date"


def needed_columns(names: Sequence[str], path: str) -> list[str]:
    """Name the columns of a candle among those that are there, the open time first.

    Raises
    ------
    UserError
        If one is missing or there twice.
    """
    needed = list(COLUMNS)
    if "timestamp" not in names and DATE_COLUMN in names:
        needed[0] = DATE_COLUMN
    for name in needed:
        if names.count(name) != 1:
            what = f"no column '{name}'" if name not in names else f"several columns '{name}'"
            columns = ", ".join(COLUMNS)
            raise UserError(
                f"{path} has {what}. Needed: {columns} (or '{DATE_COLUMN}' instead of 'timestamp'),"
                f" in small letters; there: {', '.join(names)}.{suggestion(name, names)}"
                " Rename the column that holds it, if there is one."
            )
    return needed


def candles_of(table: pa.Table, path: str) -> RawCandles:
    """Take the named columns of a table.

    Raises
    ------
    UserError
        If a column is missing or of another type.
    """
    time, *numbers = needed_columns(table.column_names, path)
    return RawCandles(
        _milliseconds(table.column(time), path),
        *(_numbers(table.column(name), name, path) for name in numbers),
    )


def refuse_type(kind: pa.DataType, name: str, path: str, reason: str) -> UserError:
    """Say that a column is of a type that its figures cannot have."""
    if name in ("timestamp", DATE_COLUMN):
        return UserError(
            f"{path}: the open times must be whole milliseconds, as integers since the epoch or "
            f"as dates; found {kind}: {reason}."
        )
    return UserError(f"{path}: column '{name}' must hold numbers, not {kind}: {reason}.")


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
        raise refuse_type(column.type, "timestamp", path, first_line(error)) from error
    return timestamp


def _numbers(column: pa.ChunkedArray, name: str, path: str) -> Float:
    try:
        values: Float = array_of(cast(column, pa.float64()))
    except pa.ArrowException as error:
        raise refuse_type(column.type, name, path, first_line(error)) from error
    return values
