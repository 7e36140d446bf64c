"""Two processes at once, on both databases: a fresh database, then many writes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy.exc import OperationalError

from pipeline.errors import IllegalTransitionError
from pipeline.results.database import Repository, open_database
from pipeline.results.records import Configuration

SPAWN = multiprocessing.get_context("spawn")
JOBS = 20

barrier: Barrier


def join(shared: Barrier) -> None:
    global barrier
    barrier = shared


def in_two_processes(work: Callable[..., Any], *arguments: Any) -> list[Any]:
    shared = SPAWN.Barrier(2)
    with ProcessPoolExecutor(2, SPAWN, initializer=join, initargs=(shared,)) as pool:
        futures = [pool.submit(work, worker, *arguments) for worker in range(2)]
        return [future.result(timeout=120) for future in futures]


def train(worker: int, url: str, job: dict[str, Any], found: Configuration) -> list[str]:
    barrier.wait(60)
    repository = open_database(url)
    ids = []
    for number in range(JOBS):
        job_id = repository.jobs.create(**job)
        repository.jobs.start(job_id)
        for step in range(5):
            with suppress(OperationalError):  # it waits for no writer: its caller drops it
                repository.jobs.progress(job_id, step / 5, "search")
        configuration_id = f"LIQUIDITY_SWEEP_V3_20230131_235959_{worker}{number:05}"
        changed = {"id": configuration_id, "job_id": job_id}
        repository.configurations.save(Configuration(**(vars(found) | changed)))
        ids.append(configuration_id)
    return ids


def test_two_processes_open_a_fresh_database_and_write_at_once(
    empty_url: str, example_job: dict[str, Any], example: Callable[..., Configuration]
) -> None:
    ids = in_two_processes(train, empty_url, example_job, example("0" * 32))
    with open_database(empty_url) as repository:
        stored = {record.id for record in repository.configurations.find(limit=None)}
        assert stored == {*ids[0], *ids[1]}
        assert len(stored) == 2 * JOBS
        assert len(repository.jobs.find("completed", limit=None)) == 2 * JOBS


def claim(worker: int, url: str, job_ids: list[str]) -> list[str]:
    repository = open_database(url)
    barrier.wait(60)
    mine = []
    for job_id in job_ids:
        try:
            repository.jobs.start(job_id)
        except IllegalTransitionError:
            continue
        mine.append(job_id)
    return mine


def test_a_job_is_started_by_one_of_two_processes(
    empty_url: str, example_job: dict[str, Any]
) -> None:
    with open_database(empty_url) as repository:
        job_ids = [repository.jobs.create(**example_job) for _ in range(JOBS)]
    one, two = in_two_processes(claim, empty_url, job_ids)
    assert sorted(one + two) == sorted(job_ids)


def test_of_restarts_at_once_one_is_made_and_the_others_are_told(
    repository: Repository, example_job: dict[str, Any]
) -> None:
    def restarted(job_id: str) -> bool:
        try:
            repository.jobs.restart(job_id)
        except IllegalTransitionError:
            return False
        return True

    for _ in range(5):
        job_id = repository.jobs.create(**example_job)
        repository.jobs.cancel(job_id)
        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(restarted, [job_id] * 6)) == 1
        told = [e.payload["status"] for e in repository.jobs.events(job_id=job_id)]
        assert told == ["pending", "cancelled", "pending"]
