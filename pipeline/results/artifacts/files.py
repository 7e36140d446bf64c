"""Open the files of artifacts within bounds: plain files, of sizes and shapes that they can have.

Whoever can write to the folder can put anything there: a pipe that is waited for, a header that
claims 10¹² numbers, an archive that unpacks to any size. Each of these is a `ValueError` with a
reason, before it takes time or memory.
"""

import copy
import json
import math
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.market_data.files import columnar
from pipeline.results.artifacts.digests import LARGEST

#: Bytes of a file with JSON.
LARGEST_JSON = 64 << 20
#: Scattered numbers that are read one by one; of more the whole array is read.
SCATTERED = 10_000

_DAMAGE = (RuntimeError, TypeError, EOFError, MemoryError, BadZipFile, pa.ArrowException)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain file of the folder; nothing is waited for.

    Whatever the block raises over what it reads is a ValueError that names the file.

    Raises
    ------
    OSError
        When it is not there or may not be read.
    ValueError
        When it is a link, a folder, a pipe or a device, is too large, or is damaged.
    """
    kind = path.lstat()
    if not stat.S_ISREG(kind.st_mode):
        raise ValueError(f"{path.name} is no plain file")
    if kind.st_size > LARGEST:
        raise ValueError(f"{path.name} has {kind.st_size:,} bytes, more than {LARGEST:,}")
    # Between the look and the opening it may have become a pipe.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path.name} is no plain file")
        try:
            yield file
        except (*_DAMAGE, *columnar.DAMAGE, ArithmeticError, LookupError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{path.name}: {reason}") from error


def read_table(path: Path, most: int) -> pa.Table:
    """Read Parquet of at most ``most`` rows, of plain columns without empty cells."""
    with opened(path) as file:
        table = columnar.opened(pa.PythonFile(file, "r"), ".parquet")
        if table.rows > most:
            raise ValueError(f"it has {table.rows:,} rows, more than {most:,}")
        odd = [f.name for f in table.schema if not columnar.is_plain(f.type)]
        if odd:
            raise ValueError(f"column {odd[0]} is of type {table.schema.field(odd[0]).type}")
        parts = list(table.checked(table.schema.names, path.name))
        whole = pa.concat_tables(parts) if parts else table.schema.empty_table()
        if any(column.null_count for column in whole.columns):
            raise ValueError("it has empty cells")
        return whole


def read_json(path: Path) -> Any:
    """Read JSON of at most `LARGEST_JSON` bytes."""
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size > LARGEST_JSON:
            raise ValueError(f"it has more than {LARGEST_JSON:,} bytes")
        return json.loads(file.read())


class _Header(NamedTuple):
    """What an array says of itself, and the byte of its member at which its numbers begin."""

    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]
    begin: int


class StoredArrays(Mapping[str, NDArray[Any]]):
    """Arrays that `numpy.savez` wrote, each read from the file when it is asked for.

    Nothing is kept: who has read an array of hundreds of megabytes holds it alone. The file is
    opened anew each time, and read, not mapped: a mapped file that is cut short ends the process.

    Raises
    ------
    OSError, ValueError
        As `opened`; also where an array is packed or claims what it does not have.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._places: dict[str, tuple[int, _Header]] = {}
        with opened(path) as file, ZipFile(file) as archive:
            for member in _members(archive, path):
                with archive.open(member) as content:
                    header = _header(content, member.file_size)
                # Its own header stands before the member: 30 bytes, the name, and something extra.
                file.seek(member.header_offset + 26)
                begin = member.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
                self._places[member.filename.removesuffix(".npy")] = begin + header.begin, header

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Read one array whole."""
        header = self._places[name][1]
        return self._run(name, 0, _count(header)).reshape(
            header.shape, order="F" if header.by_column else "C"
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def without(self, name: str) -> "StoredArrays":
        """Return the others."""
        others = copy.copy(self)
        others._places = {other: place for other, place in self._places.items() if other != name}
        return others

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and dtype of an array without reading it."""
        return self._places[name][1].shape, self._places[name][1].dtype

    def rows(self, name: str, index: NDArray[np.int64]) -> NDArray[Any]:
        """Read the numbers at some places of a flattened array, those of a run at once."""
        if not len(index):
            return np.empty(0, self._places[name][1].dtype)
        first, last = int(index[0]), int(index[-1]) + 1
        if last - first == len(index) and (np.diff(index) == 1).all():
            return self._run(name, first, last)
        if len(index) > SCATTERED:
            found: NDArray[Any] = self._run(name, 0, _count(self._places[name][1]))[index]
            return found
        begin, header = self._places[name]
        size = header.dtype.itemsize
        with opened(self._path) as file:
            read = (os.pread(file.fileno(), size, begin + size * int(i)) for i in index)
            return np.frombuffer(b"".join(read), header.dtype, len(index))

    def _run(self, name: str, first: int, last: int) -> NDArray[Any]:
        begin, header = self._places[name]
        size = header.dtype.itemsize
        with opened(self._path) as file:
            file.seek(begin + size * first)
            found = np.fromfile(file, header.dtype, last - first)
            if len(found) < last - first:
                raise ValueError("it is shorter than it was")
            return found


def read_arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    """Read what `numpy.savez` wrote: arrays by name, each as long as its member of the archive."""
    with opened(path) as file, ZipFile(file) as archive:
        arrays = {}
        for member in _members(archive, path):
            with archive.open(member) as content:
                header = _header(content, member.file_size)
                array = np.frombuffer(content.read(), header.dtype, _count(header)).copy()
            arrays[member.filename.removesuffix(".npy")] = array.reshape(
                header.shape, order="F" if header.by_column else "C"
            )
        return arrays


def _members(archive: ZipFile, path: Path) -> list[ZipInfo]:
    """List the members of an archive that packs none and claims no more than it has."""
    members = archive.infolist()
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("its members claim more bytes than it has")
    for member in members:
        if member.compress_type != ZIP_STORED:
            raise ValueError(f"{member.filename} is packed")
    return members


def _header(content: IO[bytes], size: int) -> _Header:
    """Read the header of an array, which claims just the bytes that follow it."""
    version = np.lib.format.read_magic(content)
    if version != (1, 0):
        raise ValueError(f"an array is of version {version}")
    header = _Header(*np.lib.format.read_array_header_1_0(content), content.tell())
    claimed = _count(header) * header.dtype.itemsize
    odd = header.dtype.hasobject or any(length < 0 for length in header.shape)
    if odd or claimed != size - header.begin:
        raise ValueError(
            f"an array claims shape {header.shape} of {header.dtype}, which it does not have"
        )
    return header


def _count(header: _Header) -> int:
    return math.prod(header.shape)
