"""Hold a sign of life in the database, and judge by what is seen whether an owner lives.

Whoever owns rows holds a lease: a row with an identity made of random digits, which owned rows name
as ``owner``, and a beat that a thread counts up. Host name and process id alone say nothing:
containers share both. So a lease names its place too, within which process ids mean something.

An owner of the same place is looked up in the process table, which decides at once. Of one that is
stopped there, or is elsewhere, only silence is seen. Who looks again and again (`Watch`) counts the
silence in a time of its own, so that no clock that is set and no suspended machine kills anybody;
who looks once compares with the database's clock, and is patient.

A lease also tells the database that it is in from any other: another one, or an older copy, has no
such row. Where one is written over a SQLite file that is open, the log beside the file and what a
connection remembers still show the row. So the file itself is asked for it, past both.
"""

import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Container, Iterable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, cast

import psutil
from sqlalchemy import Row, delete, literal_column, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from pipeline.errors import UnreachableError
from pipeline.executors import signs_of_life
from pipeline.executors.background import repeated
from pipeline.results.access.address import gone
from pipeline.results.damage import read_rows
from pipeline.results.tables.live_models import FollowerRow
from pipeline.results.tables.models import DispatcherRow, LeaseRow, SweepRow, TrainingJob
from pipeline.results.tables.notice_models import NoticeTargetRow

#: Seconds before the next try where a beat could not be written.
RETRY_AFTER = 2.0

#: Seconds without a beat after which somebody who looks only once gives up.
SILENCE_AT_ONE_LOOK = 900.0

#: Looks into a SQLite file before a lease is missed, and seconds between two: another process may
#: be in the middle of writing the file from its log.
LOOKS, LOOK_AGAIN_AFTER = 5, 0.1


@cache
def place() -> str:
    """Name the boot and the process-id namespace of this process: its ids mean something there."""
    try:
        if Path("/proc/self").readlink().name != str(os.getpid()):
            return uuid.uuid4().hex  # a process table of another namespace: nothing can be asked
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{socket.gethostname()}:{psutil.boot_time():.0f}"


@dataclass(frozen=True)
class Owner:
    """A lease as it was read; ``age`` are seconds since its beat, by the database's clock.

    Of one that cannot be read ``damage`` says why, and nothing but its identity and perhaps its age
    is known: whoever lives writes it anew with the next beat.
    """

    identity: str
    place: str = ""
    host: str = ""
    pid: int = 0
    started: str = ""
    beat: int = -1
    renewed_at: datetime | None = None
    age: float | None = None
    damage: str | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether its process, of this place, lives and does nothing."""
        return self.place == place() and signs_of_life.is_stopped(self.pid)


class Watch:
    """Counts the silence of owners, for somebody who looks again and again.

    Parameters
    ----------
    limit : float or None
        Seconds of silence after which an owner is taken for dead; None: `signs_of_life.SILENCE`.
    """

    def __init__(self, limit: float | None = None) -> None:
        self.limit = signs_of_life.SILENCE if limit is None else limit
        self._silences: dict[str, signs_of_life.Silence] = {}

    def silence(self, owner: Owner) -> float:
        """Return the seconds for which an owner's beat has been the same."""
        silence = self._silences.setdefault(owner.identity, signs_of_life.Silence())
        return silence.look(owner.beat)

    def keep(self, identities: Container[str]) -> None:
        """Remember these owners alone: the others have ended."""
        self._silences = {one: s for one, s in self._silences.items() if one in identities}


