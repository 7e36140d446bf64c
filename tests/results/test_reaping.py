"""The kill drill: a run that could not say goodbye is found and marked at the next start."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import pytest
from sqlalchemy import update

from pipeline.errors import IllegalTransitionError
from pipeline.results.access.leases import Owner
from pipeline.results.database import Repository, open_database
from pipeline.results.records import utc_now
from pipeline.results.tables.models import LeaseRow

SPAWN = multiprocessing.get_context("spawn")


def run_until_killed(url: str, arguments: dict[str, Any], pipe: Connection) -> None:
    repository = open_database(url)
    job_id = repository.jobs.create(**arguments)
    repository.jobs.start(job_id)
    repository.jobs.progress(job_id, 0.5, "walk-forward 3 of 8")
    pipe.send(job_id)
    pipe.recv()  # never answered


@contextmanager
def running_child(url: str, arguments: dict[str, Any]) -> Iterator[tuple[SpawnProcess, str]]:
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=run_until_killed, args=(url, arguments, theirs))
    child.start()
    theirs.close()
    try:
        assert ours.poll(60), "the child never started its job"
        yield child, ours.recv()
    finally:
        child.kill()
        child.join()
        ours.close()


def change_lease(repository: Repository, **columns: Any) -> None:
    """Write what the lease of another process would say."""
    with repository.session() as session, session.begin():
        session.execute(update(LeaseRow).values(**columns))


def test_a_killed_run_is_marked_failed_with_the_reason(
    url: str, repository: Repository, example_job: dict[str, Any]
) -> None:
    with running_child(url, example_job) as (child, job_id):
        assert repository.jobs.reap() == []
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        (reaped,) = repository.jobs.reap()
    assert reaped.id == job_id
    assert (reaped.status, reaped.progress) == ("failed", 0.5)
    assert f"process {child.pid} on {socket.gethostname()} is gone" in str(reaped.error)
    assert "during walk-forward 3 of 8" in str(reaped.error)
    assert reaped.finished_at is not None
    assert repository.jobs.reap() == []


def test_a_killed_child_that_nobody_has_waited_for_is_dead_too(
    url: str, repository: Repository, example_job: dict[str, Any]
) -> None:
    with running_child(url, example_job) as (child, job_id):
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # leaves the zombie
        assert [job.id for job in repository.jobs.reap()] == [job_id]


def test_a_live_job_is_left_alone(repository: Repository, running_job: str) -> None:
    assert repository.jobs.reap() == []
    assert repository.jobs.read(running_job).status == "running"


def test_a_reused_process_id_is_not_the_old_process(
    repository: Repository, running_job: str
) -> None:
    change_lease(repository, started="0.01")
    assert [job.id for job in repository.jobs.reap()] == [running_job]


def test_a_pending_job_dies_with_its_process(
    repository: Repository, example_job: dict[str, Any]
) -> None:
    repository.jobs.create(**example_job)
    change_lease(repository, started="before the reboot")
    assert [job.status for job in repository.jobs.reap()] == ["failed"]


def test_a_job_whose_owner_has_ended_well_has_nobody(
    repository: Repository, running_job: str
) -> None:
    repository.lease.end()
    (reaped,) = repository.jobs.reap()
    assert reaped.id == running_job
    said = str(reaped.error)
    assert said.startswith("the lease of the process that owned it is gone; last sign of life at")


@pytest.mark.parametrize(("age", "dead"), [(600.0, False), (1000.0, True)])
def test_at_one_look_the_silence_of_another_place_counts_by_the_databases_clock(
    repository: Repository, running_job: str, age: float, dead: bool
) -> None:
    change_lease(repository, place="elsewhere", renewed_at=utc_now() - timedelta(seconds=age))
    reaped = repository.jobs.reap()
    assert [job.id for job in reaped] == [running_job] * dead
    if dead:
        assert "gave no sign of life for 900 s" in str(reaped[0].error)


def test_a_run_taken_for_dead_learns_it_at_its_next_progress(
    repository: Repository, running_job: str
) -> None:
    change_lease(repository, started="0.01")
    repository.jobs.reap()
    with pytest.raises(IllegalTransitionError, match="is failed"):
        repository.jobs.progress(running_job, 0.9, "search")


def test_finished_jobs_are_never_reaped(repository: Repository, running_job: str) -> None:
    repository.jobs.complete(running_job)
    change_lease(repository, started="long ago")
    assert repository.jobs.reap() == []
    assert repository.jobs.read(running_job).status == "completed"


def test_the_leases_of_the_dead_go_when_they_own_nothing_any_more(
    repository: Repository, running_job: str
) -> None:
    change_lease(repository, started="long ago")
    assert owner_of(repository, running_job) is not None
    repository.jobs.reap()
    assert owner_of(repository, running_job) is None
    with repository.session() as session, session.begin():
        repository.lease.hold(session)  # it lived after all
    assert owner_of(repository, running_job) is not None


def owner_of(repository: Repository, job_id: str) -> Owner | None:
    return repository.jobs.owner(repository.jobs.read(job_id))
