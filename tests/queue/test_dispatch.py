"""The dispatcher as a process of its own, killed and cancelled as it happens."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config import StorageConfig, TrainConfig, load
from pipeline.errors import UserError
from pipeline.queue.task import run_job
from pipeline.results.database import Repository
from pipeline.training import job
from support.serving import PATIENCE, until, worker

Start = Callable[..., "subprocess.Popen[bytes]"]


def test_queued_jobs_are_done_once_and_the_dispatcher_ends(
    repository: Repository,
    queue_small: Callable[[int], str],
    check_undisturbed: Callable[..., None],
    start: Start,
) -> None:
    ids = [queue_small(seed) for seed in (1, 2, 3)]
    assert start().wait(PATIENCE) == 0
    check_undisturbed(1, 2, 3)
    assert {repository.jobs.read(one).status for one in ids} == {"completed"}
    for one in ids:
        told = [e.payload["status"] for e in repository.jobs.events(0, one) if e.kind == "status"]
        assert told == ["pending", "running", "completed"]


def test_a_job_queued_before_windows_grew_fails_and_says_what_to_write(
    repository: Repository, storage: StorageConfig
) -> None:
    row = job.description(load(["market=demo"], TrainConfig, "train"))
    del row["config"]["validation"]["max_train"]
    row["config"]["validation"]["anchored"] = False
    (job_id,) = repository.jobs.queue([row])
    with pytest.raises(UserError):
        run_job((storage, repository.identity), job_id, lambda n: None)
    failed = repository.jobs.read(job_id)
    assert failed.status == "failed"
    assert "validation=rolling in place of validation.anchored=false" in str(failed.error)


def test_a_second_dispatcher_leaves(
    repository: Repository, queue_small: Callable[[int], str], start: Start
) -> None:
    job_id = queue_small(1)
    first = start(idle=30)
    until(lambda: repository.jobs.read(job_id).status == "running")
    assert start().wait(PATIENCE) == 0
    assert first.poll() is None


def test_a_cancelled_job_ends_and_the_next_is_done(
    repository: Repository, queue_small: Callable[..., str], start: Start
) -> None:
    first = queue_small(1, True, "optimizer.samples=100000")  # it would take longer than a test
    start(idle=30)
    until(lambda: repository.jobs.read(first).stage_of_work is not None)
    pid = worker(repository, first)
    repository.jobs.cancel(first)
    until(lambda: not Path(f"/proc/{pid}").exists())
    second = queue_small(2)
    until(lambda: repository.jobs.read(second).status == "completed")
    assert repository.jobs.read(first).status == "cancelled"


def test_what_runs_is_queued_again_when_the_dispatcher_is_told_to_end(
    repository: Repository, queue_small: Callable[[int], str], start: Start
) -> None:
    job_id = queue_small(1)
    dispatcher = start()
    until(lambda: repository.jobs.read(job_id).stage_of_work is not None)
    dispatcher.send_signal(signal.SIGTERM)
    dispatcher.wait(PATIENCE)
    assert repository.jobs.read(job_id).queued
