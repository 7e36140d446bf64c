"""Wait for a database that is away, and tell it from one that is gone.

Away is what comes back by itself: a file that another process has locked, a server that restarts,
fails over, has no connection left or is silent (`pipeline.results.access.silent_server`). Every
method that is one transaction is tried again as a whole (`waits`) until the database answers or the
patience of the command ends. The codes of the drivers decide, never their sentences.

Gone is what does not come back: a file that was deleted, moved or replaced, tables that were
dropped. A process that has such a file open could go on writing into it, and claim what nobody will
find.

The answer to a COMMIT may be lost when a server ends in that moment. PostgreSQL knows afterwards
what became of a transaction (``txid_status``), so nothing is done twice. A standby that took over
deals the numbers of transactions anew from where it was: a number that it had seen by then is still
ours, and one that it had not seen was never committed there.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeftError
from sqlalchemy.orm import Session, sessionmaker

from pipeline.errors import DatabaseAwayError, DatabaseGoneError, first_line, sqlite_code
from pipeline.results.access.ownership import write_events

#: Seconds before the second try; they double up to the limit.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 3.0

#: Milliseconds that a line of progress waits for another writer, which it may not be worth.
BRIEFLY_MS = 100

_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_POSTGRESQL = {
    "57P01",  # an administrator shut it down
    "57P02",  # it crashed
    "57P03",  # it starts, and takes nobody yet
    "57P05",  # the session was idle for long
    "25P03",  # the transaction was idle for long
    "53300",  # too many connections
    "25006",  # read-only: a replica that was not promoted yet
    "55000",  # the same, of what asks for the end of its log
    "40001",  # another transaction was faster
    "40P01",  # two transactions waited for each other
}

#: Damaged, no database; no such table, schema or database.
_GONE_SQLITE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_GONE_POSTGRESQL = {"42P01", "3F000", "3D000"}

#: Marks the error of a transaction that writes: readers of a locked SQLite file have none.
_WRITING = "a write"

T = TypeVar("T")
P = ParamSpec("P")


def is_away(error: BaseException) -> bool:
    """Tell whether an error means that a database does not answer at the moment."""
    if isinstance(error, NoConnectionLeftError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return sqlite_code(error) in _SQLITE
    code = getattr(error.orig, "pgcode", None)
    if code is None:  # no server said it: there is no connection
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return code in _POSTGRESQL or code.startswith("08")


def _is_gone(error: BaseException) -> bool:
    origin = getattr(error, "orig", None)
    if isinstance(origin, sqlite3.Error):
        return sqlite_code(origin) in _GONE_SQLITE
    return getattr(origin, "pgcode", None) in _GONE_POSTGRESQL


class Patience:
    """How long a command waits for its database, and who hears of it.

    Parameters
    ----------
    limit : float
        Seconds; 0 waits not at all.
    tell : callable or None
        Takes a sentence when waiting begins and one when it ends.

    Attributes
    ----------
    is_short : bool
        Whether the command is about to end.
    """

    def __init__(self, limit: float = 0.0, tell: Callable[[str], None] | None = None) -> None:
        self.limit, self._tell = limit, tell
        self.is_short = self._takes_no_writes = False
        self._away_since: float | None = None
        self._lock = Lock()  # a command's threads wait for one database and say it once

    def shorten(self, limit: float) -> None:
        """Wait at most ``limit`` seconds from now on, and for no writer of a SQLite file longer."""
        self.limit, self.is_short = min(self.limit, limit), True

    def until_answered(self, transaction: Callable[[], T]) -> T:
        """Return what ``transaction`` does, tried again while the database is away.

        Raises
        ------
        DatabaseAwayError
            When it does not answer within the limit.
        DatabaseGoneError
            When what answers is not the database that was opened.
        DBAPIError
            The database's own error where the limit is 0, and any that means something else.
        """
        began, pause, has_failed = time.monotonic(), FIRST_PAUSE, False
        while True:
            try:
                answer = transaction()
            except (DBAPIError, NoConnectionLeftError) as error:
                if _is_gone(error):
                    raise DatabaseGoneError(
                        f"The database is no longer what it was: {first_line(error)}."
                    ) from None
                if not is_away(error):
                    raise
                self.say_away(error)
                if self.limit <= 0:
                    raise
                left = began + self.limit - time.monotonic()
                if left <= 0:
                    raise DatabaseAwayError(
                        f"The database did not answer for {self.limit:g} s: {first_line(error)}."
                    ) from None
                time.sleep(min(pause, left))
                pause, has_failed = min(2 * pause, LONGEST_PAUSE), True
            else:
                if has_failed or not self._takes_no_writes:
                    self.say_back()
                return answer

    def say_away(self, error: BaseException) -> None:
        """Say once that the database does not answer, and why."""
        with self._lock:
            if self._away_since is not None:
                return
            self._away_since = time.monotonic()
            self._takes_no_writes = _WRITING in getattr(error, "detail", ())
        waiting = f" Waiting up to {_words(self.limit)}." if self.limit > 0 else ""
        self._say(f"The database does not answer: {first_line(error)}.{waiting}")

    @property
    def is_away(self) -> bool:
        """Whether it did not answer; that one can read is no sign that one can write."""
        return self._away_since is not None

    def say_back(self) -> None:
        """Say that the database answers again, if it did not: of one that was written to."""
        with self._lock:
            since, self._away_since = self._away_since, None
            self._takes_no_writes = False
        if since is not None:
            self._say(f"The database answers again after {time.monotonic() - since:.0f} s.")

    def _say(self, sentence: str) -> None:
        if self._tell is not None:
            with suppress(OSError, ValueError, SystemExit):  # SystemExit: Rich, at a broken pipe
                self._tell(sentence)


def _words(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"


class _Receipt(NamedTuple):
    """What PostgreSQL calls a transaction, and the timeline and place in the log of its writes."""

    transaction: int
    timeline: int
    place: str


_TIMELINE = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
_RECEIPT = text(
    f"SELECT txid_current_if_assigned(), {_TIMELINE}, pg_current_wal_insert_lsn()::text,"
    " to_regclass('training_jobs')::oid"
)
#: A server that was a standby keeps the place up to which it followed, until it is restarted.
_STATUS = text(
    f"SELECT txid_status(:transaction), {_TIMELINE},"
    " coalesce(pg_last_wal_replay_lsn() >= CAST(:place AS pg_lsn), false)"
)


class Sessions(sessionmaker[Session]):
    """Open sessions and transactions of one database.

    A session that is called for reads: all its statements see the database at one moment, that of
    the first. SQLite's do so anyway; PostgreSQL shows every statement of a transaction what was
    committed before it, unless it is told otherwise.

    Parameters
    ----------
    engine : Engine
        Of the database.
    patience : Patience
        How long `waits` tries again.
    check : callable
        Raises `DatabaseGoneError` when the database is no longer the one that was opened.
    """

    def __init__(self, engine: Engine, patience: Patience, check: Callable[[], None]) -> None:
        self._has_receipts = engine.dialect.name == "postgresql"
        reader = engine.execution_options(isolation_level="REPEATABLE READ")
        super().__init__(reader if self._has_receipts else engine)
        self._writer, self.patience, self._check = engine, patience, check
        self._table: int | None = None

    @contextmanager
    def begin(self, *, briefly: bool = False) -> Iterator[Session]:
        """Open a transaction, which is committed at the end of the context.

        ``briefly`` is for what may be lost: it waits neither for another writer of a SQLite file
        nor for a server that ended in the moment of the commit.

        Raises
        ------
        DatabaseGoneError
            When what was committed is in no database that anybody will open.
        """
        try:
            with self._begun(briefly) as session:
                yield session
        except DBAPIError as error:
            error.add_detail(_WRITING)
            raise
        self.patience.say_back()
        self._check()

    @contextmanager
    def _begun(self, briefly: bool) -> Iterator[Session]:
        with self(bind=self._writer) as session:
            if briefly or self.patience.is_short:
                session.connection(execution_options={"busy_ms": BRIEFLY_MS})
            yield session
            session.flush()
            write_events(session)
            if not briefly:
                session.info["lease"].check(session)
            receipt = None if briefly else self._receipt(session)
            try:
                session.commit()
            except DBAPIError as error:
                if receipt is None or not is_away(error) or not self._is_committed(receipt):
                    raise

    def _receipt(self, session: Session) -> _Receipt | None:
        if not self._has_receipts:
            return None
        transaction, timeline, place, table = session.execute(_RECEIPT).one()
        self._table = self._table or table
        if table != self._table:  # asked while the transaction holds what it wrote
            raise DatabaseGoneError("The tables of the database were replaced under this command.")
        return None if transaction is None else _Receipt(transaction, timeline, place)

    def _is_committed(self, receipt: _Receipt) -> bool:
        """Ask what became of a transaction whose COMMIT was not answered."""

        def ask() -> tuple[str | None, bool]:
            with self() as session:
                status, timeline, followed = session.execute(
                    _STATUS, {"transaction": receipt.transaction, "place": receipt.place}
                ).one()
                ours = timeline == receipt.timeline or (
                    timeline == receipt.timeline + 1 and followed
                )
                return status, ours

        deadline = time.monotonic() + self.patience.limit
        while True:
            try:
                status, is_ours = self.patience.until_answered(ask)
            except DBAPIError as error:
                if is_away(error):
                    raise
                return False  # of a server that has not come so far: it never saw it
            if status != "in progress" or not is_ours or time.monotonic() >= deadline:
                return status == "committed" and is_ours
            time.sleep(FIRST_PAUSE)


class Tables:
    """Tables of one database, read and written by methods that are one transaction each."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @property
    def patience(self) -> Patience:
        """How long a method waits for the database."""
        return self._sessions.patience


class _Patient(Protocol):
    @property
    def patience(self) -> Patience: ...


Owner = TypeVar("Owner", bound=_Patient)


def waits(method: Callable[Concatenate[Owner, P], T]) -> Callable[Concatenate[Owner, P], T]:
    """Have a method, or a function of a repository, that is one transaction wait for the database.

    It is done again as a whole: what it makes by chance, such as an id, is made before.
    """

    @wraps(method)
    def patient(owner: Owner, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return owner.patience.until_answered(lambda: method(owner, *args, **kwargs))

    return patient
