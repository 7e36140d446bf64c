"""A queued job as a worker does it: taken, trained without a word, ended when it is cancelled."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.config import StorageConfig, TrainConfig
from pipeline.results.database import Repository, open_database
from pipeline.training.job import kept_true, run
from pipeline.training.run import Reporter

#: Seconds between two looks whether the job is still this process's.
WATCH_EVERY = 0.5


def run_job(storage: StorageConfig, job_id: str) -> None:
    """Do a queued job; what became of it is in its row. Nothing, where it waits no more."""
    with open_database(storage.url) as repository:
        if not repository.jobs.take(job_id):
            return
        with _watched(repository, job_id), kept_true(repository, job_id):
            told = repository.jobs.read(job_id).config | {"storage": storage.model_dump()}
            config = TrainConfig.model_validate(told)
            run(config, repository, job_id, Reporter())


@contextmanager
def _watched(repository: Repository, job_id: str) -> Iterator[None]:
    """End this process as soon as the job is cancelled or given to another."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_EVERY):
            job = repository.jobs.read(job_id)
            if (job.status, job.pid) != ("running", os.getpid()) and not over.wait(WATCH_EVERY):
                os._exit(0)  # the whole process, whatever it is computing

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
