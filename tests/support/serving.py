"""A service over a folder's database, and real servers, whose dispatchers end with the test."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import StorageConfig
from pipeline.config.catalogue import in_quotes
from pipeline.results.database import open_database
from pipeline.serve import bound
from pipeline.web.api.app import create_app
from pipeline.web.connections import Bounds
from pipeline.web.server import server_of
from pipeline.web.service.jobs import Settings
from pipeline.web.service.service import Service
from support.runs import place_empty_database
from support.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def service_over(folder):
    """A service over the default database of a folder. Nobody runs what is queued there: this
    process holds the dispatcher's place.
    """
    storage = StorageConfig(
        url=f"sqlite:///{folder}/var/trainings.db", artifacts=f"{folder}/var/artifacts", patience=60
    )
    place_empty_database(folder / "var/trainings.db")
    with open_database(storage.url) as repository:
        assert repository.dispatcher.claim()
        yield Service(repository, Settings(storage, store=f"{folder}/var/candles"))


@contextmanager
def listening(service, bounds=None, **settings):
    """Run a server of this process in a thread; yield its port."""
    there = threading.Event()
    server = server_of(create_app(service, **settings), there.set, bounds or Bounds())
    with bound("127.0.0.1", 0) as at:
        thread = threading.Thread(target=server.run, args=([at],))
        thread.start()
        try:
            assert there.wait(PATIENCE)
            yield at.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def command(folder, *words, before=None):
    """Start `pipeline.serve` in a folder, after the statements ``before``."""
    environment = {k: v for k, v in os.environ.items() if k != "API_TOKEN"}
    program = ["-m", "pipeline.serve"]
    if before is not None:
        run = "import runpy; runpy.run_module('pipeline.serve', run_name='__main__')"
        program = ["-c", f"{before}\n{run}"]
    return subprocess.Popen(
        [sys.executable, *program, *words],
        cwd=folder,
        env=environment | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def served(folder, *words, url=None, dispatches=True, before=None):
    """Run a server on a free port; yield its process and its address.

    Unless it ``dispatches`` somebody else holds the dispatcher's place.
    """
    url = url or f"sqlite:///{folder}/var/trainings.db"
    process = command(folder, "port=0", f"storage.url={in_quotes(url)}", *words, before=before)
    said = process.stdout.readline()
    assert said, process.communicate()[1]
    try:
        yield process, said.split()[2]
    finally:
        process.kill()
        process.communicate()
        if dispatches:
            end_dispatcher(url)


def end_dispatcher(url):
    """End the dispatcher that a server has started, by the process id that it leaves there."""
    with open_database(url) as repository:
        os.kill(until(lambda: dispatcher(repository)), signal.SIGTERM)
        until(lambda: dispatcher(repository) is None)


def dispatcher(repository):
    """Process id of the dispatcher; None where there is none."""
    owner, _ = repository.dispatcher.look()
    return None if owner is None else owner.pid


def worker(repository, job_id):
    """Process id of the worker that has a job, or had it; None where it has ended."""
    owner = repository.jobs.owner(repository.jobs.read(job_id))
    return None if owner is None else owner.pid
