"""A server keeps a dispatcher, and the dispatcher stays while the server does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.config import StorageConfig
from pipeline.queue.supervisor import Supervisor
from pipeline.results.database import Repository, open_database
from support.serving import PATIENCE, dispatcher, end_dispatcher, until

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def told(storage: StorageConfig) -> Iterator[list[str]]:
    """What a supervisor says; its dispatcher ends with the test."""
    sentences: list[str] = []
    with (
        open_database(storage.url) as repository,
        Supervisor(repository, storage, 1, sentences.append) as supervisor,
    ):
        yield sentences
    end_dispatcher(storage.url)
    assert supervisor.process is not None
    assert supervisor.process.wait(PATIENCE) == 143


def test_a_dispatcher_that_dies_is_reaped_and_followed_by_another(
    repository: Repository, told: list[str], queue_small: Callable[[int], str]
) -> None:
    first = until(lambda: dispatcher(repository))
    os.kill(first, signal.SIGKILL)
    until(lambda: dispatcher(repository) != first)
    assert not Path(f"/proc/{first}").exists()
    job_id = queue_small(1)
    until(lambda: repository.jobs.read(job_id).status == "completed")
    assert told == [
        f"The dispatcher of queued jobs: process {first} on {os.uname().nodename} is gone."
        " Another takes its place."
    ]


def test_a_dispatcher_that_fails_is_told_and_tried_less_often(
    storage: StorageConfig, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [
        sys.executable,
        "-S",
        "-c",
        "import sys; print('No room.', file=sys.stderr); sys.exit(3)",
    ]
    monkeypatch.setattr("pipeline.queue.supervisor.LOOK_EVERY", 0.5)
    sentences: list[str] = []
    with monkeypatch.context() as breakage:
        breakage.setattr(
            "pipeline.queue.supervisor.start",
            lambda storage, concurrent, errors: subprocess.Popen(broken, stderr=errors),
        )
        supervising = Supervisor(repository, storage, 1, sentences.append).__enter__()
        until(lambda: len(sentences) == 2)
    until(lambda: sentences[-1] == "The dispatcher of queued jobs runs again.")
    assert supervising.trouble is None
    supervising.__exit__()
    end_dispatcher(storage.url)
    assert supervising.process is not None
    assert supervising.process.wait(PATIENCE) == 143
    said = "The dispatcher of queued jobs ended with exit status 3. It said: No room."
    assert sentences[:2] == [f"{said} Next try in 1 s.", f"{said} Next try in 2 s."]
    assert len(sentences) == 3


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "full"), SystemExit(1)])
def test_where_nobody_can_be_told_it_goes_on(
    storage: StorageConfig,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    tried = []

    def start(*_: object) -> subprocess.Popen[bytes]:
        tried.append(1)
        return subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.exit(3)"])

    def tell(sentence: str) -> None:
        raise error

    monkeypatch.setattr("pipeline.queue.supervisor.start", start)
    monkeypatch.setattr("pipeline.queue.supervisor.LOOK_EVERY", 0.05)
    with Supervisor(repository, storage, 1, tell) as supervisor:
        until(lambda: len(tried) == 3)
        assert supervisor.is_alive
        assert str(supervisor.trouble).startswith("The dispatcher of queued jobs ended with exit")


def test_a_dispatcher_that_never_takes_its_place_is_ended_and_tried_again(
    storage: StorageConfig, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[subprocess.Popen[bytes]] = []

    def start(*_: object) -> subprocess.Popen[bytes]:
        tried.append(subprocess.Popen(["sleep", "600"]))
        return tried[-1]

    monkeypatch.setattr("pipeline.queue.supervisor.start", start)
    monkeypatch.setattr("pipeline.queue.supervisor.LOOK_EVERY", 0.05)
    monkeypatch.setattr("pipeline.queue.supervisor.START_WITHIN", 0.5)
    sentences: list[str] = []
    with Supervisor(repository, storage, 1, sentences.append):
        until(lambda: len(tried) == 2)
    assert tried[0].wait(PATIENCE) == -signal.SIGKILL
    assert sentences[0] == "The dispatcher of queued jobs did not start in 0.5 s."
    for process in tried:
        process.kill()
        process.wait()


def test_it_stays_as_long_as_its_server_lives(repository: Repository, start: Start) -> None:
    process = start(f"server={os.getpid()}")
    until(lambda: dispatcher(repository))
    time.sleep(1.0)  # three times as long as it is idle
    assert process.poll() is None


def test_it_leaves_when_its_server_is_gone(start: Start) -> None:
    assert start("server=1").wait(PATIENCE) == 0
