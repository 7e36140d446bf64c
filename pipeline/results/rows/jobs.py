"""Store, start, end and read the jobs of a database, and what happens to them.

A change of a job's state is one conditional UPDATE (`pipeline.results.access.ownership`). What a
run found and the end of its job are stored in one transaction: there is never one without the
other.

A run that was killed cannot say so. Its job names its owner; `Jobs.reap`, called at every start and
by the dispatcher again and again, marks what has no living owner
(`pipeline.results.access.leases`).
"""

import operator
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, make_transient

from pipeline.errors import ConflictError, UnknownIdError
from pipeline.results import damage
from pipeline.results.access import leases, ownership
from pipeline.results.access.outages import Tables, waits
from pipeline.results.records import Job, JobEvent, JobState, Status, utc_now
from pipeline.results.tables.models import JobEventRow, TrainedConfiguration, TrainingJob

#: States of a job that a person may restart.
ENDED_EARLY: tuple[Status, ...] = ("failed", "cancelled")
UNFINISHED: tuple[Status, ...] = ("pending", "running")
_STATE = [getattr(TrainingJob, field.name) for field in fields(JobState)]


def _has_none(session: Session, job_id: str) -> bool:
    """Tell whether no configuration of a job is stored."""
    row = TrainedConfiguration
    return session.scalar(select(row.id).where(row.job_id == job_id)) is None


