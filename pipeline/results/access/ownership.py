"""Let only the owner write a job's row, and record what happens to jobs.

One conditional UPDATE names the states and the owner that it expects. Two processes that want the
same job cannot both have it, and no transaction reads before it writes (which SQLite would refuse
under a second writer). A process writes what it does only to rows it owns: one that was taken for
dead, and whose job went to another, finds its writes refused.

An event is written with the change that it tells of, in one transaction, as the last thing before
the commit. Readers remember the last id they have seen, so none may appear below it later: on
PostgreSQL, where ids are dealt out before a commit, one transaction at a time writes events.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pipeline.errors import IllegalTransitionError, NotOwnerError, SameStartError, UnknownIdError
from pipeline.results.access.leases import Lease
from pipeline.results.damage import read_whole
from pipeline.results.records import TRANSITIONS, JobEventKind, Status, utc_now
from pipeline.results.tables.models import Base, JobEventRow, TrainingJob

#: Key of PostgreSQL's advisory lock; any number that no other user of the server has taken.
_LOCK_KEY = 5_113_972_040_232
_WAITING = "job_events"

Row = TypeVar("Row", bound=Base)


@contextmanager
def only_one(taken: Exception | None = None) -> Iterator[None]:
    """Raise ``taken``, by default `SameStartError`, where a unique index has what is written."""
    try:
        yield
    except IntegrityError as error:
        told = getattr(error.orig, "pgcode", None) or str(error.orig)
        if told != "23505" and "UNIQUE constraint" not in told:  # PostgreSQL's code, SQLite's words
            raise
        raise taken or SameStartError("the same start waits or runs") from None


def lease(session: Session) -> Lease:
    """Return the lease of the database that a session is of."""
    held: Lease = session.info["lease"]
    return held


def move_job(
    session: Session,
    job_id: str,
    target: Status,
    sources: Sequence[Status] | None = None,
    *,
    owned: bool = False,
    **values: Any,
) -> None:
    """Bring a job into state ``target`` from one of ``sources``: any that leads there if None.

    ``owned`` demands that the job belongs to this process.

    Raises
    ------
    IllegalTransitionError
        When the job is in another state.
    NotOwnerError
        When the job belongs to another process.
    """
    if sources is None:
        sources = [status for status, following in TRANSITIONS.items() if target in following]
    write_job(session, job_id, sources, target, owned=owned, **values)
    record_status(session, job_id, target, values.get("error"))


def write_job(
    session: Session,
    job_id: str,
    sources: Sequence[Status],
    target: Status,
    *,
    owned: bool = False,
    **values: Any,
) -> None:
    """Write a job that is in one of ``sources``; see `move_job`."""
    owner = {"owner": lease(session).identity} if owned else {}
    statement = (
        update(TrainingJob)
        .where(TrainingJob.id == job_id, TrainingJob.status.in_(sources))
        .filter_by(**owner)
        .values({"status": target, "heartbeat_at": utc_now(), **values})
        .returning(TrainingJob.id)
    )
    if session.scalar(statement) is None:
        present = session.scalar(select(TrainingJob.status).where(TrainingJob.id == job_id))
        if present is None:
            raise UnknownIdError(f"{TrainingJob.__tablename__} has no row with id {job_id}")
        error = NotOwnerError if present in sources else IllegalTransitionError
        raise error(job_id, present, target)


def complete_job(session: Session, job_id: str) -> None:
    """Complete a running job of this process; see `move_job`."""
    move_job(session, job_id, "completed", owned=True, finished_at=utc_now(), progress=1.0)


def requeue_job(
    session: Session, job_id: str, sources: Sequence[Status] | None = None, **changes: Any
) -> None:
    """Make a job that did not complete pending again, as a fresh row of this process.

    ``sources`` are the states it may be in, as for `move_job`; ``changes`` are other columns that
    are no longer what they were, such as ``config``; with ``owner`` None it waits in the queue.

    Raises
    ------
    IllegalTransitionError
        When the job is complete, or in another state than those.
    """
    fresh: dict[str, Any] = {
        "stage_of_work": None,
        "progress": 0.0,
        "error": None,
        "started_at": None,
        "finished_at": None,
    }
    if "owner" not in changes:
        fresh["owner"] = lease(session).hold(session)
    move_job(session, job_id, "pending", sources, **(fresh | changes))


def get_row(session: Session, model: type[Row], key: str, options: Sequence[Any] = ()) -> Row:
    """Read a row by its key; raise `UnknownIdError` or `DamagedRowError`."""
    row = read_whole(session, model, key, options)
    if row is None:
        raise UnknownIdError(f"{model.__tablename__} has no row with id {key}")
    return row


def record(session: Session, job_id: str, kind: JobEventKind, payload: dict[str, Any]) -> None:
    """Have an event of a job written with this transaction."""
    row = {"job_id": job_id, "at": utc_now(), "kind": kind, "payload": payload}
    session.info.setdefault(_WAITING, []).append(row)


def record_status(session: Session, job_id: str, status: Status, error: str | None = None) -> None:
    """Have a job's new state written with this transaction."""
    record(session, job_id, "status", {"status": status, "error": error})


def write_events(session: Session) -> None:
    """Write what `record` was given, as the last thing of a transaction."""
    rows = session.info.pop(_WAITING, None)
    if not rows:
        return
    session.flush()  # a new job comes before its event
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
    session.execute(insert(JobEventRow), rows)


def new_job(
    *,
    exchange: str,
    pair: str,
    timeframe: str,
    strategy: str,
    optimizer: str,
    config: Mapping[str, Any],
    config_hash: str,
    seed: int,
    start_key: str | None = None,
) -> TrainingJob:
    """Make a pending job without an owner, not stored yet.

    ``start_key`` is a hash of all that a start asks for: no two jobs of one wait or run.
    """
    now = utc_now()
    return TrainingJob(
        id=uuid.uuid4().hex,
        market=f"{exchange}:{pair}:{timeframe}",
        exchange=exchange,
        pair=pair,
        timeframe=timeframe,
        strategy=strategy,
        optimizer=optimizer,
        config=config,
        config_hash=config_hash,
        seed=seed,
        start_key=start_key,
        status="pending",
        progress=0.0,
        heartbeat_at=now,
        created_at=now,
    )
