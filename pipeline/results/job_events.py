"""What happens to jobs, in the order in which it became true.

An event is written with the change that it tells of, in one transaction, as the last thing before
the commit. Readers remember the last id they have seen, so none may appear below it later: on
PostgreSQL, where ids are dealt out before a commit, one transaction at a time writes events.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol

from sqlalchemy import Engine, event, func, insert, select
from sqlalchemy.orm import Session, sessionmaker

from pipeline.results.models import JobEventRow
from pipeline.results.records import JobEvent, JobEventKind, Status, utc_now

#: Key of PostgreSQL's advisory lock; any number that no other user of the server has taken.
_LOCK_KEY = 5_113_972_040_232
_WAITING = "job_events"


class _Sessions(Protocol):
    """What a `pipeline.results.jobs.Repository` is here, which is built on this module."""

    def session(self) -> Session: ...


def sessions(engine: Engine) -> sessionmaker[Session]:
    """Make sessions that write what was told to `record` when they commit."""
    maker = sessionmaker(engine)
    event.listen(maker, "before_commit", _write)
    return maker


def record(session: Session, job_id: str, kind: JobEventKind, payload: dict[str, Any]) -> None:
    """Have an event of a job written with this transaction."""
    row = {"job_id": job_id, "at": utc_now(), "kind": kind, "payload": payload}
    session.info.setdefault(_WAITING, []).append(row)


def record_status(session: Session, job_id: str, status: Status, error: str | None = None) -> None:
    """Have a job's new state written with this transaction."""
    record(session, job_id, "status", {"status": status, "error": error})


def _write(session: Session) -> None:
    rows = session.info.pop(_WAITING, None)
    if not rows:
        return
    session.flush()  # a new job comes before its event
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
    session.execute(insert(JobEventRow), rows)


def events_after(
    repository: _Sessions, last_id: int = 0, job_id: str | None = None, limit: int = 500
) -> list[JobEvent]:
    """Read events of a job, or of all, that follow event ``last_id``; ids ascend."""
    query = select(JobEventRow).where(JobEventRow.id > last_id)
    if job_id is not None:
        query = query.where(JobEventRow.job_id == job_id)
    with repository.session() as session:
        return [_event(row) for row in session.scalars(query.order_by(JobEventRow.id).limit(limit))]


def newest_progress(repository: _Sessions, job_id: str) -> JobEvent | None:
    """Read the last progress of a job; None before the first."""
    row = JobEventRow
    query = select(row).where(row.job_id == job_id, row.kind == "progress")
    with repository.session() as session:
        found = session.scalar(query.order_by(row.id.desc()).limit(1))
        return None if found is None else _event(found)


def newest_id(repository: _Sessions, job_id: str) -> int:
    """Return the id of a job's last event; 0 before the first."""
    with repository.session() as session:
        newest = select(func.max(JobEventRow.id)).where(JobEventRow.job_id == job_id)
        return session.scalar(newest) or 0


def notes(repository: _Sessions, job_id: str, limit: int = 50) -> list[str]:
    """Read what a job had to say, oldest first, none twice."""
    row = JobEventRow
    query = select(row.payload).where(row.job_id == job_id, row.kind == "note")
    with repository.session() as session:
        found = session.scalars(query.order_by(row.id).limit(limit))
        return list(dict.fromkeys(payload["text"] for payload in found))


def _event(row: JobEventRow) -> JobEvent:
    return JobEvent(**{field.name: getattr(row, field.name) for field in fields(JobEvent)})
