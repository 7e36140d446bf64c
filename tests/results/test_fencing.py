"""A process that was taken for dead, and whose job was given to another, writes nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from pipeline.results.jobs import Repository
from pipeline.results.ownership import IllegalTransitionError, NotOwnerError
from pipeline.results.records import Configuration

Write = Callable[[Repository, Configuration], None]
WRITES: dict[str, Write] = {
    "progress": lambda repository, found: repository.progress(found.job_id, 0.5, "search"),
    "complete": lambda repository, found: repository.complete_job(found.job_id),
    "fail": lambda repository, found: repository.fail_job(found.job_id, "why"),
    "save": Repository.save_configuration,
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
        connection.execute(text("UPDATE training_jobs SET process_started = 'another'"))
    before = repository.job(running_job)
    with pytest.raises(NotOwnerError, match="is running and belongs to another process"):
        write(repository, example(running_job))
    assert repository.job(running_job) == before
    assert repository.configurations() == []


def test_a_job_that_is_done_again_is_as_fresh(
    repository: Repository, example_job: dict[str, Any]
) -> None:
    job_id = repository.create_job(**example_job)
    fresh = repository.job(job_id)
    repository.start_job(job_id)
    repository.progress(job_id, 0.5, "search")
    repository.fail_job(job_id, "the disk is full")
    repository.requeue_job(job_id)
    again = repository.job(job_id)
    assert vars(again) == vars(fresh) | {"heartbeat_at": again.heartbeat_at}


def test_what_is_complete_is_not_done_again(repository: Repository, running_job: str) -> None:
    repository.complete_job(running_job)
    with pytest.raises(IllegalTransitionError, match="is completed and cannot become pending"):
        repository.requeue_job(running_job)
