"""One month of candles: a Parquet file that tells by itself what it holds and whether it is whole.

The record of the month travels in the file's own metadata, sealed by a hash, and the record holds
the hash of the candles. A rename thus replaces candles, record and hashes at once, and any later
change of a byte that matters is seen on reading. Nothing is flushed to the disk for the same
reason: what a power cut tears is found, set aside and fetched again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from pipeline.errors import UserError
from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.spans import Span
from pipeline.market_data.store.atomic_files import replace_file

#: Version of the layout on disk; version 1 was one file a market, without months. A later one keeps
#: the keys, the seals and the field ``schema``, so that this one knows it for what it is.
SCHEMA = 2

#: Half the reading time of Parquet's defaults; every reader of Parquet 2 knows them.
ENCODINGS = {
    "timestamp": "DELTA_BINARY_PACKED",
    **dict.fromkeys(COLUMNS[1:], "BYTE_STREAM_SPLIT"),
}

RECORD_KEY, SEAL_KEY = b"candle_month", b"candle_month_sha256"


class DamagedError(Exception):
    """A file of the store that is not what was written; its text is the reason."""


@dataclass(frozen=True)
class Month:
    """What one month's file holds.

    Attributes
    ----------
    rows : int
        At least one.
    first, last : int
        Open times of the first and the last candle, milliseconds since the epoch, UTC.
    gaps : int
        Runs of missing candles between ``first`` and ``last``.
    sha256 : str
        Of the candles, column after column (`content_hash`); the same candles have the same hash,
        whoever wrote them and when.
    sources : tuple of str
        Where the candles came from, in the order in which they first came.
    fetched_at : str
        When the file was written, ISO 8601, UTC.
    answered : tuple of Span
        The part of the store's answered spans that lies in this month.
    """

    rows: int
    first: int
    last: int
    gaps: int
    sha256: str
    sources: tuple[str, ...]
    fetched_at: str
    answered: tuple[Span, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values with the version of the layout."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: Path) -> Month:
        """Read `to_json`'s values back; ``where`` is what an error names."""
        check_schema(values, where)
        fields = {name: value for name, value in values.items() if name != "schema"}
        fields["sources"] = tuple(fields["sources"])
        fields["answered"] = tuple((start, end) for start, end in fields["answered"])
        return cls(**fields)


def check_schema(values: Mapping[str, Any], where: Path) -> None:
    """Refuse what a later version of this program wrote.

    Raises
    ------
    UserError
        If the layout is of a later version.
    """
    if values["schema"] > SCHEMA:
        raise UserError(
            f"{where} was written by a later version of this program (layout {values['schema']}, "
            f"this one reads up to {SCHEMA}): update the program, or choose another folder with "
            "data.store."
        )


def month_span(name: str) -> Span:
    """First moment of the month ``2023-01``, and of the next."""
    month = np.datetime64(name, "M")
    start, end = (np.array([month, month + 1]).astype("datetime64[ms]")).astype(np.int64)
    return int(start), int(end)


def by_month(candles: RawCandles) -> Iterator[tuple[str, RawCandles]]:
    """Cut candles, sorted by time, at the first moments of UTC months."""
    months = candles.timestamp.astype("datetime64[ms]").astype("datetime64[M]")
    names, starts = np.unique(months, return_index=True)
    borders = pairwise([*starts, len(candles)])
    for name, (start, end) in zip(names, borders, strict=True):
        yield str(name), candles.take(np.arange(start, end))


def content_hash(candles: RawCandles) -> str:
    """SHA-256 of the columns one after the other, as little-endian int64 and float64."""
    digest = sha256()
    for name in COLUMNS:
        digest.update(np.ascontiguousarray(getattr(candles, name)).data)
    return digest.hexdigest()


def write_month(file: Path, candles: RawCandles, month: Month) -> None:
    """Replace the month's file in one step."""
    record = json.dumps(month.to_json()).encode()
    table = pa.table({name: getattr(candles, name) for name in COLUMNS})
    table = table.replace_schema_metadata({RECORD_KEY: record, SEAL_KEY: _seal(record)})
    replace_file(
        file,
        lambda temporary: pyarrow.parquet.write_table(
            table, temporary, compression="zstd", use_dictionary=False, column_encoding=ENCODINGS
        ),
    )


def read_month(file: Path) -> tuple[RawCandles, Month]:
    """Read a month and hold it against its hashes.

    Raises
    ------
    DamagedError
        If it is not what `write_month` wrote for the month in its name.
    UserError
        If a later version of this program wrote it.
    """
    content = pa.py_buffer(file.read_bytes())  # errors of the disk are not damage to the file
    start, end = month_span(file.stem)
    try:
        table = pyarrow.parquet.ParquetFile(content).read(use_threads=False)
        month = _record(table.schema.metadata or {}, file)
        candles = RawCandles(*(table.column(name).to_numpy() for name in COLUMNS))
        digest = content_hash(candles)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(f"it cannot be read: {reason}") from error
    if digest != month.sha256:
        raise DamagedError("its candles do not have the hash that they were written with")
    if not start <= month.first <= month.last < end:
        raise DamagedError("it holds candles of another month")
    return candles, month


def stored_month(file: Path) -> Month | None:
    """Read what the file says of itself, not its candles; None where there is no whole record."""
    try:
        return _record(pyarrow.parquet.read_schema(file).metadata or {}, file)
    except (pa.ArrowException, OSError, ValueError):
        return None


def _record(metadata: Mapping[bytes, bytes], file: Path) -> Month:
    record = metadata.get(RECORD_KEY, b"")
    if metadata.get(SEAL_KEY) != _seal(record):
        raise ValueError(
            "this store did not write it so; candles of your own are brought in with "
            "python -m pipeline.fetch import=PATH"
        )
    return Month.from_json(json.loads(record), file)


def _seal(record: bytes) -> bytes:
    return sha256(record).hexdigest().encode()
