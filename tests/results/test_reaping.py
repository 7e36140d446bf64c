"""The kill drill: a run that could not say goodbye is found and marked at the next start."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, text

from pipeline.results import ownership
from pipeline.results.database import Repository, open_database
from pipeline.results.ownership import IllegalTransitionError

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


def change_owner(engine: Engine, job_id: str, **columns: Any) -> None:
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    with engine.begin() as connection:
        statement = text(f"UPDATE training_jobs SET {assignments} WHERE id = :id")
        connection.execute(statement, {"id": job_id, **columns})


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
    assert f"process {child.pid} on {ownership.host()} is gone" in str(reaped.error)
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


@pytest.mark.parametrize("start", ["0.01", "809f488e-ac20-44ce-bd1b-b19b99722a98:33397"])
def test_a_reused_process_id_is_not_the_old_process(
    repository: Repository, engine: Engine, running_job: str, start: str
) -> None:
    """The second start is as builds before 0.1.0 wrote it."""
    change_owner(engine, running_job, process_started=start)
    assert [job.id for job in repository.jobs.reap()] == [running_job]


def test_a_pending_job_dies_with_its_process(
    repository: Repository, engine: Engine, example_job: dict[str, Any]
) -> None:
    job_id = repository.jobs.create(**example_job)
    change_owner(engine, job_id, process_started="before the reboot")
    assert [job.status for job in repository.jobs.reap()] == ["failed"]


def test_of_another_host_only_the_heartbeat_is_known(
    repository: Repository, engine: Engine, running_job: str
) -> None:
    change_owner(engine, running_job, host="elsewhere", process_started="unknown here")
    assert repository.jobs.reap(heartbeat_limit=timedelta(minutes=1)) == []
    (reaped,) = repository.jobs.reap(heartbeat_limit=timedelta(0))
    assert "no heartbeat from elsewhere for more than 0:00:00" in str(reaped.error)


def test_a_run_taken_for_dead_learns_it_at_its_next_progress(
    repository: Repository, engine: Engine, running_job: str
) -> None:
    change_owner(engine, running_job, host="elsewhere")
    repository.jobs.reap(heartbeat_limit=timedelta(0))
    with pytest.raises(IllegalTransitionError, match="is failed"):
        repository.jobs.progress(running_job, 0.9, "search")


def test_finished_jobs_are_never_reaped(
    repository: Repository, engine: Engine, running_job: str
) -> None:
    repository.jobs.complete(running_job)
    change_owner(engine, running_job, process_started="long ago")
    assert repository.jobs.reap() == []
    assert repository.jobs.read(running_job).status == "completed"


def test_a_start_that_is_told_apart() -> None:
    assert ownership.started(os.getpid()) == ownership.own_start()
    assert ownership.started(2**22 + 1) is None  # above the kernel's largest process id


def test_a_clock_that_is_set_changes_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    before, booted = ownership.started(os.getpid()), psutil.boot_time()
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted + 3600.0)
    assert psutil.boot_time() == booted + 3600.0
    assert ownership.started(os.getpid()) == before
