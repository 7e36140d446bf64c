"""Open the files of artifacts within bounds: plain files, of sizes and shapes that they can have.

Whoever can write to the folder can put anything there: a pipe that is waited for, a header that
claims 10¹² numbers, an archive that unpacks to any size. Each of these is a `ValueError` with a
reason, before it takes time or memory.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.market_data.files import columnar
from pipeline.results.file_digests import LARGEST

#: Bytes of a file with JSON.
LARGEST_JSON = 64 << 20

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


def read_arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    """Read what `numpy.savez` wrote: arrays by name, each as long as its member of the archive."""
    with opened(path) as file, ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its members claim more bytes than it has")
        arrays = {}
        for member in members:
            if member.compress_type != ZIP_STORED:
                raise ValueError(f"{member.filename} is packed")
            with archive.open(member) as content:
                arrays[member.filename.removesuffix(".npy")] = _array(content, member.file_size)
        return arrays


def _array(content: IO[bytes], size: int) -> NDArray[Any]:
    """Read an array of which the header claims just the bytes that follow it."""
    version = np.lib.format.read_magic(content)
    if version != (1, 0):
        raise ValueError(f"an array is of version {version}")
    shape, by_column, dtype = np.lib.format.read_array_header_1_0(content)
    count = 1
    for length in shape:
        count *= length
    if dtype.hasobject or count * dtype.itemsize != size - content.tell():
        raise ValueError(f"an array claims shape {shape} of {dtype}, which it does not have")
    array = np.frombuffer(content.read(), dtype, count).copy()
    return array.reshape(shape, order="F" if by_column else "C")
