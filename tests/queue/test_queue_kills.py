"""Dispatchers, workers and servers are killed at random moments: no job is lost or done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.results.database import Repository
from pipeline.results.records import Job
from support.serving import PATIENCE, command, dispatcher, served, until, worker

#: Of small jobs in every run of the tests, of large ones by hand.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]


@pytest.mark.parametrize("seed", SEEDS)
def test_kills_lose_nothing_and_double_nothing(
    repository: Repository,
    queue_small: Callable[..., str],
    check_undisturbed: Callable[..., None],
    start: Callable[..., subprocess.Popen[bytes]],
    seed: int,
) -> None:
    """A worker is killed, then the dispatcher; what failed is restarted under another."""
    chance, large = random.Random(seed), seed > 1
    ids = [queue_small(one, large) for one in (1, 2, 3)]
    process = start()
    kill_a_worker(repository, chance, large)
    time.sleep(chance.uniform(0, 1))
    process.kill()
    process.wait()
    until(lambda: not [*repository.jobs.reap(), *repository.jobs.find("running")])
    failed = repository.jobs.find("failed")
    for job in failed:
        assert "is gone" in (job.error or "")
        repository.jobs.restart(job.id)
    assert start().wait(PATIENCE) == 0
    assert_done_once(repository, ids)
    check_undisturbed(1, 2, 3, large=large)


@pytest.mark.parametrize("seed", SEEDS)
def test_jobs_outlive_their_server(
    tmp_path: Path,
    repository: Repository,
    queue_small: Callable[..., str],
    check_undisturbed: Callable[..., None],
    seed: int,
) -> None:
    """A server, in odd seeds a worker or the dispatcher too, is killed; the next server goes on."""
    chance, large = random.Random(seed), seed > 1
    url = f"sqlite:///{tmp_path}/trainings.db"
    ids = [queue_small(one, large) for one in (1, 2)]
    server = command(tmp_path, "port=0", f"storage.url='{url}'")
    until(lambda: repository.jobs.find("running", "completed"))
    time.sleep(chance.uniform(0, 1))
    server.kill()
    server.communicate()
    if seed % 4 == 1:
        kill_a_worker(repository, chance, large)
    if seed % 4 == 3:
        kill_the_dispatcher(repository)
    with served(tmp_path, url=url):
        until(lambda: not open_jobs(repository))
        for job in repository.jobs.find("failed"):
            assert "is gone" in (job.error or "")
            repository.jobs.restart(job.id)
        until(lambda: not open_jobs(repository))
    assert_done_once(repository, ids)
    check_undisturbed(1, 2, large=large)


def open_jobs(repository: Repository) -> list[Job]:
    return [*repository.jobs.find("pending"), *repository.jobs.find("running")]


def kill_the_dispatcher(repository: Repository) -> None:
    pid = dispatcher(repository)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def kill_a_worker(repository: Repository, chance: random.Random, large: bool) -> None:
    until(lambda: repository.jobs.find("running", "completed"))
    time.sleep(chance.uniform(0, 3.0 if large else 0.5))
    running = repository.jobs.find("running")  # it may have ended meanwhile
    if running and (pid := worker(repository, chance.choice(running).id)):
        os.kill(pid, signal.SIGKILL)


def assert_done_once(repository: Repository, ids: list[str]) -> None:
    for job_id in ids:
        assert repository.jobs.read(job_id).status == "completed"
        told = repository.jobs.events(0, job_id)
        states = [e.payload["status"] for e in told if e.kind == "status"]
        assert states[-2:] == ["running", "completed"]
        assert states.count("completed") == 1
        assert states.count("running") == 1 + states.count("failed")
        assert sum(e.kind == "result" for e in told) == 1
    stored = [one.job_id for one in repository.configurations.find()]
    assert sorted(stored) == sorted(ids)
