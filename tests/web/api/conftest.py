"""The application over a real SQLite file, asked through Starlette's client."""

import shutil
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from pipeline.results.database import open_database
from pipeline.validation.stages import judge
from pipeline.web.api.app import create_app
from support.databases import example  # noqa: F401, a fixture
from support.runs import QUICK, SMALL_GRID, ask, run_here
from support.serving import service_over

#: Figures of a configuration that is MATURE.
GOOD = {"net_profit": 0.4, "sharpe_ratio": 2.0, "sample_size": 150}
GOOD |= {"p_value": 0.01, "reality_check_p": 0.01, "surrogate_p": 0.01, "beta": 0.0}
DESCRIPTION = (
    "exchange",
    "pair",
    "timeframe",
    "strategy",
    "optimizer",
    "config",
    "config_hash",
    "seed",
)

HERE = "http://127.0.0.1:8080"


@pytest.fixture
def service(tmp_path):
    """A service over an empty database."""
    with service_over(tmp_path) as service:
        yield service


@pytest.fixture
def repository(service):
    """The service's database."""
    with open_database(service.settings.storage.url) as repository:
        yield repository


@pytest.fixture
def connect(service):
    """Make a client of the application, with any setting changed."""
    clients = []

    def made(security=None, **settings):
        client = TestClient(create_app(service, security, **settings), base_url=HERE)
        clients.append(client.__enter__())
        return client

    yield made
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(connect):
    """A client of the application as it is by default."""
    return connect()


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a small training of the whole grid: what it finds does not matter."""
    words = (*QUICK, "optimizer=grid", *SMALL_GRID, "validation.evidence=deciding")
    finished = run_here(tmp_path_factory.mktemp("api"), *words)
    assert finished.status == 0, finished.err
    return finished.folder


@pytest.fixture
def trained_service(tmp_path, trained):
    """A service over a copy of it, to be changed."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    with service_over(tmp_path) as service:
        yield service


@pytest.fixture
def stored(tmp_path, trained_service):
    """Store the trained configuration once more as if it were real and MATURE; return its path.

    ``changes`` are figures that its gates are to be judged by.
    """

    def store(**changes):
        def copy(repository):
            (found,) = repository.configurations.find()
            job = repository.jobs.read(found.job_id)
            again = repository.jobs.create(**{name: getattr(job, name) for name in DESCRIPTION})
            repository.jobs.start(again)
            stage, gates = judge(GOOD | changes)
            copied = replace(
                found,
                id=f"{found.id[:-6]}abcdef",
                job_id=again,
                lifecycle_stage=stage,
                synthetic=False,  # what it is would never be traded
                artifacts=None,  # whose figures are others
                artifact_digests={},
                exchange="binance",
                pair="BTC/USDT",
                gates=[gate.to_dict() for gate in gates],
                document=found.document
                | {"id": f"{found.id[:-6]}abcdef", "pair": "BTC/USDT", "status": stage},
            )
            repository.configurations.save(copied)
            return copied.id

        return f"/api/configurations/{ask(tmp_path, copy)}"

    return store
