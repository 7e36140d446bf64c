"""What happens to jobs, in the order in which it became true.

An event is written with the change that it tells of, in one transaction, as the last thing before
the commit. Readers remember the last id they have seen, so none may appear below it later: on
PostgreSQL, where ids are dealt out before a commit, one transaction at a time writes events.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event, func, insert, select
from sqlalchemy.orm import Session, sessionmaker

from pipeline.results.models import JobEventRow
from pipeline.results.records import JobEventKind, Status, utc_now

#: Key of PostgreSQL's advisory lock; any number that no other user of the server has taken.
_LOCK_KEY = 5_113_972_040_232
_WAITING = "job_events"


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
