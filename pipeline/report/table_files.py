"""Write tables as CSV and as Parquet, piece by piece."""

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from pipeline.market_data.arrow import column_of, flag_column_of, text_column_of
from pipeline.report.rows import Column, Kind
from pipeline.report.tables import Cells, Table

_ARROW: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "day": pa.date32(),
    "moment": pa.timestamp("ms", "UTC"),
}
#: What a text must be quoted for.
_QUOTED = re.compile(r'[,"\r\n]')
_DTYPES: dict[Kind, type] = {"integer": np.int64, "number": np.float64}


def written(column: Column, values: NDArray[Any]) -> list[str]:
    """Write days as 2024-01-31 and moments as 2024-01-31T00:00:00Z."""
    if column.kind == "day":
        return list(np.datetime_as_string(values, "D").tolist())
    return list(np.datetime_as_string(values, "s", timezone="UTC").tolist())


def csv_of(table: Table, start: int, end: int) -> Iterator[bytes]:
    """Write rows as comma-separated values with a header; what is undefined is empty."""
    names = [column.name for column in table.columns]
    yield (",".join(names) + "\n").encode()
    texts = [column.name for column in table.columns if column.kind == "text"]
    for cells in _pieces(table, start, end):
        arrays = [
            text_column_of(written(column, cells[column.name]))
            if column.kind in ("day", "moment")
            else _array(column, cells[column.name])
            for column in table.columns
        ]
        out, quoted = io.BytesIO(), any(_QUOTED.search(v) for name in texts for v in cells[name])
        form = csv.WriteOptions(include_header=False, quoting_style="needed" if quoted else "none")
        csv.write_csv(pa.Table.from_arrays(arrays, names), out, form)
        yield out.getvalue()


def parquet_of(table: Table, start: int, end: int) -> Iterator[bytes]:
    """Write rows as Parquet; what is undefined is null, and each field says what it means."""
    schema = pa.schema(
        [
            pa.field(column.name, _ARROW[column.kind], metadata={"meaning": column.meaning})
            for column in table.columns
        ]
    )
    pipe = _Pipe()
    with pq.ParquetWriter(pipe, schema) as writer:
        for cells in _pieces(table, start, end):
            arrays = [_array(column, cells[column.name]) for column in table.columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield pipe.drained()
    yield pipe.drained()


def _pieces(table: Table, start: int, end: int) -> Iterator[Cells]:
    for first in range(start, end, table.piece):
        yield table.cells(first, min(first + table.piece, end))


def _array(column: Column, values: NDArray[Any]) -> pa.Array:
    """Make a column of Arrow; NaN is undefined. Arrow's own way would import pandas."""
    kind = _ARROW[column.kind]
    if column.kind == "text":
        return text_column_of(values.tolist())
    if column.kind == "flag":
        return flag_column_of(values)
    if column.kind == "day":
        return column_of(values.astype(np.int32), to=kind)
    if values.dtype.kind != "f":
        return column_of(values.astype(np.int64), to=kind)
    undefined = np.isnan(values)
    if column.kind == "integer":
        values = np.where(undefined, 0.0, values)
    return column_of(values.astype(_DTYPES[column.kind]), undefined)


class _Pipe(io.RawIOBase):
    """Takes what a writer writes, and gives it away in pieces."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        """Say that it can be written to, and nothing else."""
        return True

    def tell(self) -> int:
        """Bytes that were written in all."""
        return self._written

    def write(self, data: Any) -> int:
        """Take a part."""
        self._parts.append(bytes(data))
        self._written += len(self._parts[-1])
        return len(self._parts[-1])

    def drained(self) -> bytes:
        """Give away what has come since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
