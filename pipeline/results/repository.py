"""Every read and write of the tables. Nothing else in the project speaks SQL.

A change of a job's state is one conditional UPDATE (`pipeline.results.ownership`). What a run found
and the end of its job are stored in one transaction: there is never one without the other.

A run that was killed cannot say so. Its job holds the host, the process id and the moment the
process started; `Repository.reap_dead_jobs`, called at every start, marks what has no process any
more. Of another host nothing can be asked, so there the age of the last heartbeat decides.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any, Literal, TypeVar

from sqlalchemy import Engine, ScalarResult, select, update
from sqlalchemy.orm import Session, sessionmaker

from pipeline.results.jsonable import jsonable
from pipeline.results.models import (
    Base,
    ConfigurationEventRow,
    TrainedConfiguration,
    TrainingJob,
)
from pipeline.results.ownership import (
    HEARTBEAT_LIMIT,
    IllegalTransitionError,
    UnknownIdError,
    cause_of_death,
    get_row,
    move_job,
    requeue_job,
    this_process,
    write_job,
)
from pipeline.results.records import (
    Configuration,
    ConfigurationEvent,
    Job,
    Status,
    utc_now,
)
from pipeline.validation.lifecycle import Stage

__all__ = [
    "IllegalTransitionError",
    "Repository",
    "SortKey",
    "StageMovedError",
    "UnknownIdError",
    "new_job",
]

SortKey = Literal["created_at", "oos_sharpe_ratio", "oos_net_profit", "sample_size", "p_value"]
Record = TypeVar("Record", Job, Configuration, ConfigurationEvent)


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
        self._sessions = sessionmaker(engine)

    def session(self) -> Session:
        """Open a session, for what reads and writes in a module of its own."""
        return self._sessions()

    def create_job(self, **described: Any) -> str:
        """Store a pending job owned by this process and return its id (32 hex digits).

        ``described`` is what `new_job` takes.
        """
        job = new_job(**described)
        job_id = job.id
        with self._sessions.begin() as session:
            session.add(job)
        return job_id

    def start_job(self, job_id: str) -> None:
        """Start a pending job, which belongs to this process from now on."""
        with self._sessions.begin() as session:
            move_job(session, job_id, "running", started_at=utc_now(), **this_process())

    def requeue_job(self, job_id: str) -> None:
        """Make a job that did not complete pending again; it belongs to this process."""
        with self._sessions.begin() as session:
            requeue_job(session, job_id)

    def progress(self, job_id: str, fraction: float, stage_of_work: str) -> None:
        """Record that a running job lives, and how far it is. The caller keeps it to seconds.

        Raises
        ------
        IllegalTransitionError
            When the job is not running any more, or was given to another process.
        """
        done = {"progress": min(max(fraction, 0.0), 1.0), "stage_of_work": stage_of_work}
        with self._sessions.begin() as session:
            write_job(session, job_id, ["running"], "running", owned=True, **done)

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

    def save_configuration(self, record: Configuration) -> None:
        """Store a configuration and complete its running job: both or neither.

        Raises
        ------
        IllegalTransitionError
            When the job is not running any more, or was given to another process.
        """
        metrics = record.out_of_sample
        row = TrainedConfiguration(
            **{field.name: getattr(record, field.name) for field in fields(record)},
            oos_sharpe_ratio=float(metrics["sharpe_ratio"]),
            oos_net_profit=float(metrics["net_profit"]),
            sample_size=int(metrics["sample_size"]),
            p_value=jsonable(record.statistics.get("p_value")),
        )
        with self._sessions.begin() as session:
            _complete(session, record.job_id)
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
        query = select(TrainedConfiguration)
        for name, value in wanted.items():
            column = getattr(TrainedConfiguration, name)
            if isinstance(value, bool):  # as a literal, which the index of active ones needs
                query = query.where(column if value else ~column)
            elif value is not None:
                query = query.where(column == value)
        key = getattr(TrainedConfiguration, order_by)
        direction = key.desc() if descending else key.asc()
        if order_by == "p_value":  # the only key that may be null
            direction = direction.nulls_last()
        query = query.order_by(direction, TrainedConfiguration.id).limit(limit).offset(offset)
        with self._sessions() as session:
            return _records(Configuration, session.scalars(query))

    def configuration_ids(self) -> list[str]:
        """Read the ids of all configurations, newest first."""
        row = TrainedConfiguration
        query = select(row.id).order_by(row.created_at.desc(), row.id)
        with self._sessions() as session:
            return list(session.scalars(query))

    def record_event(self, event: ConfigurationEvent, document: Mapping[str, Any]) -> bool:
        """Store an event, move its configuration's stage and replace its document: all or nothing.

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
            .values(lifecycle_stage=event.to_stage, document=document)
            .returning(row.id)
        )
        seen = select(same.figures).where(
            same.configuration_id == event.configuration_id, same.kind == event.kind
        )
        with self._sessions() as session, session.begin() as transaction:
            if session.scalar(move) is None:
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
            reason = _obituary(job, heartbeat_limit)
            if reason is not None and self._bury(job, reason):
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
            return session.scalar(statement) is not None


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


def _complete(session: Session, job_id: str) -> None:
    move_job(session, job_id, "completed", owned=True, finished_at=utc_now(), progress=1.0)


def _obituary(job: Job, heartbeat_limit: timedelta) -> str | None:
    """Say why the job's process is taken for dead, and when it last spoke; None when it is not."""
    reason = cause_of_death(job, heartbeat_limit)
    if reason is None:
        return None
    work = f" during {job.stage_of_work}" if job.stage_of_work else ""
    return f"{reason}; last heard of at {job.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC{work}"


def _record(kind: type[Record], row: Base) -> Record:
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})


def _records(kind: type[Record], rows: ScalarResult[Any]) -> list[Record]:
    return [_record(kind, row) for row in rows]
