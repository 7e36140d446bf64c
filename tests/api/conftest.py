"""The application over a real SQLite file, asked through Starlette's client."""

import shutil

import pytest

pytest.importorskip("fastapi", reason="the extra studio is not installed")

from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.results.database import open_database
from support.runs import QUICK, SMALL_GRID, run_here
from support.serving import service_over

HERE = "http://127.0.0.1:8080"


@pytest.fixture
def service(tmp_path):
    """A service over an empty database."""
    with service_over(tmp_path) as service:
        yield service


@pytest.fixture
def engine(service):
    """The service's database."""
    engine = open_database(service.settings.storage.url)
    yield engine
    engine.dispose()


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
