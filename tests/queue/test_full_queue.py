"""A database whose disk is full under a queued job: its row tells the true reason afterwards."""

from __future__ import annotations

import os
import threading
from multiprocessing import Pipe

import pytest

from pipeline.config import StorageConfig, TrainConfig, load
from pipeline.config.commands import DispatchConfig
from pipeline.executors.base import do_task
from pipeline.queue import dispatcher
from pipeline.queue.dispatcher import Dispatcher
from pipeline.queue.task import run_job
from pipeline.results.access.engines import DatabaseFullError
from pipeline.results.database import open_database
from pipeline.training import job
from support.sweeping import TINY

pytestmark = pytest.mark.drill

TABLES = ("training_jobs", "job_events", "trained_configurations")
FULL = """CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN
RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
LANGUAGE plpgsql"""


def fill(engine):
    """Have the database say that its disk is full, to whoever writes what jobs do."""
    with engine.begin() as connection:
        connection.exec_driver_sql(FULL)
        for table in TABLES:
            connection.exec_driver_sql(
                f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION full_disk()"
            )


def make_room(engine):
    """Undo `fill`."""
    with engine.begin() as connection:
        for table in TABLES:
            connection.exec_driver_sql(f"DROP TRIGGER full_disk ON {table}")


class WorkerHere:
    """A worker without a process of its own."""

    pid, is_stopped, was_frozen = os.getpid(), False, False

    def __init__(self, shared):
        self.connection, self._other = Pipe()
        self.has, self._shared = None, shared

    def take(self, attempt):
        self.has = attempt
        self._other.send(do_task(run_job, self._shared, attempt.task, print))

    def answer(self):
        attempt, self.has = self.has, None
        return attempt, self.connection.recv()

    def end_if_frozen(self):
        """It never is."""

    def stop(self):
        return ""


def test_a_job_whose_row_finds_no_room_ends_with_the_reason(server, tmp_path, monkeypatch):
    place = StorageConfig(
        url=server.empty_database(), artifacts=f"{tmp_path}/artifacts", patience=10
    )
    trainings, train, was_full = [], job.train, threading.Event()
    monkeypatch.setattr(dispatcher, "PAUSE", 0.2)
    with open_database(place.url) as repository:
        shared = (place, repository.identity)
        monkeypatch.setattr(dispatcher, "Worker", lambda *_: WorkerHere(shared))

        def filled(*arguments):
            trainings.append(train(*arguments))
            fill(repository.engine)
            return trainings[-1]

        monkeypatch.setattr(job, "train", filled)
        config = load(["market=btc_binance_1h", *TINY], TrainConfig, "train")
        (job_id,) = repository.jobs.queue([job.description(config)])
        seen, fail_for = [], repository.jobs.fail_for

        def refused(*words, **options):
            try:
                return fail_for(*words, **options)
            except DatabaseFullError:
                was_full.set()
                raise

        monkeypatch.setattr(repository.jobs, "fail_for", refused)

        def look():
            was_full.wait(60)
            seen.append(repository.jobs.read(job_id).status)
            make_room(repository.engine)

        thread = threading.Thread(target=look)
        thread.start()
        settings = DispatchConfig(storage=place, concurrent=1, idle=0.3, server=None)
        assert repository.dispatcher.claim()
        Dispatcher(repository, settings).run()
        thread.join()
        row = repository.jobs.read(job_id)
        assert (seen, row.status) == (["running"], "failed")
        assert "takes no more (could not extend file: No space left on device)" in row.error
        assert f"The result is kept: scripts/store {place.artifacts}" in row.error
        repository.jobs.restart(job_id)
        assert repository.dispatcher.claim()
        Dispatcher(repository, settings).run()
        assert repository.jobs.read(job_id).status == "completed"
        (stored,) = repository.configurations.find()
        assert stored.job_id == job_id
        assert len(trainings) == 1
