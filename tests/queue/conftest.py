"""Queued jobs that take seconds, on a real database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.config import StorageConfig, TrainConfig, load
from pipeline.results.database import Repository, open_database
from pipeline.training import job

SMALL = (
    "market=demo",
    "data.days=60",
    "optimizer=random",
    "optimizer.samples=20",
    "validation=train_test_split",
    "validation.test=10",
    "validation.evidence=deciding",
    "min_trades=1",
)


@pytest.fixture
def storage(tmp_path: Path) -> StorageConfig:
    """Where results of a test go."""
    return StorageConfig(
        url=f"sqlite:///{tmp_path}/trainings.db", artifacts=str(tmp_path / "artifacts"), patience=60
    )


@pytest.fixture
def repository(storage: StorageConfig) -> Iterator[Repository]:
    """Repository of `storage`."""
    with open_database(storage.url) as repository:
        yield repository


@pytest.fixture
def queue_small(repository: Repository) -> Callable[[int], str]:
    """Queue a job of some seconds, by its seed."""

    def queue(seed: int) -> str:
        config = load([*SMALL, f"seed={seed}"], TrainConfig, "train")
        return repository.jobs.queue([job.description(config)])[0]

    return queue


@pytest.fixture
def start(storage: StorageConfig) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a dispatcher of two places that ends when it has had no job for ``idle`` seconds."""
    started = []

    def begin(*extra: str, idle: int = 1) -> subprocess.Popen[bytes]:
        words = [f"storage.url={storage.url}", f"storage.artifacts={storage.artifacts}"]
        command = [sys.executable, "-m", "pipeline.dispatch", *words, "concurrent=2"]
        started.append(subprocess.Popen([*command, f"idle={idle}", *extra]))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
