"""Open the database that a URL names: SQLite for one machine, PostgreSQL for many.

`open_database` is the only way in. It answers every mistake a URL can hold with a sentence, and
hands out a `Repository` only when the tables are there and can be written to, because a training
that learns at its end that the disk is read-only has wasted an hour.

SQLite waits some seconds for another writer (`pipeline.results.access.outages` waits for minutes).
How both are connected to is in `pipeline.results.access.engines`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import URL, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pipeline.errors import DatabaseAwayError, UnreachableError, UserError, denied, full_disk
from pipeline.results.access.address import (
    FileIdentity,
    gone,
    guard,
    identity_of,
    parse_url,
    public_name,
)
from pipeline.results.access.engines import (
    connecting,
    postgresql_engine,
    postgresql_reader,
    read_only_error,
    refusal,
    refuse_other_files,
    refuse_unwritable,
    sqlite_engine,
    sqlite_reader,
    system_reason,
)
from pipeline.results.access.exclusive_role import FollowerRole, Role
from pipeline.results.access.leases import Lease
from pipeline.results.access.migrations import (
    UnknownRevisionError,
    check_revision,
    is_current,
    upgrade,
)
from pipeline.results.access.outages import Patience, Sessions, Tables, is_away
from pipeline.results.access.silent_server import Silence
from pipeline.results.rows.batches import Batches
from pipeline.results.rows.checks import Checks
from pipeline.results.rows.configurations import Configurations
from pipeline.results.rows.jobs import Jobs
from pipeline.results.rows.live import Live
from pipeline.results.rows.outbox import Outbox
from pipeline.results.rows.queued_sweeps import QueuedSweeps
from pipeline.results.rows.searches import Tries
from pipeline.results.tables.live_models import FollowerRow
from pipeline.results.tables.models import DispatcherRow

#: Milliseconds that SQLite itself waits for another writer: while opening, which is tried again,
#: and of who only looks.
_BUSY_OPENING_MS, _BUSY_LOOKING_MS = 1_000, 500

#: Seconds that opening waits at least, and for another command that makes or migrates the tables.
_OPENING, _MIGRATING = 5.0, 60.0


class Repository(Tables):
    """Jobs, configurations and sweeps of one open database; a context manager that closes it.

    Parameters
    ----------
    engine : Engine
        Of a database that has the tables.
    patience : Patience or None
        How long its methods wait for it; None: not at all.

    Attributes
    ----------
    jobs, configurations, sweeps, live, outbox : Jobs, Configurations, QueuedSweeps, Live, Outbox
        What reads and writes the tables of each.
    tries : Tries
        What reads which searches were asked for.
    dispatcher, follower : Role
        Who runs queued jobs, and who follows active configurations.
    identity : FileIdentity or None
        What tells its file from another of the same name.
    lease : Lease
        What shows that the owner of rows lives, until this is closed.
    read_only : bool
        Whether it was opened for reading alone.
    checks : Checks
        What holds configurations against their audit trails.
    """

    def __init__(
        self, engine: Engine, patience: Patience | None = None, *, read_only: bool = False
    ) -> None:
        self.engine, self.read_only = engine, read_only
        self.identity = identity_of(engine.url)
        super().__init__(Sessions(engine, patience or Patience(), guard(engine, self.identity)))
        self.lease = Lease(self._sessions)
        self._sessions.configure(info={"lease": self.lease})
        self.jobs = Jobs(self._sessions)
        self.batches = Batches(self._sessions)
        self.configurations = Configurations(self._sessions)
        self.sweeps = QueuedSweeps(self._sessions)
        self.tries = Tries(self._sessions)
        self.live = Live(self._sessions)
        self.dispatcher = Role(self._sessions, self.lease, DispatcherRow)
        self.follower = FollowerRole(self._sessions, self.lease, FollowerRow)
        self.outbox = Outbox(self._sessions)
        self.checks = Checks(self._sessions)

    @property
    def is_gone(self) -> bool:
        """Whether its file was deleted, moved or replaced."""
        return identity_of(self.engine.url) != self.identity

    @property
    def takes_writes(self) -> bool:
        """Whether a write could begin now: of a SQLite file that is locked it waits half a second.

        One that has become free is said to answer again.
        """
        options = {"begin": "BEGIN IMMEDIATE", "busy_ms": _BUSY_LOOKING_MS}
        try:
            with self.engine.connect().execution_options(**options) as connection:
                is_postgresql = self.engine.name == "postgresql"
                ask = text("SHOW transaction_read_only" if is_postgresql else "SELECT 'off'")
                if connection.scalar(ask) != "off":
                    return False
        except DBAPIError as error:
            if is_away(error):
                return False
            raise
        self.patience.say_back()
        return True

    def session(self) -> Session:
        """Open a session, for modules of other folders that need statements of their own."""
        return self._sessions()

    def transaction(self) -> AbstractContextManager[Session]:
        """Open a transaction, which is committed at the end of the context."""
        return self._sessions.begin()

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is owned, and close the connections."""
        self.close()

    def close(self) -> None:
        """Give up what is owned, and close the connections."""
        self.lease.end()
        self.engine.dispose()


