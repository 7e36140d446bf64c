"""Answer with a table: a page of it as JSON, or the whole as CSV or Parquet, piece by piece."""

import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import Query, Request, Response
from numpy.typing import NDArray
from pyarrow import csv
from starlette.responses import StreamingResponse

from pipeline.market_data.arrow import column_of, flag_column_of, text_column_of
from pipeline.report.rows import Column, Kind
from pipeline.report.tables import Cells, Table
from pipeline.web.api.etags import tags_of

Format = Literal["json", "csv", "parquet"]
#: Rows of a page of JSON at most, and where nobody says how many.
MOST_ROWS, SOME_ROWS = 10_000, 1_000

MEDIA: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
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


class TableQuery:
    """Which rows of a table are asked for, in which form, and what the client has already."""

    def __init__(
        self,
        request: Request,
        form: Annotated[
            Format | None,
            Query(alias="format", description="Else the first that Accept names; else json."),
        ] = None,
        limit: Annotated[
            int | None,
            Query(
                ge=1,
                le=MOST_ROWS,
                description=f"Rows; else {SOME_ROWS:,} of JSON, all of CSV and Parquet.",
            ),
        ] = None,
        offset: Annotated[
            int, Query(ge=0, le=100_000_000, description="Rows that are left out.")
        ] = 0,
    ) -> None:
        headers = request.headers
        self._form = form or _accepted(headers.get("accept", ""))
        self._limit, self._offset = limit, offset
        self._known = tags_of(headers.getlist("if-none-match"))

    def answer(
        self,
        key: str,
        name: str,
        tag: str | None,
        make: Callable[[], Table],
        some: int = SOME_ROWS,
        more: Mapping[str, Any] | None = None,
    ) -> Response:
        """Answer with a page as JSON, its rows under ``key``, or with all rows in another form.

        Parameters
        ----------
        name : str
            What a file of it is called, with ``key``.
        tag : str or None
            What changes with the content. Where the client has it the table is not made. None
            where nothing does: the answer is made anew every time.
        some : int
            Rows of a page of JSON where nobody says how many.
        more : mapping, optional
            What the JSON says besides.
        """
        form, limit, offset = self._form, self._limit, self._offset
        headers = {"Cache-Control": "no-cache", "Vary": "Accept"}
        if tag is not None:
            headers["ETag"] = f'"{tag}-{form}"'
            if self._known & {"*", f"{tag}-{form}"}:
                return Response(status_code=304, headers=headers)
        table = make()
        if form == "json":
            limit = limit or some
            page: dict[str, Any] = {"total": table.total, "limit": limit, "offset": offset}
            page |= more or {}
            page[key] = rows_of(table, offset, min(offset + limit, table.total))
            return Response(json.dumps(page), media_type=MEDIA[form], headers=headers)
        headers["Content-Disposition"] = f'attachment; filename="{name}-{key}.{form}"'
        end = table.total if limit is None else min(offset + limit, table.total)
        pieces = csv_of(table, offset, end) if form == "csv" else parquet_of(table, offset, end)
        return StreamingResponse(pieces, media_type=MEDIA[form], headers=headers)


def _accepted(accept: str) -> Format:
    """Return the first of our formats that Accept names; else json."""
    types = [word.partition(";")[0].strip().lower() for word in accept.split(",")]
    ours = {media.partition(";")[0]: name for name, media in MEDIA.items()}
    return next((ours[one] for one in types if one in ours), "json")


def described_table(page: type[Any]) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a table for the OpenAPI document."""
    text = {"schema": {"type": "string"}}
    other = {"text/csv": text, MEDIA["parquet"]: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"model": page, "description": "A page as JSON, or the rows alone.", "content": other},
        304: {"description": "It is as If-None-Match has it."},
    }


def rows_of(table: Table, start: int, end: int) -> list[dict[str, Any]]:
    """Return rows as JSON has them: a dotted column is a field of a field."""
    if start >= end:
        return []
    cells = table.cells(start, end)
    lists = [
        (column.name.split("."), _plain(column, cells[column.name])) for column in table.columns
    ]
    rows: list[dict[str, Any]] = [{} for _ in range(end - start)]
    for (*outer, inner), values in lists:
        for row, value in zip(rows, values, strict=True):
            for name in outer:
                row = row.setdefault(name, {})
            row[inner] = value
    return rows


def _plain(column: Column, values: NDArray[Any]) -> list[Any]:
    """Values of JSON; what is not finite is null."""
    if column.kind in ("day", "moment"):
        return _written(column, values)
    plain: list[Any] = values.tolist()
    if values.dtype.kind != "f":
        return plain
    number = int if column.kind == "integer" else float
    return [number(v) if math.isfinite(v) else None for v in plain]


def _written(column: Column, values: NDArray[Any]) -> list[str]:
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
            text_column_of(_written(column, cells[column.name]))
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
