"""Every read and write of the tables. Nothing else in the project speaks SQL.

A change of a job's state is one conditional UPDATE (`pipeline.results.ownership`). What a run found
and the end of its job are stored in one transaction: there is never one without the other.

A run that was killed cannot say so. Its job holds the host, the process id and the moment the
process started; `Repository.reap_dead_jobs`, called at every start, marks what has no process any
more. Of another host nothing can be asked, so there the age of the last heartbeat decides.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Engine, ScalarResult, select, update
from sqlalchemy.orm import Session

from pipeline.results import configurations
from pipeline.results.configurations import SortKey
from pipeline.results.job_events import record, record_status, sessions
from pipeline.results.jsonable import jsonable
from pipeline.results.models import (
    Base,
    ConfigurationEventRow,
    TrainedConfiguration,
    TrainingJob,
)
from pipeline.results.ownership import (
    HEARTBEAT_LIMIT,
    NOBODY,
    get_row,
    move_job,
    obituary,
    requeue_job,
    this_process,
    write_job,
)
from pipeline.results.records import (
    Configuration,
    ConfigurationEvent,
    ConfigurationRow,
    Job,
    Status,
    utc_now,
)
from pipeline.validation.stages import Stage


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
) -> TrainingJob:
    """Make a pending job of this process, not stored yet."""
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
        status="pending",
        progress=0.0,
        heartbeat_at=now,
        created_at=now,
        **this_process(),
    )


Record = TypeVar("Record", Job, Configuration, ConfigurationEvent)


#: States of a job that a person may restart.
ENDED_EARLY: tuple[Status, ...] = ("failed", "cancelled")


#: What becomes of a configuration's document.
Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class StageMovedError(RuntimeError):
    """A configuration was no longer in the stage that an event was to move it from."""


class Repository:
    """Jobs and configurations of one database.

    Parameters
    ----------
    engine : Engine
        From `pipeline.results.database.open_database`.
    """

    def __init__(self, engine: Engine) -> None:
        self._sessions = sessions(engine)

    def session(self) -> Session:
        """Open a session, for what reads and writes in a module of its own."""
        return self._sessions()

    def create_job(self, **described: Any) -> str:
        """Store a pending job owned by this process and return its id (32 hex digits).

        ``described`` is what `new_job` takes.
        """
        (job_id,) = self._store([new_job(**described)])
        return job_id

    def queue_jobs(self, described: Iterable[Mapping[str, Any]]) -> list[str]:
        """Store pending jobs that wait for a dispatcher, all or none; return their ids in order.

        Each of ``described`` is what `new_job` takes.
        """
        fresh = [new_job(**one) for one in described]
        for job in fresh:
            job.host, job.pid, job.process_started = NOBODY.values()
        return self._store(fresh)

    def _store(self, fresh: Sequence[TrainingJob]) -> list[str]:
        ids = [job.id for job in fresh]
        with self._sessions.begin() as session:
            session.add_all(fresh)
            for job_id in ids:
                record_status(session, job_id, "pending")
        return ids

    def start_job(self, job_id: str) -> None:
        """Start a pending job, which belongs to this process from now on."""
        with self._sessions.begin() as session:
            move_job(session, job_id, "running", started_at=utc_now(), **this_process())

    def take_job(self, job_id: str) -> bool:
        """Start a queued job, which belongs to this process from now on; False: it is not there."""
        row, now = TrainingJob, utc_now()
        took = (
            update(row)
            .where(row.id == job_id, row.status == "pending")
            .filter_by(**NOBODY)
            .values(status="running", started_at=now, heartbeat_at=now, **this_process())
            .returning(row.id)
        )
        with self._sessions.begin() as session:
            taken = session.scalar(took) is not None
            if taken:
                record_status(session, job_id, "running")
        return taken

    def queue(self, limit: int) -> list[str]:
        """Read the ids of the jobs that have waited longest for a dispatcher."""
        row = TrainingJob
        query = select(row.id).where(row.status == "pending").filter_by(**NOBODY)
        with self._sessions() as session:
            return list(session.scalars(query.order_by(row.created_at, row.id).limit(limit)))

    def restart_job(self, job_id: str) -> None:
        """Put a job that failed or was cancelled into the queue again.

        Raises
        ------
        IllegalTransitionError
            When it is in another state.
        """
        with self._sessions.begin() as session:
            requeue_job(session, job_id, ENDED_EARLY, **NOBODY)

    def requeue_job(self, job_id: str) -> None:
        """Make a job that did not complete pending again; it belongs to this process."""
        with self._sessions.begin() as session:
            requeue_job(session, job_id)

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

        ``done`` of ``total`` units, ``rate`` a second.

        Raises
        ------
        IllegalTransitionError
            When the job is not running any more, or was given to another process.
        """
        fraction = min(max(fraction, 0.0), 1.0)
        columns = {"progress": fraction, "stage_of_work": stage_of_work}
        counted = {"done": done, "total": total, "rate": rate}
        told = {"stage": stage_of_work, "progress": fraction, **counted}
        with self._sessions.begin() as session:
            write_job(session, job_id, ["running"], "running", owned=True, **columns)
            record(session, job_id, "progress", told)

    def note(self, job_id: str, text: str) -> None:
        """Record what a person should know of a running job; see `progress`."""
        with self._sessions.begin() as session:
            write_job(session, job_id, ["running"], "running", owned=True)
            record(session, job_id, "note", {"text": text})

    def complete_job(self, job_id: str) -> None:
        """Complete a running job without a configuration: nothing admissible was found."""
        with self._sessions.begin() as session:
            _complete(session, job_id)

    def fail_job(self, job_id: str, error: str) -> None:
        """Mark a pending or running job of this process as failed, with the reason."""
        with self._sessions.begin() as session:
            move_job(session, job_id, "failed", owned=True, finished_at=utc_now(), error=error)

    def cancel_job(self, job_id: str) -> None:
        """Cancel a pending or running job, whoever owns it."""
        with self._sessions.begin() as session:
            move_job(session, job_id, "cancelled", finished_at=utc_now())

    def save_configuration(self, found: Configuration) -> None:
        """Store a configuration and complete its running job: both or neither.

        Raises
        ------
        IllegalTransitionError
            When the job is not running any more, or was given to another process.
        """
        metrics = found.out_of_sample
        row = TrainedConfiguration(
            **{field.name: getattr(found, field.name) for field in fields(found)},
            oos_sharpe_ratio=float(metrics["sharpe_ratio"]),
            oos_net_profit=float(metrics["net_profit"]),
            sample_size=int(metrics["sample_size"]),
            p_value=jsonable(found.statistics.get("p_value")),
        )
        with self._sessions.begin() as session:
            record(session, found.job_id, "result", {"configuration_id": found.id})
            _complete(session, found.job_id)
            session.add(row)

    def job(self, job_id: str) -> Job:
        """Read one job, or raise `UnknownIdError`."""
        with self._sessions() as session:
            return _record(Job, get_row(session, TrainingJob, job_id))

    def jobs(self, *statuses: Status, limit: int | None = 100, offset: int = 0) -> list[Job]:
        """Read a page of jobs in any of ``statuses`` (all when none is named), newest first."""
        query = select(TrainingJob).order_by(TrainingJob.created_at.desc(), TrainingJob.id)
        if statuses:
            query = query.where(TrainingJob.status.in_(statuses))
        with self._sessions() as session:
            return _records(Job, session.scalars(query.limit(limit).offset(offset)))

    def configuration(self, configuration_id: str) -> Configuration:
        """Read one configuration, or raise `UnknownIdError`."""
        with self._sessions() as session:
            row = get_row(session, TrainedConfiguration, configuration_id)
            return _record(Configuration, row)

    def filter_columns(self, configuration_id: str) -> dict[str, float | int | None]:
        """Read the figures of a configuration that have columns of their own, to be listed by.

        Raises
        ------
        UnknownIdError
            When there is no such configuration.
        """
        names = ("oos_sharpe_ratio", "oos_net_profit", "sample_size", "p_value")
        with self._sessions() as session:
            row = get_row(session, TrainedConfiguration, configuration_id)
            return {name: getattr(row, name) for name in names}

    def has_configuration(self, configuration_id: str) -> bool:
        """Tell whether a configuration is stored."""
        with self._sessions() as session:
            return session.get(TrainedConfiguration, configuration_id) is not None

    def configurations(
        self,
        *,
        lifecycle_stage: Stage | None = None,
        exchange: str | None = None,
        pair: str | None = None,
        timeframe: str | None = None,
        strategy: str | None = None,
        job_id: str | None = None,
        synthetic: bool | None = None,
        is_active: bool | None = None,
        order_by: SortKey = "created_at",
        descending: bool = True,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[Configuration]:
        """Read a page of the configurations that match every filter given, nulls last."""
        wanted = {
            "lifecycle_stage": lifecycle_stage,
            "exchange": exchange,
            "pair": pair,
            "timeframe": timeframe,
            "strategy": strategy,
            "job_id": job_id,
            "synthetic": synthetic,
            "is_active": is_active,
        }
        query = configurations.documents(wanted, order_by, descending, limit, offset)
        with self._sessions() as session:
            return _records(Configuration, session.scalars(query))

    def page_of_configurations(
        self,
        *,
        order_by: SortKey = "created_at",
        descending: bool = True,
        limit: int = 100,
        offset: int = 0,
        **wanted: Any,
    ) -> tuple[list[ConfigurationRow], int]:
        """Read a page as `configurations` does, without documents, and how many match in all.

        ``wanted`` are the filters of `configurations`.
        """
        page = configurations.rows(wanted, order_by, descending, limit, offset)
        with self._sessions() as session:
            configurations.prefer_indices(session)
            found = [ConfigurationRow(*row) for row in session.execute(page)]
            return found, session.scalar(configurations.counted(wanted)) or 0

    def configuration_ids(self) -> list[str]:
        """Read the ids of all configurations, newest first."""
        row = TrainedConfiguration
        query = select(row.id).order_by(row.created_at.desc(), row.id)
        with self._sessions() as session:
            return list(session.scalars(query))

    def record_event(self, event: ConfigurationEvent, change: Change) -> bool:
        """Store an event, move its configuration's stage and change its document: all or nothing.

        ``change`` takes the document as it is then: others may have written since it was read.

        Where figures have a ``data_hash``, an event of the same kind with the same hash says that
        these candles were looked at before: then nothing changes, and the answer is False.

        Raises
        ------
        StageMovedError
            When the configuration is not in the event's ``from_stage``.
        """
        row, same = TrainedConfiguration, ConfigurationEventRow
        move = (  # first, so that this transaction holds the row before it reads
            update(row)
            .where(row.id == event.configuration_id, row.lifecycle_stage == event.from_stage)
            .values(lifecycle_stage=event.to_stage)
            .returning(row.document)
        )
        seen = select(same.figures).where(
            same.configuration_id == event.configuration_id, same.kind == event.kind
        )
        with self._sessions() as session, session.begin() as transaction:
            document = session.scalar(move)
            if document is None:
                present = get_row(session, row, event.configuration_id).lifecycle_stage
                raise StageMovedError(
                    f"{event.configuration_id} is in {present}, not in {event.from_stage}"
                )
            data_hash = event.figures.get("data_hash")
            if data_hash is not None and any(
                figures.get("data_hash") == data_hash for figures in session.scalars(seen)
            ):
                transaction.rollback()
                return False
            session.execute(
                update(row)
                .where(row.id == event.configuration_id)
                .values(document=change(document))
            )
            session.add(same(**{f.name: getattr(event, f.name) for f in fields(event)}))
        return True

    def events(self, configuration_id: str) -> list[ConfigurationEvent]:
        """Read what happened to a configuration, oldest first."""
        row = ConfigurationEventRow
        query = select(row).where(row.configuration_id == configuration_id)
        with self._sessions() as session:
            return _records(ConfigurationEvent, session.scalars(query.order_by(row.at, row.id)))

    def reap_dead_jobs(self, heartbeat_limit: timedelta = HEARTBEAT_LIMIT) -> list[Job]:
        """Mark the unfinished jobs whose process is gone as failed and return them."""
        reaped = []
        for job in self.jobs("pending", "running", limit=None):
            reason = obituary(job, heartbeat_limit)
            if not job.queued and reason is not None and self._bury(job, reason):
                reaped.append(self.job(job.id))
        return reaped

    def _bury(self, seen: Job, reason: str) -> bool:
        """Mark a job as failed unless it has moved since it was ``seen``."""
        now = utc_now()
        statement = (
            update(TrainingJob)
            .where(TrainingJob.id == seen.id)
            .where(TrainingJob.status == seen.status)
            .where(TrainingJob.heartbeat_at == seen.heartbeat_at)
            .values(status="failed", error=reason, finished_at=now)
            .returning(TrainingJob.id)
        )
        with self._sessions.begin() as session:
            buried = session.scalar(statement) is not None
            if buried:
                record_status(session, seen.id, "failed", reason)
        return buried


def _complete(session: Session, job_id: str) -> None:
    move_job(session, job_id, "completed", owned=True, finished_at=utc_now(), progress=1.0)


def _record(kind: type[Record], row: Base) -> Record:
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})


def _records(kind: type[Record], rows: ScalarResult[Any]) -> list[Record]:
    return [_record(kind, row) for row in rows]
