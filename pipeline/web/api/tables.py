"""Answer with a table: a page of it as JSON, or the whole as CSV or Parquet, piece by piece."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from numpy.typing import NDArray
from starlette.responses import StreamingResponse

from pipeline.report.rows import Column
from pipeline.report.table_files import csv_of, parquet_of, written
from pipeline.report.tables import Table


def tags_of(if_none_match: list[str] | None) -> set[str]:
    """Return the tags that If-None-Match headers name, or ``*`` (RFC 9110, 13.1.2, weak).

    Of what is no tag in quotation marks there is none.
    """
    words = [word.strip().removeprefix("W/") for word in ",".join(if_none_match or ()).split(",")]
    quoted = {word[1:-1] for word in words if len(word) > 2 and word[0] == word[-1] == '"'}
    return quoted | ({"*"} & set(words))


Format = Literal["json", "csv", "parquet"]
#: Rows of a page of JSON at most, and where nobody says how many.
MOST_ROWS, SOME_ROWS = 10_000, 1_000

MEDIA: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


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
        return written(column, values)
    plain: list[Any] = values.tolist()
    if values.dtype.kind != "f":
        return plain
    number = int if column.kind == "integer" else float
    return [number(v) if math.isfinite(v) else None for v in plain]
