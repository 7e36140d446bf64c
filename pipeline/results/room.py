"""Say in a sentence that a database's disk is full, whatever was being written."""

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import DiskFullError, disk_full, first_line, sqlite_code

#: Bytes below which a disk has no room for the page and the index that a write takes.
_TOO_LITTLE = 64 * 1024


class DatabaseFullError(DiskFullError, SQLAlchemyError):
    """There is no room for what a database was to write."""


def name_full_disks(engine: Engine, place: str) -> Engine:
    """Let ``engine`` raise `DatabaseFullError` where the disk of ``place`` is full, and return it.

    ``place`` is the path of an SQLite file, or the name of a server's database.
    """

    def check(context: ExceptionContext) -> None:
        reason = _full(context.original_exception, Path(place))
        if reason is not None:
            raise DatabaseFullError(str(disk_full(place, reason))) from None

    event.listen(engine, "handle_error", check)
    return engine


def _full(error: BaseException, file: Path) -> str | None:
    """Return what says that a disk is full, None of any other error."""
    said = first_line(error)
    if getattr(error, "pgcode", None) == "53100":
        return said
    code = sqlite_code(error)
    # The index of the write-ahead log is made by other means, and its failure has no name.
    unnamed = code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    return said if code == sqlite3.SQLITE_FULL or (unnamed and _room(file) < _TOO_LITTLE) else None


def _room(file: Path) -> int:
    """Bytes that may still be written beside a file."""
    try:
        disk = os.statvfs(file.absolute().parent)
    except OSError:
        return _TOO_LITTLE
    return disk.f_bavail * disk.f_frsize
