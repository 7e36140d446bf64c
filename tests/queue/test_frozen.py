"""Workers, dispatchers and servers are stopped (SIGSTOP), and continued or cancelled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest

from pipeline.config import StorageConfig
from pipeline.queue.supervisor import Supervisor
from pipeline.results.database import Repository
from support.hurry import hurry
from support.serving import PATIENCE, dispatcher, end_dispatcher, served, until, worker

Start = Callable[..., "subprocess.Popen[bytes]"]
Queue = Callable[[int], str]

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]


@pytest.fixture(autouse=True)
def _hurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(tmp_path, monkeypatch)


def stop_worker(repository: Repository, job_id: str, seed: int) -> int:
    """Stop the worker of a job at some moment of it; return its process id."""
    pid = until(lambda: worker(repository, job_id))
    time.sleep(random.Random(seed).uniform(0, 0.3))
    os.kill(pid, signal.SIGSTOP)
    return int(pid)


def told(repository: Repository, job_id: str) -> list[tuple[str, str | None]]:
    """What the events of a job say of its status, and why."""
    events = [e.payload for e in repository.jobs.events(0, job_id) if e.kind == "status"]
    return [(event["status"], event["error"]) for event in events]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stopped_worker_whose_job_was_cancelled_is_ended_and_its_place_given_on(
    repository: Repository, queue_small: Queue, start: Start, seed: int
) -> None:
    first, second = queue_small(1), queue_small(2)
    start("concurrent=1")
    pid = stop_worker(repository, first, seed)
    if repository.jobs.read(first).status == "completed":
        os.kill(pid, signal.SIGCONT)
    else:
        repository.jobs.cancel(first)
        until(lambda: not Path(f"/proc/{pid}").exists())
        assert repository.jobs.read(first).status == "cancelled"
    until(lambda: repository.jobs.read(second).status == "completed")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_job_of_a_stopped_worker_is_queued_again_and_done(
    repository: Repository, queue_small: Queue, start: Start, seed: int
) -> None:
    job_id = queue_small(1)
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
        assert "no sign of life for 2 s" in str(states[2][1])
    assert len(repository.configurations.find()) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_place_of_a_stopped_dispatcher_is_given_on_and_it_ends_when_it_continues(
    repository: Repository, storage: StorageConfig, queue_small: Queue, seed: int
) -> None:
    sentences: list[str] = []
    with Supervisor(repository, storage, 1, sentences.append) as supervisor:
        first = supervisor.process
        assert first is not None
        pid = until(lambda: dispatcher(repository))
        running = queue_small(1)
        time.sleep(random.Random(seed).uniform(0, 1))
        os.kill(pid, signal.SIGSTOP)
        queued = queue_small(2)
        until(lambda: dispatcher(repository) not in (None, pid))
        assert sentences == [
            f"The dispatcher of queued jobs: process {pid} on {os.uname().nodename} is stopped and"
            " gave no sign of life for 2 s. Another takes its place."
        ]
        assert supervisor.trouble is None
        os.kill(pid, signal.SIGCONT)
        assert first.wait(PATIENCE) == 0
        for job_id in (running, queued):
            until(lambda one=job_id: repository.jobs.read(one).status == "completed")
            assert told(repository, job_id).count(("completed", None)) == 1
        assert len(repository.configurations.find()) == 2
    end_dispatcher(storage.url)
    assert supervisor.process is not None
    supervisor.process.wait(PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_stopped_server_stops_no_job_and_goes_on_when_it_continues(
    tmp_path: Path, repository: Repository, storage: StorageConfig, queue_small: Queue, seed: int
) -> None:
    with served(tmp_path, url=storage.url) as (process, address):
        time.sleep(random.Random(seed).uniform(0, 1))
        process.send_signal(signal.SIGSTOP)
        job_id = queue_small(1)
        until(lambda: repository.jobs.read(job_id).status == "completed")
        process.send_signal(signal.SIGCONT)
        answer = httpx.get(f"{address}/api/health", timeout=PATIENCE)
        assert (answer.status_code, answer.json()["reason"]) == (200, None)
        assert answer.json()["dispatcher_beat_age"] < PATIENCE
