"""A real PostgreSQL for tests: the server in the `pgserver` wheel, started with its own commands.

Its `get_server` would, run as root, add a user to the machine and open the permissions of every
parent folder; PostgreSQL only needs some user that is not root, so as root it runs as ``nobody``.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL, reached through a socket in ``folder``, that asks for a password."""

    folder: Path
    password: str
    psql: Path

    def url(self, database: str, password: str | None = None) -> str:
        """URL of ``database``, with the right password unless another is given."""
        key = quote(self.password if password is None else password)
        return f"postgresql://postgres:{key}@/{database}?host={self.folder}"

    def empty_database(self) -> str:
        """Create a database and return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        connection = psycopg2.connect(
            host=str(self.folder), user="postgres", password=self.password, dbname="postgres"
        )
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        return self.url(name)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One real PostgreSQL for the session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a dependency of the wheel warns without XDG_RUNTIME_DIR
        try:
            pgserver = importlib.import_module("pgserver")
        except ImportError as error:
            pytest.skip(f"no PostgreSQL here: {error}")
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has 107 characters
    server = Server(
        folder,
        password="hush: a secret @ the tests",
        psql=Path(pgserver.__file__).parent / "pginstall" / "bin" / "psql",
    )
    (folder / "password").write_text(server.password)
    command = {"pgdata": folder / "data", "user": user, "cwd": folder, "timeout": 60}
    try:
        if user is not None:
            shutil.chown(folder / "password", user)
            shutil.chown(folder, user)
        pgserver.initdb(
            [f"--pwfile={folder}/password", "--auth=scram-sha-256", "-U", "postgres", "--no-sync"],
            **command,
        )
        pgserver.pg_ctl(
            ["-w", "-l", str(folder / "log"), "-o", f"-F -h '' -k {folder}", "start"], **command
        )
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start here: {error}")
    yield server
    pgserver.pg_ctl(["-w", "-m", "immediate", "stop"], **command)
    shutil.rmtree(folder)
