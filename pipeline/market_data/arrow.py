"""Turn columns of Arrow into NumPy's and back without pandas.

pyarrow's own conversions import pandas where it is installed: that takes longer than to read a year
of candles.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

DTYPES: Mapping[pa.DataType, type] = {
    pa.int8(): np.int8,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.float64(): np.float64,
}


def cast(column: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    """Convert a column to a type, which it mostly has: a conversion imports `pyarrow.compute`."""
    return column if column.type == to else column.cast(to)


def array_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """Copy a column; an empty cell of float64 becomes NaN.

    Raises
    ------
    ValueError
        If the column is of none of `DTYPES`, or has an empty cell and is not of float64.
    """
    dtype = DTYPES.get(column.type)
    if dtype is None or (column.null_count and dtype is not np.float64):
        raise ValueError(f"a column of {column.type} with {column.null_count} empty cells")
    result: NDArray[Any] = np.empty(len(column), dtype)
    start = 0
    for chunk in column.chunks:
        if not len(chunk):
            continue
        part = result[start : start + len(chunk)]
        cells = slice(chunk.offset, chunk.offset + len(chunk))
        valid, values = chunk.buffers()
        part[:] = np.frombuffer(values, dtype, count=cells.stop)[cells]
        if chunk.null_count:
            bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
            part[bits[cells] == 0] = np.nan
        start += len(chunk)
    return result


def table_of(columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    """Make a table of arrays of `DTYPES`, by name."""
    return pa.table({name: column_of(values) for name, values in columns.items()})


def column_of(
    values: NDArray[Any], undefined: NDArray[np.bool_] | None = None, to: pa.DataType | None = None
) -> pa.Array:
    """Make a column of an array of one of `DTYPES`; its memory is shared where it is contiguous.

    Cells that are ``undefined`` are empty; ``to`` is another type of the same width, such as a
    date.
    """
    values = np.ascontiguousarray(values)
    arrow = pa.from_numpy_dtype(values.dtype) if to is None else to
    valid = None if undefined is None else _bits(~undefined)
    return pa.Array.from_buffers(arrow, len(values), [valid, pa.py_buffer(values)])


def flag_column_of(values: NDArray[np.bool_]) -> pa.Array:
    """Make a column of flags."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def text_column_of(values: Sequence[str]) -> pa.Array:
    """Make a column of texts."""
    texts = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers)


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
