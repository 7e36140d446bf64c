"""Provide real databases: an SQLite file and a real PostgreSQL, with and without tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from pipeline.results.database import Repository, open_database
from pipeline.results.records import Configuration, ConfigurationEvent
from pipeline.results.tables.models import Base
from support.parameters import DEPTH, SPREAD

KINDS = ["sqlite", "postgresql"]


def new_url(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """URL of a database without tables; of SQLite without even its file and folder."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/var/results.db"
    return str(request.getfixturevalue("server").empty_database())


#: Arguments of `Repository.jobs.create`, of a job that nobody trains.
JOB: dict[str, Any] = {
    "exchange": "binance",
    "pair": "BTC/USDT",
    "timeframe": "5m",
    "strategy": "liquidity_sweep",
    "optimizer": "grid",
    "config": {},
    "config_hash": "c0ffee",
    "seed": 7,
}


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables."""
    return new_url(request.param, tmp_path, request)


@pytest.fixture(scope="session", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Engine]]:
    """Database that `engine` empties for each test: a fresh one would take longer than the test."""
    url = new_url(request.param, tmp_path_factory.mktemp("shared"), request)
    with open_database(url) as repository:
        yield url, repository.engine


@pytest.fixture
def engine(shared: tuple[str, Engine]) -> Engine:
    """Open database with tables and no rows."""
    _, engine = shared
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    return engine


@pytest.fixture
def url(shared: tuple[str, Engine]) -> str:
    """URL of `engine`."""
    return shared[0]


@pytest.fixture
def repository(engine: Engine) -> Iterator[Repository]:
    """Repository without jobs and configurations."""
    with Repository(engine) as repository:
        yield repository


@pytest.fixture
def example_job() -> dict[str, Any]:
    """Arguments of `Repository.jobs.create`."""
    return JOB | {"config": {"seed": 7, "limits": [0.02, None]}}


@pytest.fixture
def running_job(repository: Repository, example_job: dict[str, Any]) -> str:
    """Id of a job that this process runs."""
    job_id = repository.jobs.create(**example_job)
    repository.jobs.start(job_id)
    return job_id


@pytest.fixture
def example() -> Callable[..., Configuration]:
    """Make a configuration of a job, with any field changed."""

    def make(job_id: str, **changes: Any) -> Configuration:
        fields: dict[str, Any] = {
            "id": f"LIQUIDITY_SWEEP_V3_20230131_235959_{job_id[:6]}",
            "job_id": job_id,
            "strategy": "liquidity_sweep",
            "exchange": "binance",
            "pair": "BTC/USDT",
            "timeframe": "5m",
            "lifecycle_stage": "VALIDATION",
            "synthetic": False,
            "parameters": {DEPTH: 0.001, SPREAD: None},
            "in_sample": {"net_profit": 0.5},
            "out_of_sample": {
                "net_profit": 0.1,
                "sharpe_ratio": 1.5,
                "sample_size": 40,
                "win_rate": 0.6,
                "avg_win": 0.02,
                "avg_loss": -0.01,
            },
            "statistics": {"p_value": 0.03},
            "gates": [{"name": "net_profit", "value": 0.1, "threshold": 0.0, "passed": True}],
            "circuit_breakers": {"max_daily_loss": 0.02},
            "provenance": {"seed": 7},
            "document": {"status": "VALIDATION"},
            "artifacts": None,
        }
        return Configuration(**(fields | changes))

    return make


def later_events(repository: Repository, configuration_id: str) -> list[ConfigurationEvent]:
    """What happened to a configuration after it was stored, oldest first."""
    first, *later = repository.configurations.events(configuration_id)
    assert first.kind == "stored"
    return later


@contextmanager
def after_every_query(write: Callable[[], Any]) -> Iterator[list[str]]:
    """Commit ``write`` after every SELECT, until one is done by who writes; yield these queries."""
    queries, is_over = list[str](), False

    def look(_: object, __: object, statement: str, *___: object) -> None:
        nonlocal is_over
        is_over = is_over or statement.startswith(("UPDATE", "INSERT"))
        if is_over or not statement.startswith("SELECT") or "alembic" in statement:
            return
        queries.append(statement)
        is_over = True
        write()
        is_over = False

    event.listen(Engine, "after_cursor_execute", look)
    try:
        yield queries
    finally:
        event.remove(Engine, "after_cursor_execute", look)
