"""All jobs of a start in one transaction: the queue holds every one of them, or none."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline import jobs
from pipeline.config import TrainConfig
from pipeline.results.job_events import record_status
from pipeline.results.new_job import new_job
from pipeline.results.ownership import NOBODY
from pipeline.results.repository import Repository


def queue_all(repository: Repository, configs: Iterable[TrainConfig]) -> list[str]:
    """Store a pending job of each configuration that waits for a dispatcher; return their ids."""
    fresh = [new_job(**jobs.description(config)) for config in configs]
    ids = [job.id for job in fresh]
    with repository.session() as session, session.begin():
        for job in fresh:
            job.host, job.pid, job.process_started = NOBODY.values()
            session.add(job)
            record_status(session, job.id, "pending")
    return ids