def open_database(
    url: str,
    patience: float = 0.0,
    tell: Callable[[str], None] | None = None,
    *,
    reopened: FileIdentity | None = None,
    read_only: bool = False,
    writes: bool = True,
) -> Repository:
    """Open the database at ``url``, creating or migrating its tables as needed.

    Parameters
    ----------
    url : str
        ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db`` or
        ``postgresql://user:password@host:port/database``.
    patience : float
        Seconds that opening and its methods wait when it does not answer; opening 5 s at least.
    tell : callable or None
        Takes a sentence when waiting begins and one when it ends.
    reopened : FileIdentity or None
        `Repository.identity` of a database that another process of this command has open. Such a
        one is waited for, and never made anew.
    read_only : bool
        Open what is there for reading alone: nothing is created, migrated or locked.
    writes : bool
        Whether the command cannot begin without a write. One that begins by reading is not stopped
        by another program that holds the write lock of a SQLite file.

    Raises
    ------
    UnreachableError
        When it did not answer in this time.
    ReadOnlyError
        When the database may only be read, and ``read_only`` was not asked for.
    UserError
        When the URL cannot be read or names another kind of database, when the file or its folder
        cannot be written, the server refuses, or another version of this code owns the database.
        The password is never repeated.
    DatabaseGoneError
        When the file is not the ``reopened`` one.
    """
    parsed = parse_url(url)
    sqlite = parsed.drivername == "sqlite"
    waiting = Patience(patience, tell)
    if reopened is not None:
        if identity_of(parsed) != reopened:
            raise gone(parsed)
        return Repository(waiting.until_answered(lambda: _reopened(parsed, waiting)), waiting)
    opening = Patience(max(patience, _OPENING), tell)

    def opened() -> Engine:
        if read_only:
            return _open_reader(parsed, waiting)
        return _open_sqlite(parsed, writes) if sqlite else _open_postgresql(parsed, waiting)

    try:
        engine = opening.until_answered(opened) if sqlite else opened()
        return Repository(engine, waiting, read_only=read_only)
    except DatabaseAwayError:
        raise DatabaseAwayError(
            f"The database {public_name(parsed)} is locked: another program holds it, and has not"
            f" let it go for {opening.limit:g} s. The file is good, and nothing is lost. Close that"
            " program or wait for it, and run this again."
        ) from None
    except UnknownRevisionError as error:
        if error.is_upgraded:
            raise UserError(
                f"The database {public_name(parsed)} has the tables of an earlier version of this"
                " program. Run a command that may write to it once: it adds what is new."
            ) from None
        schemas = f"(schema {error.revision}, here {error.head})"
        reason = (
            f"was made before the first release {schemas} and cannot be read. It stays as it is:"
            " choose another storage.url and train again."
            if error.revision < error.head
            else f"belongs to a later version of this program {schemas}. Update the program or"
            " choose another storage.url."
        )
        raise UserError(f"The database {public_name(parsed)} {reason}") from None