def cause_of_death(owner: Owner | None, watch: Watch | None = None) -> str | None:
    """Say what shows that an owner is dead; None where nothing does.

    Parameters
    ----------
    owner : Owner or None
        None where it left no lease.
    watch : Watch or None
        Of somebody who looks again and again; None for one look.
    """
    if owner is None:
        return "the lease of the process that owned it is gone"
    silence = owner.age if watch is None else watch.silence(owner)
    limit = SILENCE_AT_ONE_LOOK if watch is None else watch.limit
    if owner.damage is not None:
        why = f"the lease of the process that owned it is damaged: {owner.damage}"
        return why if (silence or 0) >= limit else None
    who, doing = f"process {owner.pid} on {owner.host}", "gave"
    if owner.place == place():
        if signs_of_life.started(owner.pid) == owner.started:
            if not signs_of_life.is_stopped(owner.pid):
                return None
            doing = "is stopped and gave"
        elif not signs_of_life.is_hidden(owner.pid):
            return f"{who} is gone"
    return f"{who} {doing} no sign of life for {limit:g} s" if (silence or 0) >= limit else None


def read_owners(session: Session, *, once: bool = False) -> dict[str, Owner]:
    """Read all leases, by identity.

    ``once`` is for who looks once, in a transaction: a beat that is ahead of the database's clock,
    or whose time cannot be read, counts as one of now. Else a clock that was ahead would have its
    owner live until that day. Who lives writes the time anew.
    """
    clock = literal_column(_clock(session), LeaseRow.renewed_at.type)
    now = session.execute(select(clock)).scalar_one()

    def age(row: Row[Any]) -> float:
        return float((now - row.renewed_at).total_seconds())

    def owner(row: Row[Any]) -> Owner:
        return _checked(Owner(*row, age=age(row)))

    owners = read_rows(session, select(*LeaseRow.__table__.columns), LeaseRow, owner)
    read = {one.identity: one for one in owners}
    for one in owners.damaged:
        query = select(LeaseRow.renewed_at).where(LeaseRow.identity == one.identity)
        ages = read_rows(session, query, LeaseRow, age)
        read[one.identity] = Owner(
            one.identity, age=next(iter(ages), None), damage=str(one).rstrip(".")
        )
    ahead = [one.identity for one in read.values() if one.age is None or one.age < 0]
    if once and ahead:
        late = update(LeaseRow).where(LeaseRow.identity.in_(ahead)).values(renewed_at=clock)
        session.execute(late.execution_options(synchronize_session=False))
        read |= {identity: replace(read[identity], age=0.0) for identity in ahead}
    return read


def _checked(owner: Owner) -> Owner:
    """Refuse values that SQLite takes for any column, and ids that no process has."""
    for field in fields(owner):
        value = getattr(owner, field.name)
        if not isinstance(value, cast(type, field.type)):
            raise TypeError(f"its {field.name} is {value!r}")
    if not 0 < owner.pid < 2**31:
        raise ValueError(f"its pid is {owner.pid}")
    return owner


def forget(session: Session, identities: Iterable[str]) -> None:
    """Remove the leases of the dead that own nothing any more; the others still say who it was."""
    unfinished = select(TrainingJob.owner).where(TrainingJob.status.in_(("pending", "running")))
    sweeps = select(SweepRow.owner).where(SweepRow.status == "running")
    targets = select(NoticeTargetRow.owner).where(NoticeTargetRow.owner.is_not(None))
    session.execute(
        delete(LeaseRow)
        .where(LeaseRow.identity.in_(list(identities)))
        .where(LeaseRow.identity.not_in(unfinished.where(TrainingJob.owner.is_not(None))))
        .where(LeaseRow.identity.not_in(sweeps))
        .where(LeaseRow.identity.not_in(select(DispatcherRow.owner)))
        .where(LeaseRow.identity.not_in(select(FollowerRow.owner)))
        .where(LeaseRow.identity.not_in(targets))
    )


