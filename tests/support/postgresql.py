"""A real PostgreSQL for tests: the programs of the `pgserver` wheel, one server for a test run.

The wheel's own `get_server` would, run as root, add a user to the machine and open the permissions
of every parent folder. PostgreSQL only needs some user that is not root, so as root it runs as
``nobody``, from a copy of the programs where ``nobody`` may not enter their folder.

The processes of one test run share the server through a named pipe. Each holds it open for writing;
`support.postgresql_keeper` reads it, and stops the server when the last of them has ended or was
killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2
import pytest
from filelock import FileLock

from support import needs

PASSWORD = "hush: a secret @ the tests"
KEEPER = Path(__file__).with_name("postgresql_keeper.py")


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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real PostgreSQL for the test run, shared by its processes."""
    wheel = find_spec("pgserver")
    if wheel is None or wheel.origin is None:
        needs.skip("no PostgreSQL here: the wheel pgserver (extra dev) is not installed")
    programs = Path(wheel.origin).parent / "pginstall"
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    try:
        with FileLock(shared / "postgresql.lock"):
            folder, pipe = _join(shared) or _start(shared, programs)
    except (OSError, subprocess.SubprocessError) as error:
        needs.skip(f"PostgreSQL does not start here: {error}")
    yield Server(folder, PASSWORD, programs / "bin" / "psql")
    os.close(pipe)


def _join(shared: Path) -> tuple[Path, int] | None:
    """Return the folder of the run's server and the open pipe, or None where there is no server."""
    try:
        pipe = os.open(shared / "postgresql.users", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # no pipe yet, or nobody reads it any more
        return None
    return Path((shared / "postgresql.folder").read_text("utf-8")), pipe


def _start(shared: Path, programs: Path, primary: Server | None = None) -> tuple[Path, int]:
    """Start a server, or a standby of one, and its keeper; return its folder and the open pipe."""
    user = "nobody" if os.geteuid() == 0 else None
    parent = "/tmp" if user and not _is_open(Path(tempfile.gettempdir())) else None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))  # short: a socket's path is limited
    pipe = None
    try:
        if user is not None:
            shutil.chown(folder, user)
            if not _is_open(programs / "bin" / "postgres"):
                programs = _copy(programs, folder, user)
        pipe = _keep(shared, folder, programs, user)
        if primary is None:
            _make_cluster(folder, programs, user)
        else:
            _copy_cluster(primary, folder, programs, user)
        _call("pg_ctl", folder, programs, user, *_start_words(folder))
    except (OSError, subprocess.SubprocessError):
        if pipe is not None:
            os.close(pipe)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    (shared / "postgresql.folder").write_text(str(folder), "utf-8")
    return folder, pipe


def _is_open(path: Path) -> bool:
    """Whether any user may reach and read a file or folder."""
    path = path.resolve()
    return bool(path.stat().st_mode & 0o4) and all(p.stat().st_mode & 0o1 for p in path.parents)


def _copy(programs: Path, folder: Path, user: str) -> Path:
    """Copy the programs, and the libraries beside them, to where their user may read them."""
    site = programs.parents[1]
    for name in ("pgserver/pginstall", "pgserver.libs"):
        if (site / name).is_dir():
            shutil.copytree(site / name, folder / name, ignore=shutil.ignore_patterns("include"))
    for path in folder.rglob("*"):
        shutil.chown(path, user)
    return folder / "pgserver" / "pginstall"


def _keep(shared: Path, folder: Path, programs: Path, user: str | None) -> int:
    """Start the process that stops the server in the end; return the pipe that it reads."""
    path = shared / "postgresql.users"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    words = [sys.executable, KEEPER, path, folder, programs / "bin" / "pg_ctl", user or ""]
    # Through a shell, so that it is nobody's child, and in a session of its own: Ctrl-C is not its.
    start = '"$@" </dev/null >/dev/null 2>&1 &'
    subprocess.run(["sh", "-c", start, "sh", *words], check=True, start_new_session=True)
    deadline = time.monotonic() + 30
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _make_cluster(folder: Path, programs: Path, user: str | None) -> None:
    """Make a database cluster in a folder."""
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if user is not None:
        shutil.chown(secret, user)
    initdb = (f"--pwfile={secret}", "--auth=scram-sha-256", "-U", "postgres", "--no-sync")
    _call("initdb", folder, programs, user, *initdb)


