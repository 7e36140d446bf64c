"""A process that was taken for dead, and whose job was given to another, writes nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from pipeline.errors import IllegalTransitionError, NotOwnerError
from pipeline.results.access.ownership import requeue_job
from pipeline.results.database import Repository
from pipeline.results.records import Configuration

Write = Callable[[Repository, Configuration], None]
WRITES: dict[str, Write] = {
    "progress": lambda repository, found: repository.jobs.progress(found.job_id, 0.5, "search"),
    "complete": lambda repository, found: repository.jobs.complete(found.job_id),
    "fail": lambda repository, found: repository.jobs.fail(found.job_id, "why"),
    "save": lambda repository, found: repository.configurations.save(found),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_only_the_owner_writes(
    repository: Repository,
    engine: Engine,
    running_job: str,
    example: Callable[..., Configuration],
    write: Write,
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE training_jobs SET owner = 'another'"))
    before = repository.jobs.read(running_job)
    with pytest.raises(NotOwnerError, match="is running and belongs to another process"):
        write(repository, example(running_job))
    assert repository.jobs.read(running_job) == before
    assert repository.configurations.find() == []


def requeue(repository: Repository, job_id: str) -> None:
    """Do what a sweep does with the job of a market that is to be trained again."""
    with repository.session() as session, session.begin():
        requeue_job(session, job_id)


def test_a_job_that_is_done_again_is_as_fresh(
    repository: Repository, example_job: dict[str, Any]
) -> None:
    job_id = repository.jobs.create(**example_job)
    fresh = repository.jobs.read(job_id)
    repository.jobs.start(job_id)
    repository.jobs.progress(job_id, 0.5, "search")
    repository.jobs.fail(job_id, "the disk is full")
    requeue(repository, job_id)
    again = repository.jobs.read(job_id)
    assert vars(again) == vars(fresh) | {"heartbeat_at": again.heartbeat_at}


def test_what_is_complete_is_not_done_again(repository: Repository, running_job: str) -> None:
    repository.jobs.complete(running_job)
    with pytest.raises(IllegalTransitionError, match="is completed and cannot become pending"):
        requeue(repository, running_job)
