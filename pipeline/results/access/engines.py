"""Connect to SQLite and PostgreSQL as this program needs it: options, transactions, refusals.

SQLite runs in write-ahead mode, so readers and one writer do not stop each other. Python's driver
begins transactions by its own rules, which leave DDL outside; here SQLAlchemy says BEGIN itself, so
a migration is all or nothing on SQLite too. PostgreSQL always goes through psycopg2: SQLAlchemy 2.1
reads a bare ``postgresql://`` as psycopg 3.

Who may only read opens SQLite's file anew with every session, so that a writer elsewhere (the
folder mounted twice) is seen by the next one. SQLite keeps the newest changes in a log beside the
file (``-wal``) and an index of it (``-shm``). Where the index cannot be made, the file is read as
it is (``immutable``), but only while there is no log: what is in a log would be left out in
silence.
"""

from __future__ import annotations

import os
import sqlite3
from functools import cache
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pipeline.errors import (
    DiskFullError,
    ReadOnlyError,
    UserError,
    disk_full,
    first_line,
    sqlite_code,
)
from pipeline.results.access.address import public_name
from pipeline.results.jsonable import dumps, loads
from pipeline.results.tables.models import Base

_MAGIC = b"SQLite format 3\0"
#: Milliseconds that SQLite itself waits for another writer, of a transaction.
BUSY_MS = 5_000

#: Of libpq: a server that vanished, with its machine, is noticed within half a minute.
CONNECTION = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}

#: PostgreSQL's, of a transaction that may only read.
_READ_ONLY_TRANSACTION = "25006"

#: Bytes below which a disk has no room for the page and the index that a write takes.
_TOO_LITTLE = 64 * 1024


def sqlite_engine(url: sa.URL) -> sa.Engine:
    """Make the engine of an SQLite file, which is opened with the first connection."""
    engine = sa.create_engine(url, json_serializer=dumps, json_deserializer=loads)
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return name_full_disks(engine, str(Path(url.database or "").absolute()))


def refuse_other_files(path: Path) -> None:
    """Refuse what is no database before anything appears beside it."""
    try:
        magic = _magic(path.resolve())
    except OSError as error:
        raise UserError(f"storage.url: cannot open {system_reason(error)}.") from None
    if magic not in (b"", _MAGIC):
        raise UserError(
            f"storage.url: {path} is not an SQLite database. Choose a new file, or one that a"
            " run has made."
        )


@cache
def _magic(path: Path) -> bytes:
    """Read the first bytes of a file, once in a process, before SQLite has it open.

    Closing a file drops all POSIX locks that the process has on it, SQLite's too: another process
    would then take itself for the last user and delete the write-ahead log under our feet
    (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC))
    except (FileNotFoundError, NotADirectoryError):
        return b""


def _configure_sqlite(connection: SQLiteConnection, _: object) -> None:
    connection.text_factory = whole_text
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin_sqlite` does
    for pragma in (
        f"busy_timeout = {BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {options.get('busy_ms', BUSY_MS)}")
    connection.exec_driver_sql(options.get("begin", "BEGIN"))


def postgresql_engine(url: sa.URL) -> sa.Engine:
    """Make the engine of a PostgreSQL server, which is asked with the first connection."""
    engine = sa.create_engine(
        connecting(url),
        json_serializer=dumps,
        json_deserializer=loads,
        pool_pre_ping=True,  # a search takes longer than some servers keep an idle connection
    )
    return name_full_disks(engine, public_name(url))


def connecting(url: sa.URL) -> sa.URL:
    """Add what a connection to a server needs, where the URL does not say it itself."""
    return url.update_query_dict({name: url.query.get(name, v) for name, v in CONNECTION.items()})


def system_reason(error: OSError | DBAPIError) -> str:
    """Tell what the system, the driver or the server said, on one line."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return first_line(error)


