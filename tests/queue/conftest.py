"""Queued jobs that take a second, on a real database, and what they find undisturbed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import StorageConfig, TrainConfig, load
from pipeline.queue.task import run_job
from pipeline.results.database import Repository, open_database
from pipeline.training import job

SMALL = (
    "market=demo",
    "market.timeframe=1h",
    "data.days=60",
    "optimizer=random",
    "optimizer.samples=5",
    "validation=train_test_split",
    "validation.test=10",
    "validation.evidence=deciding",
    "min_trades=1",
    "backend=numpy",  # starts sooner than Numba
)

#: Of five minutes, and with searches of surrogates in processes of their own.
LARGE = ("market.timeframe=5m", "optimizer.samples=20", "validation.surrogate_count=20")


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
def queue_small(repository: Repository) -> Callable[..., str]:
    """Queue a job of a second, by its seed; ``large`` ones take some."""

    def queue(seed: int, large: bool = False, *words: str) -> str:
        return repository.jobs.queue([job.description(_config(seed, large, *words))])[0]

    return queue


def _config(seed: int, large: bool, *words: str) -> TrainConfig:
    return load([*SMALL, *(LARGE if large else ()), f"seed={seed}", *words], TrainConfig, "train")


def _left(repository: Repository) -> dict[int, Any]:
    """What jobs found, by their seed; one that stored nothing has nothing."""
    rows = {row.job_id: row for row in repository.configurations.find()}
    assert len(rows) == len(repository.configurations.find())
    return {
        done.seed: (row := rows.get(done.id)) and (row.parameters, row.out_of_sample, row.gates)
        for done in repository.jobs.find("completed")
    }


@pytest.fixture(scope="session")
def _undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, bool], Any]:
    @cache
    def found(seed: int, large: bool) -> Any:
        folder = tmp_path_factory.mktemp("undisturbed")
        url = f"sqlite:///{folder}/trainings.db"
        storage = StorageConfig(url=url, artifacts=f"{folder}/artifacts", patience=60)
        with open_database(storage.url) as repository:
            (job_id,) = repository.jobs.queue([job.description(_config(seed, large))])
            run_job((storage, repository.identity), job_id, lambda steps: None)
            return _left(repository)[seed]

    return found


@pytest.fixture
def check_undisturbed(
    repository: Repository, _undisturbed: Callable[[int, bool], Any]
) -> Callable[..., None]:
    """Check that the jobs of some seeds are done, have found what they find, and none is open."""

    def check(*seeds: int, large: bool = False) -> None:
        assert _left(repository) == {seed: _undisturbed(seed, large) for seed in seeds}
        assert repository.jobs.find("pending") == repository.jobs.find("running") == []

    return check


@pytest.fixture
def start(storage: StorageConfig) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a dispatcher of two places that ends when it has had no job for ``idle`` seconds."""
    started = []

    def begin(*extra: str, idle: float = 0.3) -> subprocess.Popen[bytes]:
        words = [f"storage.url={storage.url}", f"storage.artifacts={storage.artifacts}"]
        command = [sys.executable, "-m", "pipeline.dispatch", *words, "concurrent=2"]
        started.append(subprocess.Popen([*command, f"idle={idle}", *extra]))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
