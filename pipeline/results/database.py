"""Open the database that a URL names: SQLite for one machine, PostgreSQL for many.

`open_database` is the only way in. It answers every mistake a URL can hold with a sentence, and
hands out a `Repository` only when the tables are there and can be written to, because a training
that learns at its end that the disk is read-only has wasted an hour.

SQLite runs in write-ahead mode, so readers and one writer do not stop each other, and waits up to
30 s for another writer. Python's driver begins transactions by its own rules, which leave DDL
outside; here SQLAlchemy says BEGIN itself, so a migration is all or nothing on SQLite too.
PostgreSQL always goes through psycopg2: SQLAlchemy 2.1 reads a bare ``postgresql://`` as psycopg 3.
"""

from __future__ import annotations

import errno
import os
import re
from functools import cache
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection

from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from pipeline.errors import UserError, suggestion
from pipeline.market_data.store.atomic_files import denied
from pipeline.results.configurations import Configurations
from pipeline.results.jobs import Jobs
from pipeline.results.jsonable import dumps
from pipeline.results.leases import Lease
from pipeline.results.migrations import UnknownRevisionError, check_revision, upgrade
from pipeline.results.ownership import write_events
from pipeline.results.read_only import (
    postgresql_reader,
    read_only_error,
    refusal,
    refuse_unwritable,
    sqlite_reader,
)
from pipeline.results.sweeps import Sweeps

_EXAMPLES = "sqlite:///var/results.db or postgresql://user:password@host/database"
_POSTGRESQL = "postgresql+psycopg2"
_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": _POSTGRESQL,
    "postgresql": _POSTGRESQL,
    _POSTGRESQL: _POSTGRESQL,
}

_MAGIC = b"SQLite format 3\0"
_BUSY_MS = 30_000
_TIMEOUT_S = "10"


