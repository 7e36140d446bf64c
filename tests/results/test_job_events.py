"""What happens to jobs is told with the change itself, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import IllegalTransitionError
from pipeline.results.database import Repository
from pipeline.results.records import Configuration


def told(repository: Repository, job_id: str) -> list[tuple[str, Any]]:
    named = {"status": "status", "progress": "progress", "note": "text"}
    named["result"] = "configuration_id"
    return [(e.kind, e.payload[named[e.kind]]) for e in repository.jobs.events(0, job_id)]


def test_a_job_tells_its_whole_life(
    repository: Repository, running_job: str, example: Callable[..., Configuration]
) -> None:
    repository.jobs.progress(running_job, 0.5, "search", done=1, total=2, rate=4.0)
    repository.jobs.note(running_job, "few trades")
    found = example(running_job)
    repository.configurations.save(found)
    assert told(repository, running_job) == [
        ("status", "pending"),
        ("status", "running"),
        ("progress", 0.5),
        ("note", "few trades"),
        ("result", found.id),
        ("status", "completed"),
    ]


def test_a_refused_change_tells_nothing(repository: Repository, running_job: str) -> None:
    repository.jobs.cancel(running_job)
    before = repository.jobs.events()
    with pytest.raises(IllegalTransitionError):
        repository.jobs.progress(running_job, 0.5, "search")
    assert repository.jobs.events() == before


def test_events_are_read_on_from_any(repository: Repository, running_job: str) -> None:
    first, second = repository.jobs.events()
    assert repository.jobs.events(limit=1) == [first]
    assert repository.jobs.events(first.id) == [second]
    assert repository.jobs.newest_progress(running_job) is None


def test_a_queued_job_is_taken_once_and_never_reaped(
    repository: Repository, example_job: dict[str, Any]
) -> None:
    (job_id,) = repository.jobs.queue([example_job])
    assert repository.jobs.read(job_id).queued
    assert repository.jobs.reap() == []
    assert repository.jobs.waiting(5) == [job_id]
    assert [repository.jobs.take(job_id), repository.jobs.take(job_id)] == [True, False]
    assert repository.jobs.waiting(5) == []


def test_what_was_cancelled_is_restarted_into_the_queue(
    repository: Repository, running_job: str
) -> None:
    with pytest.raises(IllegalTransitionError):
        repository.jobs.restart(running_job)
    repository.jobs.cancel(running_job)
    repository.jobs.restart(running_job)
    assert repository.jobs.waiting(5) == [running_job]
