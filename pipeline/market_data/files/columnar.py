"""Read Parquet and feather files batch by batch, after what they claim to hold was looked at.

A few kilobytes can claim any number of rows, cells of any length and buffers of any size. So rows,
types and sizes are taken from the metadata first, and only the columns of a candle are unpacked.
A feather file's sizes stand in the messages of Arrow's format for files
(https://arrow.apache.org/docs/format/Columnar.html, "IPC File Format"), which are FlatBuffers
(https://flatbuffers.dev/internals/).
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from pipeline.errors import UserError
from pipeline.market_data.files.parquet_pages import metadata_span, unpacked

#: Rows of a batch; bytes that the texts of a batch may have, and those of a cell.
BATCH, TEXTS, LONGEST_TEXT = 65_536, 256 << 20, 100

#: Bytes that columns may unpack to: so many for each cell, and for a small file.
A_CELL, SMALL = 16, 64 << 20

#: What reading damaged content raises.
DAMAGE = (pa.ArrowException, OSError, ValueError, struct.error)

_MAGIC = b"ARROW1"
_FOOTER, _MESSAGE, _RECORD_BATCH, _DICTIONARY = (2, 3), 2, 3, 2  # fields, and kinds of a header


class Columnar(NamedTuple):
    """A file whose metadata was read.

    ``schema`` has all columns; ``rows`` and ``size`` are the rows and the unpacked bytes that the
    metadata claims; ``claims`` returns those that the columns claim themselves. ``tables`` unpacks
    the columns of the given names.
    """

    schema: pa.Schema
    rows: int
    size: int
    claims: Callable[[], int]
    tables: Callable[[list[str]], Iterator[pa.Table]]

    def checked(self, columns: list[str], name: str) -> Iterator[pa.Table]:
        """Unpack columns of which each is a plain one; cells of text are bounded.

        Raises
        ------
        UserError
            If they claim more bytes than so many rows need, or a cell holds a long text.
        """
        most, size = SMALL + A_CELL * self.rows * len(self.schema.names), self.size
        if size <= most:
            size = self.claims()
        if size > most:
            raise UserError(
                f"{name} has {self.rows:,} rows and unpacks to {size:,} bytes, more than"
                f" candles take: export the columns {', '.join(columns)} alone, as numbers."
            )
        for table in self.tables(columns):
            yield table if not any(map(_of_text, table.schema.types)) else _decoded(table, name)


def opened(source: str | pa.NativeFile, suffix: str) -> Columnar:
    """Read the metadata of a ``.parquet`` or ``.feather`` file.

    Raises
    ------
    ArrowException, OSError, ValueError, struct.error
        If it is damaged or of another kind.
    """
    return _parquet(source) if suffix == ".parquet" else _feather(source)


def is_plain(kind: pa.DataType) -> bool:
    """Whether cells of this type are one number, one date or one text each."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = ("integer", "floating", "decimal", "boolean", "null", "date", "timestamp")
    return _of_text(kind) or any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _of_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _parquet(source: str | pa.NativeFile) -> Columnar:
    content = pa.memory_map(source) if isinstance(source, str) else source
    metadata_span(content)
    # Threads that read ahead may outlive what they read, and end the process: nothing reads ahead.
    file = pyarrow.parquet.ParquetFile(source, pre_buffer=False)
    schema, metadata = file.schema_arrow, file.metadata
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    batch = BATCH
    texts = [field.name for field in schema if _of_text(field.type)]
    if texts:  # each distinct text once, however many rows have it
        batch = max(1, min(BATCH, TEXTS // max(1, size)))  # one may be as long as all of them
        if isinstance(source, pa.NativeFile):
            source.seek(0)
        file = pyarrow.parquet.ParquetFile(source, read_dictionary=texts, pre_buffer=False)

    def tables(columns: list[str]) -> Iterator[pa.Table]:
        # Threads of PyArrow that read a Python file wait for each other, and may outlive it.
        threads = isinstance(source, str)
        for part in file.iter_batches(batch, columns=columns, use_threads=threads):
            yield pa.Table.from_batches([part])

    # The sizes of single columns are not asked for: PyArrow aborts over some that are damaged.
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    return Columnar(schema, rows, size, lambda: unpacked(content), tables)


def _feather(source: str | pa.NativeFile) -> Columnar:
    file = pa.memory_map(source) if isinstance(source, str) else source
    if file.read(len(_MAGIC)) != _MAGIC:
        return _former_feather(source)
    rows, size = _claims(file)
    schema = pa.ipc.open_file(file).schema

    def tables(columns: list[str]) -> Iterator[pa.Table]:
        fields = sorted(schema.get_field_index(name) for name in columns)
        reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=fields))
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            batch.validate(full=True)  # offsets may point anywhere
            yield pa.Table.from_batches([batch])

    return Columnar(schema, rows, size, lambda: size, tables)