class Repository:
    """Jobs, configurations and sweeps of one open database; a context manager that closes it.

    Parameters
    ----------
    engine : Engine
        Of a database that has the tables.

    Attributes
    ----------
    jobs, configurations, sweeps : Jobs, Configurations, Sweeps
        What reads and writes the tables of each.
    lease : Lease
        What shows that the owner of rows lives, until this is closed.
    read_only : bool
        Whether it was opened for reading alone.
    """

    def __init__(self, engine: Engine, read_only: bool = False) -> None:
        self.engine, self.read_only = engine, read_only
        self._sessions = sessionmaker(engine)
        self.lease = Lease(self._sessions)
        self._sessions.configure(info={"lease": self.lease})
        event.listen(self._sessions, "before_commit", write_events)
        self.jobs = Jobs(self._sessions)
        self.configurations = Configurations(self._sessions)
        self.sweeps = Sweeps(self._sessions)

    def session(self) -> Session:
        """Open a session, for modules of other folders that need statements of their own."""
        return self._sessions()

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is owned, and close the connections."""
        self.close()

    def close(self) -> None:
        """Give up what is owned, and close the connections."""
        self.lease.end()
        self.engine.dispose()


def open_database(url: str, *, read_only: bool = False) -> Repository:
    """Open the database at ``url``, creating or migrating its tables as needed.

    Parameters
    ----------
    url : str
        ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db`` or
        ``postgresql://user:password@host:port/database``.
    read_only : bool
        Open what is there for reading alone: nothing is created, migrated or locked.

    Raises
    ------
    ReadOnlyError
        When the database may only be read, and ``read_only`` was not asked for.
    UserError
        When the URL cannot be read or names another kind of database, when the file or its folder
        cannot be written, the server refuses, or another version of this code owns the database.
        The password is never repeated.
    """
    parsed = parse_url(url)
    sqlite = parsed.drivername == "sqlite"
    try:
        if read_only:
            return Repository(_open_reader(parsed), read_only=True)
        return Repository(_open_sqlite(parsed) if sqlite else _open_postgresql(parsed))
    except UnknownRevisionError as error:
        schemas = f"(schema {error.revision}, here {error.head})"
        reason = (
            f"was made before the first release {schemas} and cannot be read. It stays as it is:"
            " choose another storage.url and train again."
            if error.revision < error.head
            else f"belongs to a later version of this program {schemas}. Update the program or"
            " choose another storage.url."
        )
        raise UserError(f"The database {public_name(parsed)} {reason}") from None


def file_identity(url: str) -> tuple[int, int] | None:
    """Return what tells a SQLite file from another of its name; None of one that is not there.

    A process that has it open goes on in the old file when it is deleted or replaced.
    """
    parsed = parse_url(url)
    if parsed.drivername != "sqlite" or not parsed.database:
        return (0, 0)
    try:
        status = Path(parsed.database).stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def parse_url(url: str) -> URL:
    """Read and normalise a database URL, or say what is wrong with it."""
    public = re.sub(r"(?<=//).*@", "***@", url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise UserError(f"storage.url={public} is not a database URL. Write {_EXAMPLES}.") from None
    if parsed.drivername not in _DRIVERS:
        raise UserError(
            f"storage.url={public} asks for {parsed.drivername}; results go to sqlite or postgresql"
            f".{suggestion(parsed.drivername, ('sqlite', 'postgresql'))} Write {_EXAMPLES}."
        )
    parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
    if parsed.drivername == "sqlite" and not _names_a_file(parsed):
        raise UserError(
            f"storage.url={public} names no file, but results must outlive the run."
            " Write sqlite:///var/results.db."
        )
    if "@" in (parsed.host or ""):
        raise UserError(
            "storage.url has an @ in its user name or password. Write it as %40 there, so that"
            " the host can be told apart."
        )
    return parsed


def _names_a_file(url: URL) -> bool:
    path = url.database or ""
    return path not in ("", ":memory:") and not path.startswith("file:")


def public_name(url: URL) -> str:
    """Return ``url`` as a person may see it: no password, not even as a query parameter."""
    if url.drivername == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host", "localhost")
    return f"{host}:{url.port or 5432}/{url.database or url.username}"


def _open_sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    _refuse_other_files(path)
    if path.exists() and not os.access(path, os.W_OK):  # SQLite would read on in silence
        read_only_disk = os.statvfs(path).f_flag & os.ST_RDONLY
        code = errno.EROFS if read_only_disk else errno.EACCES
        raise read_only_error(str(path), os.strerror(code))
    engine = create_engine(url, json_serializer=dumps)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Turning a fresh file to write-ahead mode ignores the busy timeout: one process at a time.
        Path(f"{path}.lock").touch()  # the lock would wait for ever where no file can be made
        with FileLock(f"{path}.lock"):
            _migrate(engine)
    except (OSError, DBAPIError) as error:
        reason = denied(error) if isinstance(error, OSError) else refusal(error)
        if reason is not None and path.exists():
            raise read_only_error(str(path), reason) from None
        raise UserError(
            f"storage.url: cannot use {path} as an SQLite database: {_reason(error)}."
            " Choose a new file in a folder that can be written to."
        ) from None
    return engine


def _refuse_other_files(path: Path) -> None:
    """Refuse what is no database before anything appears beside it."""
    try:
        magic = _magic(path.resolve())
    except OSError as error:
        raise UserError(f"storage.url: cannot open {_reason(error)}.") from None
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
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin_sqlite` does
    for pragma in (
        f"busy_timeout = {_BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _open_postgresql(url: URL) -> Engine:
    engine = create_engine(
        _with_timeout(url),
        json_serializer=dumps,
        pool_pre_ping=True,  # a search takes longer than some servers keep an idle connection
    )
    try:
        _migrate(engine)
        with engine.connect() as connection:
            refuse_unwritable(connection, public_name(url))
    except DBAPIError as error:
        if (reason := refusal(error)) is not None:
            raise read_only_error(public_name(url), reason) from None
        raise UserError(
            f"storage.url: cannot use PostgreSQL at {public_name(url)} as user {url.username}:"
            f" {_reason(error)}. Check that the server runs and that user, password and database"
            " are right."
        ) from None
    return engine


def _with_timeout(url: URL) -> URL:
    seconds = url.query.get("connect_timeout", _TIMEOUT_S)
    return url.update_query_dict({"connect_timeout": seconds})


def _open_reader(url: URL) -> Engine:
    """Open for reading alone, and refuse what holds no results of this version."""
    name = public_name(url)
    if url.drivername == "sqlite":
        _refuse_other_files(Path(name))
        engine = sqlite_reader(url)
    else:
        engine = postgresql_reader(_with_timeout(url))
    try:
        with engine.connect() as connection:
            has_tables = check_revision(connection)
    except DBAPIError as error:
        raise UserError(f"storage.url: cannot read {name}: {_reason(error)}.") from None
    if not has_tables:
        raise UserError(f"The database {name} holds no results yet, and may only be read here.")
    return engine


def _migrate(engine: Engine) -> None:
    """Upgrade in one transaction that may write from its start, which proves that one may."""
    with (
        engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection,
        connection.begin(),
    ):
        upgrade(connection)


def _reason(error: OSError | DBAPIError) -> str:
    """Tell what the system, the driver or the server said, on one line."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error.orig).strip().splitlines()[0].rstrip(".")