def _open_sqlite(url: URL, writes: bool) -> Engine:
    path = Path(url.database or "")
    refuse_other_files(path)
    if path.exists() and not os.access(path, os.W_OK):  # SQLite would read on in silence
        read_only_disk = os.statvfs(path).f_flag & os.ST_RDONLY
        code = errno.EROFS if read_only_disk else errno.EACCES
        raise read_only_error(str(path), os.strerror(code))
    engine = sqlite_engine(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{path}.lock").touch()  # the lock would wait for ever where no file can be made
        _prepare(engine, path, writes)
    except Timeout:
        raise UnreachableError(
            f"Another command has been making the tables of {path} for {_MIGRATING:g} s. Wait for"
            " it, or end it if it is stopped, and run this again."
        ) from None
    except (OSError, DBAPIError) as error:
        engine.dispose()
        if is_away(error):
            raise
        if (full := full_disk(error, path.absolute().parent)) is not None:
            raise full from None
        reason = denied(error) if isinstance(error, OSError) else refusal(error)
        if reason is not None and path.exists():
            raise read_only_error(str(path), reason) from None
        raise UserError(
            f"storage.url: cannot use {path} as an SQLite database: {system_reason(error)}."
            " Choose a new file in a folder that can be written to."
        ) from None
    return engine


def _prepare(engine: Engine, path: Path, writes: bool) -> None:
    """Make or migrate the tables, and prove that one may write; nothing where neither is needed."""
    has_tables = False
    if path.exists() and path.stat().st_size:
        with engine.connect() as connection:
            has_tables = is_current(connection)
    if has_tables and not writes:
        return
    # Turning a fresh file to write-ahead mode ignores the busy timeout: one process at a time.
    with nullcontext() if has_tables else FileLock(f"{path}.lock", timeout=_MIGRATING):
        _migrate(engine)


def _open_postgresql(url: URL, patience: Patience) -> Engine:
    engine = postgresql_engine(url)
    silence = Silence(engine, patience)
    silence.is_opening = True
    try:
        _migrate(engine)
        with engine.connect() as connection:
            refuse_unwritable(connection, public_name(url))
    except DBAPIError as error:
        if (reason := refusal(error)) is not None:
            raise read_only_error(public_name(url), reason) from None
        raise UserError(
            f"storage.url: cannot use PostgreSQL at {public_name(url)} as user {url.username}:"
            f" {system_reason(error)}. Check that the server runs and that user, password and"
            " database are right."
        ) from None
    silence.is_opening, silence.writes = False, True
    return engine


def _open_reader(url: URL, patience: Patience) -> Engine:
    """Open for reading alone, and refuse what holds no results of this version."""
    name = public_name(url)
    if url.drivername == "sqlite":
        refuse_other_files(Path(name))
        engine = sqlite_reader(url)
    else:
        engine = postgresql_reader(connecting(url))
        Silence(engine, patience)
    try:
        with engine.connect() as connection:
            has_tables = check_revision(connection)
    except DBAPIError as error:
        engine.dispose()
        if url.drivername == "sqlite" and is_away(error):
            raise
        raise UserError(f"storage.url: cannot read {name}: {system_reason(error)}.") from None
    if not has_tables:
        raise UserError(f"The database {name} holds no results yet, and may only be read here.")
    return engine


def _reopened(url: URL, patience: Patience) -> Engine:
    """Connect to a database that has its tables."""
    if url.drivername == "sqlite":
        engine = sqlite_engine(url)
    else:
        engine = postgresql_engine(url)
        Silence(engine, patience).writes = True
    with engine.connect():
        return engine


def _migrate(engine: Engine) -> None:
    """Upgrade in one transaction that may write from its start, which proves that one may."""
    with (
        engine.connect().execution_options(
            begin="BEGIN IMMEDIATE", busy_ms=_BUSY_OPENING_MS
        ) as connection,
        connection.begin(),
    ):
        upgrade(connection)
