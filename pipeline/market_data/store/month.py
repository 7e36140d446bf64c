"""Write and read one month of a series: a Parquet file that carries its own record and hashes.

The record of the month travels in the file's metadata, sealed by a hash, and holds the hash of the
candles. A rename thus replaces candles, record and hashes at once, and reading finds any later
change of a byte that matters. For the same reason nothing is flushed to the disk: a month that a
power cut tears is recognised, set aside and fetched again.

Answered time that has no file of its month, such as the long one before a market's first candle, is
kept in a sealed file of JSON.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from gpu_engine import DAY_MS, Int64
from pipeline.errors import UserError
from pipeline.market_data.arrow import array_of, table_of
from pipeline.market_data.raw import R, Rows, Span, clipped, uncovered
from pipeline.market_data.store.atomic_files import Put, replace_file, replace_text

#: Version of the record. Version 2 had more fields, which are ignored. A later version keeps the
#: keys, the seal and the field ``schema``, so that this one recognises it.
SCHEMA = 3

#: Half the reading time of Parquet's defaults; every reader of Parquet 2 knows them.
TIME_ENCODING, NUMBER_ENCODING = "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"

#: Times whose months are looked up at once.
_BLOCK = 1 << 16

RECORD_KEY, SEAL_KEY = b"candle_month", b"candle_month_sha256"

#: Earlier versions listed the months here, and the answers of months without a candle; a save puts
#: these into files of their own and removes it.
FORMER_MANIFEST = "_manifest.json"

#: Holds a long answered time before the month of the first candle, which would be hundreds of
#: files of no rows: all of `data.history=all` begins in 2010. Up to two years are such files.
BEGINNING = "_beginning.json"
LONG_MS = 2 * 366 * DAY_MS


class DamagedError(Exception):
    """A file of the store that is not what was written; its text is the reason."""


@dataclass(frozen=True)
class MonthRecord:
    """What a month's file says about its candles.

    Attributes
    ----------
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

    sha256: str
    sources: tuple[str, ...]
    fetched_at: str
    answered: tuple[Span, ...]


def month_span(name: str) -> Span:
    """Return the first moment of the month ``2023-01``, and of the next."""
    month = np.datetime64(name, "M")
    start, end = (np.array([month, month + 1]).astype("datetime64[ms]")).astype(np.int64)
    return int(start), int(end)


def month_names(times: Int64, spans: Iterable[Span]) -> list[str]:
    """Name the UTC months that hold any of the times or a part of any span, oldest first."""
    months: set[np.datetime64] = set()
    for start in range(0, len(times), _BLOCK):
        months.update(np.unique(_months(times[start : start + _BLOCK])))
    for start, end in spans:
        first, last = _months(np.array([start, end - 1]))
        months.update(np.arange(first, last + 1))
    return [str(month) for month in sorted(months)]


def _months(times: Int64) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    return times.astype("datetime64[ms]").astype("datetime64[M]")


def content_hash(rows: Rows) -> str:
    """SHA-256 of the columns one after the other, as little-endian int64 and float64."""
    digest = sha256()
    for name in rows.COLUMNS:
        digest.update(np.ascontiguousarray(getattr(rows, name)).data)
    return digest.hexdigest()


def write_month(file: Path, rows: Rows, record: MonthRecord, put: Put = replace_file) -> None:
    """Replace the month's file in one step; a month of nothing has a file of no rows."""
    text = json.dumps({"schema": SCHEMA, **asdict(record)}).encode()
    time, *numbers = rows.COLUMNS
    encodings = {time: TIME_ENCODING, **dict.fromkeys(numbers, NUMBER_ENCODING)}
    table = table_of({name: getattr(rows, name) for name in rows.COLUMNS})
    table = table.replace_schema_metadata({RECORD_KEY: text, SEAL_KEY: _seal(text)})
    put(
        file,
        lambda temporary: pyarrow.parquet.write_table(
            table, temporary, compression="zstd", use_dictionary=False, column_encoding=encodings
        ),
    )


