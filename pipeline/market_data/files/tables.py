"""Take the columns of a candle out of tables, whatever holds them."""

import pyarrow as pa

from gpu_engine import Float
from pipeline.errors import UserError, first_line
from pipeline.market_data.arrow import array_of, cast
from pipeline.market_data.files.clock import Clock
from pipeline.market_data.files.headers import positions
from pipeline.market_data.raw import COLUMNS, RawCandles


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
