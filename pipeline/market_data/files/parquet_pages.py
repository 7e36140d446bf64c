"""Sum what the pages of a Parquet file claim to unpack to, before any is unpacked.

PyArrow makes room for a page as its header says, up to 2 GiB, whatever the file's metadata says of
its column. So the headers are read here first, as the reader will find them: from the start of
each column chunk, one page after the other, until all values of the chunk were seen
(https://parquet.apache.org/docs/file-format/). Metadata and headers are structures of Thrift's
compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
"""

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

#: Bytes that a header has at first sight, and at most; bytes of metadata that are read. Candles
#: need a hundred for each column of a million rows.
_HEADER, _LARGEST_HEADER, _LARGEST_METADATA = 1 << 10, 1 << 20, 4 << 20

#: How deep structures may lie in each other.
_DEEPEST = 16

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

#: A value by the number and the type of its field: a reader passes over one of another type.
_Fields = dict[tuple[int, int], Any]

_INDEX_PAGE, _DICTIONARY_PAGE = 1, 2


def unpacked(file: pa.NativeFile) -> int:
    """Sum the bytes that the pages of all columns claim to unpack to.

    A chunk's own name of its column is not asked: a reader goes by its place.

    Raises
    ------
    ValueError, struct.error
        If the file is damaged.
    """
    try:
        return sum(_claims(file, chunk) for chunk in _chunks(file))
    except (IndexError, AttributeError, TypeError) as error:  # a value of another type than it has
        raise ValueError("its metadata is damaged") from error


def metadata_span(file: pa.NativeFile) -> tuple[int, int]:
    """Return where the metadata begins, and its length.

    Raises
    ------
    ValueError, struct.error
        If it is longer than candles need, or than the file.
    """
    end = file.size() - 8
    (length,) = struct.unpack("<I", file.read_at(4, max(0, end)))
    if length > min(end, _LARGEST_METADATA):
        raise ValueError(
            f"its metadata has {length:,} bytes, of which at most {_LARGEST_METADATA:,} are read"
        )
    return end - length, length


def _chunks(file: pa.NativeFile) -> Iterator[_Fields]:
    """Yield the metadata of the chunks of all columns."""
    start, length = metadata_span(file)
    metadata = _Compact(file.read_at(length, start)).structure()
    for group in metadata.get((4, _LIST), ()):
        for chunk in group.get((1, _LIST), ()):
            yield chunk.get((3, _STRUCT), {})


def _claims(file: pa.NativeFile, chunk: _Fields) -> int:
    at, dictionary = chunk.get((9, _I64), 0), chunk.get((11, _I64), 0)
    if 0 < dictionary < at:
        at = dictionary
    values, size = chunk.get((5, _I64), 0), 0
    while values > 0:
        header, length = _header(file, at)
        packed, whole = header.get((3, _I32), -1), header.get((2, _I32), -1)
        if packed < 0 or whole < 0:
            raise ValueError("a page has a negative size")
        size += whole
        at += length + packed
        kind = header.get((1, _I32))
        if kind not in (_INDEX_PAGE, _DICTIONARY_PAGE):
            data = header.get((5, _STRUCT)) or header.get((8, _STRUCT)) or {}
            values -= data.get((1, _I32), 0)
    return size


def _header(file: pa.NativeFile, at: int) -> tuple[_Fields, int]:
    """Read the header of the page at an offset; return it and its length."""
    window = _HEADER
    while True:
        content = file.read_at(window, at) if 0 <= at < file.size() else b""
        compact = _Compact(content)
        try:
            return compact.structure(), compact.at
        except (IndexError, struct.error) as error:
            if len(content) < window or window >= _LARGEST_HEADER:
                raise ValueError("the header of a page is cut short") from error
            window *= 32


class _Compact:
    """Reads values of Thrift's compact protocol, one after the other; ``at`` bytes were read."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def structure(self, depth: int = 0) -> _Fields:
        """Read a structure; of fields of one number and type the last counts."""
        fields: _Fields = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._integer()
            if kind in (_TRUE, _FALSE):
                fields[number, _TRUE] = kind == _TRUE
            else:
                fields[number, kind] = self._value(kind, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("its structures lie too deep in each other")
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._integer()
        if kind == _DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head < 0xF0 else self._varint()
            return [self._element(head & 15, depth) for _ in range(count)]
        if kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._element(kinds >> 4, depth)
                self._element(kinds & 15, depth)
            return None
        if kind == _STRUCT:
            return self.structure(depth)
        raise ValueError(f"a field has type {kind}, which there is none of")

    def _element(self, kind: int, depth: int) -> Any:
        return self._value(kind, depth + 1)

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")
        return value | byte << shift

    def _byte(self) -> int:
        byte = self._content[self.at]
        self.at += 1
        return byte

    def _bytes(self, count: int) -> bytes:
        content = self._content[self.at : self.at + count]
        if len(content) != count:
            raise IndexError("cut short")
        self.at += count
        return content
