"""Connect to SQLite and PostgreSQL as this program needs it: options, transactions, refusals.

SQLite runs in write-ahead mode, so readers and one writer do not stop each other. Python's driver
begins transactions by its own rules, which leave DDL outside; here SQLAlchemy says BEGIN itself, so
a migration is all or nothing on SQLite too. PostgreSQL always goes through psycopg2: SQLAlchemy 2.1
reads a bare ``postgresql://`` as psycopg 3.
"""

from functools import cache
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from pipeline.errors import UserError, first_line
from pipeline.results.address import public_name
from pipeline.results.jsonable import dumps, loads
from pipeline.results.read_only import whole_text
from pipeline.results.room import name_full_disks

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


def sqlite_engine(url: URL) -> Engine:
    """Make the engine of an SQLite file, which is opened with the first connection."""
    engine = create_engine(url, json_serializer=dumps, json_deserializer=loads)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
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


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {options.get('busy_ms', BUSY_MS)}")
    connection.exec_driver_sql(options.get("begin", "BEGIN"))


def postgresql_engine(url: URL) -> Engine:
    """Make the engine of a PostgreSQL server, which is asked with the first connection."""
    engine = create_engine(
        connecting(url),
        json_serializer=dumps,
        json_deserializer=loads,
        pool_pre_ping=True,  # a search takes longer than some servers keep an idle connection
    )
    return name_full_disks(engine, public_name(url))


def connecting(url: URL) -> URL:
    """Add what a connection to a server needs, where the URL does not say it itself."""
    return url.update_query_dict({name: url.query.get(name, v) for name, v in CONNECTION.items()})


def system_reason(error: OSError | DBAPIError) -> str:
    """Tell what the system, the driver or the server said, on one line."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return first_line(error)