def _copy_cluster(primary: Server, folder: Path, programs: Path, user: str | None) -> None:
    """Copy a running cluster, to be started as its standby."""
    source = f"host={primary.folder} user=postgres password='{PASSWORD}'"
    _call("pg_basebackup", folder, programs, user, "-R", "-c", "fast", "-N", "-d", source)


def _start_words(folder: Path) -> tuple[str, ...]:
    return ("-w", "-l", str(folder / "log"), "-o", f"-F -h '' -k {folder}", "start")


def _call(program: str, folder: Path, programs: Path, user: str | None, *words: str) -> None:
    """Run a program of PostgreSQL on the cluster in a folder."""
    # Into a file: the server keeps what it inherits, and would hold a pipe open.
    log = folder / f"{program}.log"
    with log.open("wb") as output:
        ended = subprocess.run(
            [programs / "bin" / program, "-D", folder / "data", *words],
            check=False,
            cwd=folder,
            user=user,
            timeout=60,
            stdout=output,
            stderr=output,
        )
    if ended.returncode:
        raise OSError(f"{program}: {log.read_text('utf-8')[-500:]}")


@dataclass(frozen=True)
class OwnServer(Server):
    """A server that a test may stop and start, or freeze."""

    def stop(self, mode: str = "fast") -> None:
        """End every connection, and take no more."""
        self._pg_ctl("-m", mode, "-w", "stop")

    def start(self) -> None:
        """Take connections again."""
        self._pg_ctl(*_start_words(self.folder))

    def promote(self) -> None:
        """Let a standby take writers."""
        self._pg_ctl("-w", "promote")

    def freeze(self) -> None:
        """Stop its processes where they are: connections stay open, and nothing answers."""
        server = self._process()
        server.suspend()  # first, so that it starts no other
        for child in server.children():
            child.suspend()

    def thaw(self) -> None:
        """Let its processes go on."""
        server = self._process()
        for process in (*server.children(), server):
            process.resume()

    def _process(self) -> psutil.Process:
        pid = (self.folder / "data" / "postmaster.pid").read_text("utf-8").split()[0]
        return psutil.Process(int(pid))

    def _pg_ctl(self, *words: str) -> None:
        user = "nobody" if os.geteuid() == 0 else None
        _call("pg_ctl", self.folder, self.psql.parents[1], user, *words)


@pytest.fixture(scope="session")
def own_server(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """Another PostgreSQL, of this process alone."""
    folder, pipe = _start(tmp_path_factory.mktemp("own"), server.psql.parents[1])
    yield OwnServer(folder, PASSWORD, _programs(folder, server) / "bin" / "psql")
    os.close(pipe)


@pytest.fixture
def pair(server: Server, tmp_path: Path) -> Iterator[tuple[OwnServer, OwnServer]]:
    """A PostgreSQL of the test alone, and a hot standby that follows it."""
    pipes, servers = [], []
    for name in ("primary", "standby"):
        (tmp_path / name).mkdir()
        primary = servers[0] if servers else None
        folder, pipe = _start(tmp_path / name, server.psql.parents[1], primary)
        servers.append(OwnServer(folder, PASSWORD, _programs(folder, server) / "bin" / "psql"))
        pipes.append(pipe)
    yield servers[0], servers[1]
    for pipe in pipes:
        os.close(pipe)


def _programs(folder: Path, server: Server) -> Path:
    copied = folder / "pgserver" / "pginstall"
    return copied if copied.is_dir() else server.psql.parents[1]
