"""List what was asked for together: the jobs of a sweep, or a single job.

A list of them is looked at twice a second. `Batches.change` costs two reads of an index, and
nothing else is read until it says something new.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, cast, exists, func, select
from sqlalchemy.orm import Session

from pipeline.results.access.outages import Tables, waits
from pipeline.results.records import Status
from pipeline.results.tables.models import (
    JobEventRow,
    SweepMarketRow,
    SweepRow,
    TrainedConfiguration,
    TrainingJob,
)

_OPEN: tuple[Status, ...] = ("running", "pending")
#: Newest jobs among which those are looked for that are complete.
_LOOKED_AT = 500


class Batch(NamedTuple):
    """Jobs that were asked for together, by the id of their sweep, else by that of the one job.

    ``asked`` is when, as the database writes it; texts of one database can be compared.
    """

    id: str
    is_sweep: bool
    state: Status | None
    asked: str


class Batches(Tables):
    """Batches of one database; `pipeline.results.database.Repository` makes it."""

    @waits
    def change(self) -> tuple[int, int]:
        """Return what is another after every change of a job, and after every end of a sweep."""
        running = select(func.count()).select_from(SweepRow).where(SweepRow.status == "running")
        with self._sessions() as session:
            newest = session.scalar(select(func.max(JobEventRow.id)))
            return newest or 0, session.scalar(running) or 0

    @waits
    def page(self, status: Status | None, limit: int, offset: int) -> list[Batch]:
        """Read a page: what runs first, then what waits in the order of the queue, then the newest.

        Parameters
        ----------
        status : str or None
            That a job of each must have; None for any.
        """
        with self._sessions() as session:
            unfinished = _unfinished(session)
            known = [one for one in unfinished if status is None or one.state == status]
            if status in _OPEN:
                return known[offset : offset + limit]
            end = offset + limit
            ended = [
                *_ended_sweeps(session, [one.id for one in unfinished], status, end),
                *_ended_jobs(session, status, end),
            ]
        ended.sort(key=lambda one: one.asked, reverse=True)
        return [*known, *ended][offset:end]

    @waits
    def unfinished(self) -> list[Batch]:
        """Read what runs and what waits, in the same order."""
        with self._sessions() as session:
            return _unfinished(session)

    @waits
    def seconds(self, limit: int = 20) -> list[float]:
        """Read how long the newest jobs took that are complete."""
        row = TrainingJob
        newest = select(row.status, row.started_at, row.finished_at)
        of = newest.order_by(row.created_at.desc()).limit(_LOOKED_AT).subquery().c
        times = select(_as_text(of.started_at), _as_text(of.finished_at))
        with self._sessions() as session:
            ended = session.execute(times.where(of.status == "completed").limit(limit)).all()
        return [seconds for times in ended if (seconds := _between(*times)) is not None]

    @waits
    def configurations(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Read the ids of what jobs stored, by job."""
        row = TrainedConfiguration
        query = select(row.job_id, row.id).where(row.job_id.in_(job_ids))
        with self._sessions() as session:
            return {job_id: str(identity) for job_id, identity in session.execute(query)}

    @waits
    def optimizers(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Read the optimizers of jobs by id, without what else their rows hold."""
        row = TrainingJob
        query = select(row.id, row.optimizer).where(row.id.in_(job_ids))
        with self._sessions() as session:
            return {job_id: str(word) for job_id, word in session.execute(query)}


def _between(start: str | None, end: str | None) -> float | None:
    """Return the seconds from one moment to another; None where one is not there, or damaged."""
    try:
        times = datetime.fromisoformat(start or ""), datetime.fromisoformat(end or "")
    except ValueError:
        return None
    return (times[1] - times[0]).total_seconds()


def _as_text(column: Any) -> ColumnElement[str]:
    """Take a moment as the text that it is: one that is damaged does not hide all others."""
    return cast(column, String)


def _unfinished(session: Session) -> list[Batch]:
    row, member = TrainingJob, SweepMarketRow
    query = (
        select(row.id, row.status, _as_text(row.created_at), func.min(member.sweep_id))
        .outerjoin(member, member.job_id == row.id)
        .where(row.status.in_(_OPEN))
        .group_by(row.id, row.status, row.created_at)
    )
    found: dict[str, Batch] = {}
    for job_id, status, asked, sweep_id in session.execute(query):
        identity = sweep_id or job_id
        before = found.get(identity, Batch(identity, sweep_id is not None, status, asked))
        state: Status = "running" if "running" in (before.state, status) else "pending"
        found[identity] = before._replace(state=state, asked=min(before.asked, asked))
    # A sweep of which a job has ended is under way, also while it waits for the next to begin.
    begun = select(member.sweep_id).join(row, row.id == member.job_id)
    begun = begun.where(member.sweep_id.in_(list(found)), row.status.not_in(_OPEN)).distinct()
    for sweep_id in session.scalars(begun):
        found[sweep_id] = found[sweep_id]._replace(state="running")
    # One whose jobs have all ended is being judged.
    judged = select(SweepRow.id, _as_text(SweepRow.created_at)).where(SweepRow.status == "running")
    for sweep_id, asked in session.execute(judged):
        found.setdefault(sweep_id, Batch(sweep_id, True, "running", asked))
    return sorted(found.values(), key=lambda one: (_OPEN.index(one.state or "pending"), one.asked))


def _ended_sweeps(
    session: Session, unfinished: Sequence[str], status: Status | None, limit: int
) -> list[Batch]:
    row, member = SweepRow, SweepMarketRow
    query = select(row.id, _as_text(row.created_at))
    query = query.where(row.id.not_in(unfinished))
    if status is not None:
        jobs = select(TrainingJob.id).where(TrainingJob.status == status)
        query = query.where(exists().where(member.sweep_id == row.id, member.job_id.in_(jobs)))
    query = query.order_by(row.created_at.desc(), row.id).limit(limit)
    return [Batch(str(one), True, None, asked) for one, asked in session.execute(query)]


def _ended_jobs(session: Session, status: Status | None, limit: int) -> list[Batch]:
    row = TrainingJob
    query = select(row.id, _as_text(row.created_at))
    query = query.where(~exists().where(SweepMarketRow.job_id == row.id))
    # Most jobs are complete: to sort all of these takes longer than to walk from the newest.
    word = row.status + "" if status == "completed" else row.status
    query = query.where(word.not_in(_OPEN) if status is None else word == status)
    query = query.order_by(row.created_at.desc(), row.id).limit(limit)
    return [Batch(str(one), False, None, asked) for one, asked in session.execute(query)]