def read_only_error(name: str, reason: str) -> ReadOnlyError:
    """Return the refusal of a command that would write to a database that may only be read."""
    return ReadOnlyError(
        f"storage.url: {name} may only be read here ({reason}), so nothing can be trained or stored"
        " in it. explain, verify, report, monitor and serve still read it. To train, choose another"
        " storage.url.",
        reason,
    )


def refusal(error: DBAPIError) -> str | None:
    """Return what a database says that may only be read; None of any other error."""
    cause = error.orig
    read_only = sqlite_code(error) == sqlite3.SQLITE_READONLY
    if read_only or getattr(cause, "pgcode", None) == _READ_ONLY_TRANSACTION:
        return first_line(error)
    return None


def refuse_unwritable(connection: sa.Connection, name: str) -> None:
    """Refuse a PostgreSQL database whose tables this role may only read.

    Raises
    ------
    ReadOnlyError
        It says what is missing.
    """
    standby, setting, sequences = connection.execute(
        sa.text(
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'),"
            " has_sequence_privilege(pg_get_serial_sequence('job_events', 'id'), 'USAGE')"
        )
    ).one()
    if standby:
        raise read_only_error(name, "the server is a standby")
    if setting == "on":
        raise read_only_error(name, "default_transaction_read_only is on")
    may = sa.text("SELECT has_table_privilege(:table, 'INSERT')")
    denied = [t for t in Base.metadata.tables if not connection.scalar(may, {"table": t})]
    if denied or not sequences:
        what = denied[0] if denied else "the sequence of job_events"
        role = connection.scalar(sa.text("SELECT current_user"))
        raise read_only_error(name, f"the role {role} may not write to {what}")


def sqlite_reader(url: sa.URL) -> sa.Engine:
    """Return an engine whose every session opens the file of ``url`` for reading."""
    path = Path(url.database or "").absolute()
    engine = sa.create_engine(
        url,
        creator=lambda: _connect(path),
        poolclass=sa.NullPool,
        json_serializer=dumps,
        json_deserializer=loads,
    )
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _connect(path: Path) -> sqlite3.Connection:
    """Open a file for reading, without a file beside it where none can be made."""
    try:
        return _opened(f"{path.as_uri()}?mode=ro")
    except sqlite3.OperationalError as error:
        if sqlite_code(error) != sqlite3.SQLITE_CANTOPEN:
            raise
        log = Path(f"{path}-wal")
        if log.exists() and log.stat().st_size:
            raise UserError(
                f"storage.url: {path} has changes in {log.name} that cannot be read where no file"
                f" may be made beside it. Copy {path.name} and {log.name} into a folder that you"
                " may write to, and name that copy by storage.url."
            ) from None
    return _opened(f"{path.as_uri()}?mode=ro&immutable=1")


def whole_text(stored: bytes) -> str:
    """Decode a text of SQLite, which may hold any bytes: what is no UTF-8 becomes U+FFFD.

    The row can be read then, and its audit trail says that the text is another.
    """
    return stored.decode("utf-8", "replace")


def _opened(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
    connection.text_factory = whole_text
    try:
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def postgresql_reader(url: sa.URL) -> sa.Engine:
    """Return an engine whose every transaction says that it only reads."""
    return sa.create_engine(
        url,
        json_serializer=dumps,
        json_deserializer=loads,
        pool_pre_ping=True,
        execution_options={"postgresql_readonly": True},
    )


class DatabaseFullError(DiskFullError, SQLAlchemyError):
    """There is no room for what a database was to write."""


def name_full_disks(engine: sa.Engine, place: str) -> sa.Engine:
    """Let ``engine`` raise `DatabaseFullError` where the disk of ``place`` is full, and return it.

    ``place`` is the path of an SQLite file, or the name of a server's database.
    """

    def check(context: sa.ExceptionContext) -> None:
        reason = _full(context.original_exception, Path(place))
        if reason is not None:
            raise DatabaseFullError(str(disk_full(place, reason))) from None

    sa.event.listen(engine, "handle_error", check)
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
