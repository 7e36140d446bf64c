"""What happens to jobs is told with the change itself, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.results.job_events import events_after, newest_progress
from pipeline.results.jobs import Repository
from pipeline.results.ownership import IllegalTransitionError
from pipeline.results.records import Configuration


def told(repository: Repository, job_id: str) -> list[tuple[str, Any]]:
    named = {"status": "status", "progress": "progress", "note": "text"}
    named["result"] = "configuration_id"
    return [(e.kind, e.payload[named[e.kind]]) for e in events_after(repository, 0, job_id)]


def test_a_job_tells_its_whole_life(
    repository: Repository, running_job: str, example: Callable[..., Configuration]
) -> None:
    repository.progress(running_job, 0.5, "search", done=1, total=2, rate=4.0)
    repository.note(running_job, "few trades")
    found = example(running_job)
    repository.save_configuration(found)
    assert told(repository, running_job) == [
        ("status", "pending"),
        ("status", "running"),
        ("progress", 0.5),
        ("note", "few trades"),
        ("result", found.id),
        ("status", "completed"),
    ]


def test_a_refused_change_tells_nothing(repository: Repository, running_job: str) -> None:
    repository.cancel_job(running_job)
    before = events_after(repository)
    with pytest.raises(IllegalTransitionError):
        repository.progress(running_job, 0.5, "search")
    assert events_after(repository) == before


def test_events_are_read_on_from_any(repository: Repository, running_job: str) -> None:
    first, second = events_after(repository)
    assert events_after(repository, limit=1) == [first]
    assert events_after(repository, first.id) == [second]
    assert newest_progress(repository, running_job) is None


def test_a_queued_job_is_taken_once_and_never_reaped(
    repository: Repository, example_job: dict[str, Any]
) -> None:
    (job_id,) = repository.queue_jobs([example_job])
    assert repository.job(job_id).queued
    assert repository.reap_dead_jobs() == []
    assert repository.queue(5) == [job_id]
    assert [repository.take_job(job_id), repository.take_job(job_id)] == [True, False]
    assert repository.queue(5) == []


def test_what_was_cancelled_is_restarted_into_the_queue(
    repository: Repository, running_job: str
) -> None:
    with pytest.raises(IllegalTransitionError):
        repository.restart_job(running_job)
    repository.cancel_job(running_job)
    repository.restart_job(running_job)
    assert repository.queue(5) == [running_job]
