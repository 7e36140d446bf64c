"""Open a database that may only be read, and tell whether one may be written to.

SQLite keeps the newest changes in a log beside the file (``-wal``) and an index of it (``-shm``).
Where the index cannot be made, the file is read as it is (``immutable``), but only while there is
no log: what is in a log would be left out in silence. Every session opens the file anew, so that a
writer elsewhere (the folder mounted twice) is seen by the next one.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from pipeline.errors import ReadOnlyError, UserError, first_line, sqlite_code
from pipeline.results.jsonable import dumps, loads
from pipeline.results.models import Base

#: PostgreSQL's, of a transaction that may only read.
_READ_ONLY_TRANSACTION = "25006"


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


def refuse_unwritable(connection: Connection, name: str) -> None:
    """Refuse a PostgreSQL database whose tables this role may only read.

    Raises
    ------
    ReadOnlyError
        It says what is missing.
    """
    standby, setting, sequences = connection.execute(
        text(
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'),"
            " has_sequence_privilege(pg_get_serial_sequence('job_events', 'id'), 'USAGE')"
        )
    ).one()
    if standby:
        raise read_only_error(name, "the server is a standby")
    if setting == "on":
        raise read_only_error(name, "default_transaction_read_only is on")
    may = text("SELECT has_table_privilege(:table, 'INSERT')")
    denied = [t for t in Base.metadata.tables if not connection.scalar(may, {"table": t})]
    if denied or not sequences:
        what = denied[0] if denied else "the sequence of job_events"
        role = connection.scalar(text("SELECT current_user"))
        raise read_only_error(name, f"the role {role} may not write to {what}")


def sqlite_reader(url: URL) -> Engine:
    """Return an engine whose every session opens the file of ``url`` for reading."""
    path = Path(url.database or "").absolute()
    engine = create_engine(
        url,
        creator=lambda: _connect(path),
        poolclass=NullPool,
        json_serializer=dumps,
        json_deserializer=loads,
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
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


def postgresql_reader(url: URL) -> Engine:
    """Return an engine whose every transaction says that it only reads."""
    return create_engine(
        url,
        json_serializer=dumps,
        json_deserializer=loads,
        pool_pre_ping=True,
        execution_options={"postgresql_readonly": True},
    )
