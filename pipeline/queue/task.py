"""Run one queued job, or judge one queued sweep, in a worker process.

The process ends when its job is cancelled.
"""

import os
from pathlib import Path

from gpu_engine import Advance
from pipeline.config import StorageConfig, TrainConfig, validate
from pipeline.errors import DatabaseAwayError, DiskFullError, SweepTakenError
from pipeline.executors.background import repeated, tell
from pipeline.results.access.address import FileIdentity
from pipeline.results.database import open_database
from pipeline.results.rows.sweeps import QUEUE, Claim
from pipeline.sweeps.judging import judge_sweep
from pipeline.training import job
from pipeline.training.run import Reporter

#: Seconds between two looks whether the job is still this process's.
WATCH_EVERY = 0.5


def run_job(
    shared: tuple[StorageConfig, FileIdentity | None], job_id: str, advance: Advance
) -> str | None:
    """Train as a queued job says; its row tells the outcome. A job that waits no more is left.

    ``shared`` says where results go, and which file of that name the dispatcher has open. Where the
    database did not answer to the end, the row tells nothing: returns the reason.
    """
    try:
        _run(*shared, job_id)
    except DatabaseAwayError as away:
        return str(away)
    return None


def _run(storage: StorageConfig, database: FileIdentity | None, job_id: str) -> None:
    with open_database(storage.url, storage.patience, reopened=database) as repository:
        if not repository.jobs.take(job_id):
            return
        lost = False

        def watch() -> float:
            """End this process when the job was cancelled or given to another two looks ago."""
            nonlocal lost
            if lost:
                os._exit(0)  # the whole process, whatever it is computing
            row = repository.jobs.state(job_id)
            lost = (row.status, row.owner) != ("running", repository.lease.identity)
            return WATCH_EVERY

        with repeated(watch, WATCH_EVERY, "watch of the job"), job.guard(repository, job_id):
            values = repository.jobs.read(job_id).config | {"storage": storage.model_dump()}
            config = validate(values, TrainConfig)
            job.run_again(config, repository, job_id, Reporter())


def judge_queued(
    shared: tuple[StorageConfig, FileIdentity | None], sweep_id: str, advance: Advance
) -> str | None:
    """Judge a queued sweep whose jobs have all ended; one that was opened again is left.

    ``shared`` is that of `run_job`. Where the database did not answer to the end, or its disk is
    full: returns why.
    """
    storage, database = shared
    try:
        with open_database(storage.url, storage.patience, reopened=database) as repository:
            counts = repository.sweeps.counts(sweep_id)
            if not any(status in counts for status in ("pending", "running")):
                claim = Claim(sweep_id, QUEUE)
                judge_sweep(repository, Path(storage.artifacts), claim, tell)
    except SweepTakenError:
        return None
    except (DatabaseAwayError, DiskFullError) as away:
        return str(away)
    return None