def _former_feather(source: str | pa.NativeFile) -> Columnar:
    """Read version 1, which packs nothing: it holds no more than it has bytes."""
    if not isinstance(source, str):
        source.seek(0)
    table = pyarrow.feather.read_table(source)
    size = table.nbytes
    return Columnar(table.schema, len(table), size, lambda: size, lambda _: iter([table]))


def _claims(file: pa.NativeFile) -> tuple[int, int]:
    """Sum rows and unpacked bytes of all batches that the footer lists."""
    end = file.size() - len(_MAGIC) - 4
    file.seek(end)
    (length,) = struct.unpack("<i", file.read(4))
    if not 0 < length <= end:
        raise ValueError("its footer has no length")
    file.seek(end - length)
    footer = _Flat(file.read(length))
    rows = size = 0
    for field in _FOOTER:
        for block in footer.vector(footer.root, field, 24):
            (offset,) = struct.unpack_from("<q", block)
            file.seek(offset)
            message = pa.ipc.read_message(file)
            batch_rows, batch_size = _of_message(message.metadata, message.body)
            rows += batch_rows
            size += batch_size
    return rows, size


def _of_message(metadata: pa.Buffer, body: pa.Buffer) -> tuple[int, int]:
    message = _Flat(metadata.to_pybytes())
    kind = message.scalar(message.root, 1, "<B")
    batch = message.table(message.root, _MESSAGE)
    if kind == _DICTIONARY:
        batch = message.table(batch, 1)
    elif kind != _RECORD_BATCH:
        raise ValueError("a block is no batch")
    packed = message.at(batch, 3) is not None
    size = 0
    for block in message.vector(batch, 2, 16):
        offset, length = struct.unpack("<qq", block)
        claim = length
        if packed and length >= 8:
            (claim,) = struct.unpack_from("<q", body, offset)
        size += length if claim == -1 else claim  # -1: this one is not packed
        if claim < -1 or length < 0:
            raise ValueError("a buffer has a negative length")
    return (0 if kind == _DICTIONARY else message.scalar(batch, 0, "<q")), size


class _Flat:
    """Fields of a FlatBuffer's tables, by their numbers; a position is an offset in its bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.root = struct.unpack_from("<I", content)[0]

    def at(self, table: int, field: int) -> int | None:
        """Return where a field's value is; None where the table does not have it."""
        fields = table - struct.unpack_from("<i", self._content, table)[0]
        if fields < 0 or 4 + 2 * field >= struct.unpack_from("<H", self._content, fields)[0]:
            return None
        offset = struct.unpack_from("<H", self._content, fields + 4 + 2 * field)[0]
        return table + offset if offset else None

    def scalar(self, table: int, field: int, layout: str) -> int:
        """Return a number; 0 where the table does not have it."""
        at = self.at(table, field)
        return 0 if at is None else int(struct.unpack_from(layout, self._content, at)[0])

    def table(self, table: int, field: int) -> int:
        """Return the position of a table in a table."""
        at = self.at(table, field)
        if at is None:
            raise ValueError("a message has no header")
        return at + int(struct.unpack_from("<I", self._content, at)[0])

    def vector(self, table: int, field: int, size: int) -> list[bytes]:
        """Return the elements of a vector of structures of ``size`` bytes."""
        if self.at(table, field) is None:
            return []
        at = self.table(table, field)
        (count,) = struct.unpack_from("<I", self._content, at)
        elements = self._content[at + 4 : at + 4 + count * size]
        if len(elements) != count * size:
            raise ValueError("a list in it is cut short")
        return [elements[start : start + size] for start in range(0, len(elements), size)]


def _decoded(table: pa.Table, name: str) -> pa.Table:
    """Turn columns of text from dictionaries into plain ones, unless a text is long."""
    from pyarrow import compute

    for at, column in enumerate(table.columns):
        if not _of_text(column.type):
            continue
        for chunk in column.chunks:
            texts = chunk.dictionary if pa.types.is_dictionary(column.type) else chunk
            longest = compute.max(compute.binary_length(texts)).as_py() or 0
            if longest > LONGEST_TEXT:
                raise UserError(
                    f"{name}: column '{table.column_names[at]}' holds a text of {longest:,} bytes;"
                    f" cells of candles have at most {LONGEST_TEXT}. Export it as numbers."
                )
        if pa.types.is_dictionary(column.type):
            chunks = [chunk.dictionary_decode() for chunk in column.chunks]
            plain = pa.chunked_array(chunks, column.type.value_type)
            table = table.set_column(at, table.column_names[at], plain)
    return table