class Jobs(Tables):
    """Jobs of one database; `pipeline.results.database.Repository` makes it."""

    def create(self, **spec: Any) -> str:
        """Store a pending job owned by this process and return its id (32 hex digits).

        ``spec`` is what `ownership.new_job` takes.
        """
        (job_id,) = self._store([ownership.new_job(**spec)], owned=True)
        return job_id

    def queue(self, specs: Iterable[Mapping[str, Any]]) -> list[str]:
        """Store pending jobs that wait for a dispatcher, all or none; return their ids in order.

        Each of ``spec`` is what `ownership.new_job` takes.

        Raises
        ------
        SameStartError
            When a job of the same ``start_key`` waits or runs.
        """
        return self._store([ownership.new_job(**spec) for spec in specs], owned=False)

    @waits
    def _store(self, fresh: Sequence[TrainingJob], owned: bool) -> list[str]:
        ids = [job.id for job in fresh]
        for job in fresh:
            make_transient(job)  # to be inserted, whatever an earlier try has made of it
        with ownership.only_one(), self._sessions.begin() as session:
            for job in fresh if owned else ():
                job.owner = ownership.lease(session).hold(session)
            session.add_all(fresh)
            for job_id in ids:
                ownership.record_status(session, job_id, "pending")
        return ids

    @waits
    def start(self, job_id: str) -> None:
        """Start a pending job, which belongs to this process from now on."""
        with self._sessions.begin() as session:
            owner = ownership.lease(session).hold(session)
            ownership.move_job(session, job_id, "running", started_at=utc_now(), owner=owner)

    @waits
    def take(self, job_id: str) -> bool:
        """Start a queued job, which belongs to this process from now on; False: it is not there."""
        row, now = TrainingJob, utc_now()
        took = (
            update(row)
            .where(row.id == job_id, row.status == "pending", row.owner.is_(None))
            .values(status="running", started_at=now, heartbeat_at=now)
            .returning(row.id)
        )
        with self._sessions.begin() as session:
            owner = ownership.lease(session).hold(session)
            taken = session.scalar(took.values(owner=owner)) is not None
            if taken:
                ownership.record_status(session, job_id, "running")
        return taken

    @waits
    def adopt(self, job_id: str, spec: Mapping[str, Any], *, lost: bool = False) -> bool:
        """Make a job this process's running one, also where it has no row any more.

        ``spec`` is what `ownership.new_job` takes. False where the job is complete; with ``lost``
        only where it has a configuration too.

        Raises
        ------
        ConflictError
            When a living process runs it.
        """
        with self._sessions.begin() as session:
            owner = ownership.lease(session).hold(session)
            with damage.naming(TrainingJob.__tablename__, job_id):
                row = session.get(TrainingJob, job_id)
            if row is None:
                row = ownership.new_job(**spec)
                row.id, row.owner = job_id, owner
                session.add(row)
                ownership.record_status(session, job_id, "pending")
                session.flush()
            elif row.status == "completed" and not (lost and _has_none(session, job_id)):
                return False
            else:
                last = leases.read_owners(session, once=True).get(row.owner or "")
                if row.status == "running" and leases.cause_of_death(last) is None:
                    who = f"process {last.pid} on {last.host}" if last else "another process"
                    raise ConflictError(f"Job {job_id} is running: wait for {who}, or cancel it.")
                row.start_key = None  # a command runs it, whatever waits beside it
                session.flush()
                ownership.requeue_job(session, job_id, [row.status])
            ownership.move_job(session, job_id, "running", started_at=utc_now(), owner=owner)
        return True

    @waits
    def waiting(self, limit: int) -> list[str]:
        """Read the ids of the jobs that have waited longest for a dispatcher."""
        row = TrainingJob
        query = select(row.id).where(row.status == "pending", row.owner.is_(None))
        with self._sessions() as session:
            return list(session.scalars(query.order_by(row.created_at, row.id).limit(limit)))

    @waits
    def of_start(self, start_key: str) -> str | None:
        """Read the id of the job of a start that waits or runs."""
        row = TrainingJob
        query = select(row.id).where(row.start_key == start_key, row.status.in_(UNFINISHED))
        with self._sessions() as session:
            return session.scalar(query)

    @waits
    def restart(self, job_id: str) -> None:
        """Put a job that failed or was cancelled into the queue again.

        Raises
        ------
        IllegalTransitionError
            When it is in another state.
        """
        with ownership.only_one(), self._sessions.begin() as session:
            ownership.requeue_job(session, job_id, ENDED_EARLY, owner=None)

    def progress(
        self,
        job_id: str,
        fraction: float,
        stage_of_work: str,
        *,
        done: int = 0,
        total: int = 0,
        rate: float | None = None,
    ) -> None:
        """Record that a running job lives, and how far it is. The caller keeps it to seconds.

        This and `note` wait for no database: what cannot be written is the caller's to drop.

        ``done`` of ``total`` units, ``rate`` a second.

        Raises
        ------
        IllegalTransitionError
            When the job is not running any more, or was given to another process.
        """
        fraction = min(max(fraction, 0.0), 1.0)
        columns = {"progress": fraction, "stage_of_work": stage_of_work}
        counted = {"done": done, "total": total, "rate": rate}
        payload = {"stage": stage_of_work, "progress": fraction, **counted}
        with self._sessions.begin(briefly=True) as session:
            ownership.write_job(session, job_id, ["running"], "running", owned=True, **columns)
            ownership.record(session, job_id, "progress", payload)

    def note(self, job_id: str, text: str) -> None:
        """Record what a person should know of a running job; see `progress`."""
        with self._sessions.begin(briefly=True) as session:
            ownership.write_job(session, job_id, ["running"], "running", owned=True)
            ownership.record(session, job_id, "note", {"text": text})

    @waits
    def complete(self, job_id: str) -> None:
        """Complete a running job without a configuration: nothing admissible was found."""
        with self._sessions.begin() as session:
            ownership.complete_job(session, job_id)

    @waits
    def fail(self, job_id: str, error: str) -> None:
        """Mark a pending or running job of this process as failed, with the reason."""
        with self._sessions.begin() as session:
            ownership.move_job(
                session, job_id, "failed", owned=True, finished_at=utc_now(), error=error
            )

    @waits
    def cancel(self, job_id: str) -> None:
        """Cancel a pending or running job, whoever owns it."""
        with self._sessions.begin() as session:
            ownership.move_job(session, job_id, "cancelled", finished_at=utc_now())

    @waits
    def cancel_owned(self) -> None:
        """Cancel the jobs of this process that have not ended."""
        row = TrainingJob
        with self._sessions.begin() as session:
            own = row.owner == ownership.lease(session).identity, row.status.in_(UNFINISHED)
            for job_id in session.scalars(select(row.id).where(*own)).all():
                ownership.move_job(session, job_id, "cancelled", finished_at=utc_now())

    @waits
    def read(self, job_id: str) -> Job:
        """Read one job, or raise `UnknownIdError`."""
        with self._sessions() as session:
            return damage.from_row(Job, ownership.get_row(session, TrainingJob, job_id))

    @waits
    def state(self, job_id: str) -> JobState:
        """Read what can be read of a damaged job too, or raise `UnknownIdError`."""
        with self._sessions() as session:
            values = session.execute(select(*_STATE).where(TrainingJob.id == job_id)).first()
        if values is None:
            raise UnknownIdError(f"training_jobs has no row with id {job_id}")
        return JobState(*values)

    @waits
    def owner(self, job: Job | JobState) -> leases.Owner | None:
        """Read the lease of a job's owner; None where it left none."""
        with self._sessions() as session:
            return leases.read_owners(session).get(job.owner or "")

    @waits
    def find(
        self,
        *statuses: Status,
        limit: int | None = 100,
        offset: int = 0,
        running_first: bool = False,
    ) -> damage.Rows[Job]:
        """Read a page of jobs in any of ``statuses`` (all when none is named), newest first."""
        first = [(TrainingJob.status != "running")] if running_first else []
        query = select(TrainingJob).order_by(*first, TrainingJob.created_at.desc(), TrainingJob.id)
        if statuses:
            query = query.where(TrainingJob.status.in_(statuses))
        with self._sessions() as session:
            page = query.limit(limit).offset(offset)
            return damage.read_records(session, page, TrainingJob, Job)

    @waits
    def count(self, *statuses: Status) -> int:
        """Count the jobs in any of ``statuses`` (all when none is named)."""
        query = select(func.count()).select_from(TrainingJob)
        if statuses:
            query = query.where(TrainingJob.status.in_(statuses))
        with self._sessions() as session:
            return session.scalar(query) or 0

    @waits
    def events(
        self, last_id: int = 0, job_id: str | None = None, limit: int = 500
    ) -> list[JobEvent]:
        """Read events of a job, or of all, that follow event ``last_id``; ids ascend.

        In the place of one that cannot be read stands a note that says so.
        """
        query = select(JobEventRow).where(JobEventRow.id > last_id)
        if job_id is not None:
            query = query.where(JobEventRow.job_id == job_id)
        with self._sessions() as session:
            page = query.order_by(JobEventRow.id).limit(limit)
            events = damage.read_records(session, page, JobEventRow, JobEvent)
        for one in events.damaged:
            said = {"text": str(one)}
            events.append(JobEvent(int(one.identity), job_id or "", utc_now(), "note", said))
        return sorted(events, key=operator.attrgetter("id"))

    @waits
    def newest_progress(self, job_id: str) -> JobEvent | None:
        """Read the last progress of a job; None before the first, and of one that is damaged."""
        row = JobEventRow
        query = select(row).where(row.job_id == job_id, row.kind == "progress")
        with self._sessions() as session, suppress(*damage.UNREADABLE):
            newest = session.scalar(query.order_by(row.id.desc()).limit(1))
            return None if newest is None else damage.from_row(JobEvent, newest)
        return None

    @waits
    def newest_event_id(self, job_id: str) -> int:
        """Return the id of a job's last event; 0 before the first."""
        with self._sessions() as session:
            newest = select(func.max(JobEventRow.id)).where(JobEventRow.job_id == job_id)
            return session.scalar(newest) or 0

    @waits
    def notes(self, job_id: str, limit: int = 50) -> list[str]:
        """Read the notes of a job, oldest first, none twice."""
        row = JobEventRow
        query = select(row.payload).where(row.job_id == job_id, row.kind == "note")
        query = query.order_by(row.id).limit(limit)
        with self._sessions() as session:
            notes = damage.read_rows(session, query, row, lambda note: str(note[0]["text"]))
        return list(dict.fromkeys([*notes, *map(str, notes.damaged)]))

    def reap(self, watch: leases.Watch | None = None) -> list[Job | JobState]:
        """Mark the unfinished jobs whose owner is dead as failed and return them.

        ``watch`` belongs to whoever calls this again and again.
        """
        jobs, owners = self._owned(once=watch is None)
        if watch is not None:
            watch.keep(owners)
        causes = {one: leases.cause_of_death(owner, watch) for one, owner in owners.items()}
        reaped = list[Job | JobState]()
        for job in jobs:
            owner = owners.get(job.owner or "")
            cause = causes[owner.identity] if owner else leases.cause_of_death(None)
            if cause is None:
                continue
            heard = (owner and owner.renewed_at) or self._heartbeat(job.id)
            last = f"{heard:%Y-%m-%d %H:%M:%S} UTC" if heard else "an unknown time"
            work = f" during {job.stage_of_work}" if job.stage_of_work else ""
            error = f"{cause}; last sign of life at {last}{work}"
            if self.fail_for(job, error):
                try:
                    reaped.append(self.read(job.id))
                except damage.DamagedRowError:
                    reaped.append(self.state(job.id))
        if dead := [identity for identity, cause in causes.items() if cause is not None]:
            self._forget(dead)
        return reaped

    @waits
    def _owned(self, *, once: bool) -> tuple[list[JobState], dict[str, leases.Owner]]:
        """Read the unfinished jobs that somebody owns, and all leases as `leases.read_owners`."""
        row = TrainingJob
        unfinished = select(*_STATE).where(row.status.in_(UNFINISHED), row.owner.is_not(None))
        with self._sessions.begin() as session:
            jobs = [JobState(*values) for values in session.execute(unfinished)]
            return jobs, leases.read_owners(session, once=once)

    @waits
    def _heartbeat(self, job_id: str) -> datetime | None:
        """Read when a job was written last; None where that cannot be read."""
        query = select(TrainingJob.heartbeat_at).where(TrainingJob.id == job_id)
        with self._sessions() as session, suppress(*damage.UNREADABLE):
            return session.scalar(query)
        return None

    @waits
    def _forget(self, dead: Sequence[str]) -> None:
        with self._sessions.begin() as session:
            leases.forget(session, dead)

    @waits
    def fail_for(self, job: Job | JobState, error: str, *, again: bool = False) -> bool:
        """Mark a job as failed for its owner, unless it has moved since ``job`` was read.

        For whoever gave it to a worker: what the worker still writes is refused. With ``again`` it
        waits in the queue afterwards.
        """
        statement = (
            update(TrainingJob)
            .where(TrainingJob.id == job.id, TrainingJob.owner == job.owner)
            .where(TrainingJob.status == job.status)
            .values(status="failed", error=error, finished_at=utc_now())
            .returning(TrainingJob.id)
        )
        with self._sessions.begin() as session:
            failed = session.scalar(statement) is not None
            if failed:
                ownership.record_status(session, job.id, "failed", error)
                if again:
                    ownership.requeue_job(session, job.id, owner=None)
        return failed