class Lease:
    """The lease of one open database: it begins with the first row that is owned.

    Attributes
    ----------
    identity : str
        32 random hexadecimal digits, which the rows of this process name as their owner.
    """

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.identity = uuid.uuid4().hex
        self._sessions = sessions
        url = sessions.kw["bind"].url
        sqlite = url.get_backend_name() == "sqlite"
        self._url, self._file = url, Path(url.database).absolute() if sqlite else None
        self._was_in_file = self._is_missed = False
        self._tries = 0
        self._beats = count(1)
        self._lock = Lock()
        self._renewal: ExitStack | None = None

    def hold(self, session: Session) -> str:
        """Write the lease with ``session``'s transaction, keep it renewed; return the identity."""
        self._write(session)
        with self._lock:
            if self._renewal is None:
                self._renewal = ExitStack()
                self._renewal.enter_context(
                    repeated(self._renew, signs_of_life.BEAT_EVERY, "lease")
                )
        return self.identity

    def check(self, session: Session) -> None:
        """Refuse to commit to a SQLite file that other contents were written over.

        Raises
        ------
        DatabaseGoneError
            When this lease was in the file and is there no more.
        """
        if self._file is None or self._renewal is None:
            return
        if not self._was_in_file:
            self._was_in_file = self._is_in_file() or self._is_put_into_file()
            return
        for _ in range(1 if self._is_missed else LOOKS):
            if self._is_in_file():
                return
            time.sleep(LOOK_AGAIN_AFTER)
        self._is_missed = True
        own = select(LeaseRow.identity).where(LeaseRow.identity == self.identity)
        if session.scalar(own) is not None:
            raise gone(self._url)
        self._was_in_file = self._is_missed = False  # it was taken for dead, and removed

    def _is_in_file(self) -> bool:
        """Tell whether the file without its log holds this lease.

        On a full disk the log was written into it by half: its header counts pages that it lacks.
        SQLite takes it for damaged then, unless ``writable_schema`` says that one knows.
        """
        assert self._file is not None
        address = f"{self._file.as_uri()}?mode=ro&immutable=1"
        own = "SELECT 1 FROM leases WHERE identity = ?"
        with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            return connection.execute(own, (self.identity,)).fetchone() is not None
        return False

    def _is_put_into_file(self) -> bool:
        """Have the log written into the file; tell whether it holds this lease then.

        The transaction that writes the lease is not in the log yet. It is tried a few times: a log
        that a reader holds up is written later, whoever does it.
        """
        self._tries += 1
        if self._tries > LOOKS:
            return False
        with suppress(sqlite3.Error), closing(sqlite3.connect(str(self._file))) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return self._is_in_file()

    def end(self) -> None:
        """Give the lease up: what this process still owns has nobody any more."""
        with self._lock:
            renewal, self._renewal = self._renewal, None
        if renewal is None:
            return
        renewal.close()
        # Where the database does not answer the row stays: a lease nobody renews says the same.
        with suppress(SQLAlchemyError, UnreachableError), self._sessions.begin() as session:
            session.execute(delete(LeaseRow).where(LeaseRow.identity == self.identity))

    def _renew(self) -> float:
        try:
            with self._sessions.begin() as session:
                self._write(session)
        except (SQLAlchemyError, UnreachableError):  # who waits for the database says so
            return RETRY_AFTER
        return signs_of_life.BEAT_EVERY

    def _write(self, session: Session) -> None:
        """Write the next beat; a row that somebody has removed or damaged comes back."""
        beat = session.scalar(
            text(_BEAT.format(now=_clock(session))),
            {
                "identity": self.identity,
                "place": place(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started": signs_of_life.own_start(),
                "beat": next(self._beats),
            },
        )
        if beat == 0:
            self._was_in_file = self._is_missed = False


_BEAT = """
INSERT INTO leases (identity, place, host, pid, started, beat, renewed_at)
VALUES (:identity, :place, :host, :pid, :started, 0, {now})
ON CONFLICT (identity) DO UPDATE SET place = excluded.place, host = excluded.host,
 pid = excluded.pid, started = excluded.started, beat = :beat, renewed_at = excluded.renewed_at
RETURNING beat
"""


def _clock(session: Session) -> str:
    """Return the expression of the database's clock; SQLite's is text as SQLAlchemy writes it."""
    if session.get_bind().dialect.name == "postgresql":
        return "clock_timestamp()"
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
