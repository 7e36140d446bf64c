"""Workers, dispatchers and servers are stopped (SIGSTOP), and continued or cancelled."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx2 as httpx
import pytest

from pipeline.config import StorageConfig
from pipeline.executors import signs_of_life
from pipeline.queue.supervisor import Supervisor
from pipeline.results.database import Repository
from support.hurry import hurry
from support.serving import PATIENCE, dispatcher, end_dispatcher, served, until, worker

Start = Callable[..., "subprocess.Popen[bytes]"]
Queue = Callable[..., str]
Check = Callable[..., None]

#: Of small jobs in every run of the tests, of large ones by hand.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]


@pytest.fixture(autouse=True)
def _hurried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    stopped_for_a_moment = "another_may_continue" in request.node.name
    hurry(tmp_path, monkeypatch, beat=0.2, silence=10.0 if stopped_for_a_moment else 1.0)
    monkeypatch.setattr("pipeline.queue.supervisor.LOOK_EVERY", 0.25)


def stop_worker(repository: Repository, job_id: str, seed: int) -> int | None:
    """Stop the worker of a job at some moment of it; return its process id, None after its end."""
    until(lambda: repository.jobs.read(job_id).status != "pending")
    time.sleep(random.Random(seed).uniform(0, 0.3 if seed < 2 else 3.0))
    pid = worker(repository, job_id)
    if pid is not None:
        os.kill(pid, signal.SIGSTOP)
    return pid


def told(repository: Repository, job_id: str) -> list[tuple[str, str | None]]:
    """What the events of a job say of its status, and why."""
    events = [e.payload for e in repository.jobs.events(0, job_id) if e.kind == "status"]
    return [(event["status"], event["error"]) for event in events]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stopped_worker_is_ended_when_its_job_is_cancelled_and_another_may_continue(
    repository: Repository, queue_small: Queue, check_undisturbed: Check, start: Start, seed: int
) -> None:
    large = seed > 1
    first, second = queue_small(1, large), queue_small(2, large)
    start("concurrent=1")
    pid = stop_worker(repository, first, seed)
    cancelled = pid is not None and repository.jobs.read(first).status == "running"
    if cancelled:
        repository.jobs.cancel(first)
        until(lambda: not Path(f"/proc/{pid}").exists())
        assert repository.jobs.read(first).status == "cancelled"
    elif pid is not None:
        os.kill(pid, signal.SIGCONT)
    if (pid := stop_worker(repository, second, seed)) is not None:
        time.sleep(0.3)  # too short for a sign of life to be missed
        os.kill(pid, signal.SIGCONT)
    until(lambda: repository.jobs.read(second).status == "completed")
    assert [status for status, _ in told(repository, second)] == ["pending", "running", "completed"]
    check_undisturbed(*([] if cancelled else [1]), 2, large=large)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_job_of_a_stopped_worker_is_queued_again_and_done(
    repository: Repository, queue_small: Queue, check_undisturbed: Check, start: Start, seed: int
) -> None:
    job_id = queue_small(1, seed > 1)
    process = start("concurrent=1")
    pid = stop_worker(repository, job_id, seed)
    assert process.wait(PATIENCE) == 0
    assert not Path(f"/proc/{pid}").exists()
    states = told(repository, job_id)
    assert states[-1] == ("completed", None)
    if len(states) > 3:  # it was not stopped after its end
        assert [status for status, _ in states] == [
            *("pending", "running", "failed", "pending", "running", "completed")
        ]
        assert f"no sign of life for {signs_of_life.SILENCE:g} s" in str(states[2][1])
    check_undisturbed(1, large=seed > 1)


def stop_in_a_transaction(repository: Repository, database: str, job_id: str) -> None:
    """Stop the worker of a job at a moment when it has locked the database."""
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        while (pid := worker(repository, job_id)) is not None:
            os.kill(pid, signal.SIGSTOP)
            if all(is_locked(connection) for _ in range(10)):
                return
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.002)
    raise AssertionError("the job was done before its worker was met in a transaction")


def is_locked(connection: sqlite3.Connection) -> bool:
    """Try to write; wait a moment where somebody else does."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        time.sleep(0.02)
        return True
    connection.execute("ROLLBACK")
    return False


@pytest.mark.slow
def test_a_worker_that_was_stopped_in_a_transaction_is_ended(
    repository: Repository,
    storage: StorageConfig,
    queue_small: Queue,
    check_undisturbed: Check,
    start: Start,
) -> None:
    job_id = queue_small(1, True)
    process = start("concurrent=1", "storage.patience=600")
    until(lambda: repository.jobs.read(job_id).status == "running")
    stop_in_a_transaction(repository, storage.url.removeprefix("sqlite:///"), job_id)
    assert process.wait(PATIENCE) == 0
    assert [status for status, _ in told(repository, job_id)] == [
        *("pending", "running", "failed", "pending", "running", "completed")
    ]
    check_undisturbed(1, large=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_place_of_a_stopped_dispatcher_is_given_on_and_it_ends_when_it_continues(
    repository: Repository,
    storage: StorageConfig,
    queue_small: Queue,
    check_undisturbed: Check,
    seed: int,
) -> None:
    sentences: list[str] = []
    with Supervisor(repository, storage, 1, sentences.append) as supervisor:
        first = supervisor.process
        assert first is not None
        pid = until(lambda: dispatcher(repository))
        running = queue_small(1, seed > 1)
        time.sleep(random.Random(seed).uniform(0, 1))
        os.kill(pid, signal.SIGSTOP)
        queued = queue_small(2, seed > 1)
        until(lambda: dispatcher(repository) not in (None, pid))
        assert sentences == [
            f"The dispatcher of queued jobs: process {pid} on {os.uname().nodename} is stopped and"
            f" gave no sign of life for {signs_of_life.SILENCE:g} s. Another takes its place."
        ]
        assert supervisor.trouble is None
        os.kill(pid, signal.SIGCONT)
        assert first.wait(PATIENCE) == 0
        for job_id in (running, queued):
            until(lambda one=job_id: repository.jobs.read(one).status == "completed")
            assert told(repository, job_id).count(("completed", None)) == 1
        check_undisturbed(1, 2, large=seed > 1)
    end_dispatcher(storage.url)
    assert supervisor.process is not None
    supervisor.process.wait(PATIENCE)


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_stopped_server_stops_no_job_and_goes_on_when_it_continues(
    tmp_path: Path,
    repository: Repository,
    storage: StorageConfig,
    queue_small: Queue,
    check_undisturbed: Check,
    record_property: Callable[[str, object], None],
    rounds: int,
) -> None:
    record_property("tried", rounds)
    seeds, chance = range(1, rounds + 1), random.Random(rounds)
    with served(tmp_path, url=storage.url) as (process, address):
        for seed in seeds:
            time.sleep(chance.uniform(0, 0.5))
            process.send_signal(signal.SIGSTOP)
            job_id = queue_small(seed)
            until(lambda one=job_id: repository.jobs.read(one).status == "completed")
            process.send_signal(signal.SIGCONT)
            answer = httpx.get(f"{address}/api/health", timeout=PATIENCE)
            assert (answer.status_code, answer.json()["reason"]) == (200, None)
            assert answer.json()["dispatcher_beat_age"] < PATIENCE
    check_undisturbed(*seeds)