def read_month(file: Path, kind: type[R]) -> tuple[R, MonthRecord]:
    """Read a month of a kind of rows and check it against its hashes.

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
        table = pyarrow.parquet.ParquetFile(content, pre_buffer=False).read(use_threads=False)
        record = _record(table.schema.metadata or {}, file)
        rows = kind(*(array_of(table.column(name)) for name in kind.COLUMNS))
        digest = content_hash(rows)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(f"it cannot be read: {reason}") from error
    if digest != record.sha256:
        raise DamagedError("its candles do not have the hash that they were written with")
    foreign = (rows.timestamp < start) | (rows.timestamp >= end)
    if foreign.any() or clipped(record.answered, (start, end)) != record.answered:
        raise DamagedError("it holds candles of another month")
    return rows, record


def read_record(file: Path) -> MonthRecord | None:
    """Read the month's record without its candles; None where the file has no whole record."""
    try:
        return _record(pyarrow.parquet.read_schema(file).metadata or {}, file)
    except (pa.ArrowException, OSError, ValueError):
        return None


class MonthSummary(NamedTuple):
    """What the footer of a month's file tells: rows, first and last time (None without rows)."""

    record: MonthRecord
    rows: int
    first: int | None
    last: int | None


def read_summary(file: Path) -> MonthSummary | None:
    """Read the footer of a month's file and none of its columns; None where it is no whole one."""
    try:
        footer = pyarrow.parquet.read_metadata(file)
        record = _record(footer.metadata or {}, file)
        groups = [footer.row_group(n).column(0).statistics for n in range(footer.num_row_groups)]
        times = [
            (group.min, group.max) for group in groups if group is not None and group.has_min_max
        ]
    except (pa.ArrowException, OSError, ValueError):
        return None
    first, last = (times[0][0], times[-1][1]) if times else (None, None)
    return MonthSummary(record, footer.num_rows, first, last)


def _record(metadata: Mapping[bytes, bytes], file: Path) -> MonthRecord:
    text = metadata.get(RECORD_KEY, b"")
    if metadata.get(SEAL_KEY) != _seal(text):
        raise ValueError(
            "this store did not write it so; candles of your own are brought in with "
            "scripts/fetch market=MARKET import=PATH"
        )
    values = json.loads(text)
    if values["schema"] > SCHEMA:
        raise UserError(
            f"{file} was written by a later version of this program (layout {values['schema']}, "
            f"this one reads up to {SCHEMA}): update the program, or choose another folder with "
            "data.store."
        )
    answered = tuple((start, end) for start, end in values["answered"])
    return MonthRecord(values["sha256"], tuple(values["sources"]), values["fetched_at"], answered)


def _seal(record: bytes) -> bytes:
    return sha256(record).hexdigest().encode()


def former_answers(path: Path) -> list[Span]:
    """Read what only the manifest of an earlier version knows: answered months without a candle."""
    try:
        values = read_sealed(path / FORMER_MANIFEST)
        return [(int(start), int(end)) for start, end in values["answered_empty"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # these spans are asked for once more


def empty_beginning(path: Path) -> list[Span]:
    """Read the answered time before the month of the first candle that has no files."""
    try:
        start, end = read_sealed(path / BEGINNING)["answered"]
        return [(int(start), int(end))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # it is asked for once more


def save_beginning(
    path: Path, times: Int64, answered: Sequence[Span], put: Put = replace_file
) -> Sequence[Span]:
    """Keep a long answered time before the month of the first candle; return the other spans.

    Parameters
    ----------
    path : Path
        The market's folder.
    times : int64 array of shape (n,)
        Of all its rows, sorted, milliseconds since the epoch, UTC.
    answered : sequence of Span
        Sorted and disjoint.
    put : callable
        Writes and removes files.
    """
    file = path / BEGINNING
    first = month_span(month_names(times[:1], ())[0])[0] if len(times) else 0
    start = next((span[0] for span in answered if span[0] < first <= span[1]), first)
    if first - start <= LONG_MS:
        put(file, None)
        return answered
    if empty_beginning(path) != [(start, first)]:
        write_sealed(file, {"answered": [start, first]}, put)
    return [part for span in answered for part in uncovered(span, [(start, first)])]


def write_sealed(file: Path, values: Mapping[str, object], put: Put = replace_file) -> None:
    """Replace a file by JSON of ``values`` that carries their hash."""
    replace_text(file, json.dumps({**values, "sha256": _seal_of(values)}), put)


def read_sealed(file: Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote; a `ValueError` where it has another hash."""
    values: dict[str, Any] = json.loads(file.read_bytes())
    if values.pop("sha256") != _seal_of(values):
        raise ValueError("it is not what was written")
    return values


def _seal_of(values: Mapping[str, object]) -> str:
    return _seal(json.dumps(values, sort_keys=True).encode()).decode()
