"""A worker that is stopped for too long is ended, and another does its task."""

import sqlite3
from contextlib import closing

import pytest

from pipeline.executors import signs_of_life, worker
from pipeline.executors.processes import Processes
from support import work


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(signs_of_life, "SILENCE", 0.5)
    monkeypatch.setattr(worker, "LOOK_EVERY", 0.1)


def test_the_task_of_a_stopped_worker_is_done_by_another(tmp_path):
    ended = list(Processes(2, 1).run(work.stop_at_first, str(tmp_path), range(3)))
    assert sorted(e.result for e in ended) == [0, 1, 2]
    assert {mark.name for mark in tmp_path.iterdir()} == {"1"}


def test_without_retries_it_is_said_what_was_seen(tmp_path):
    (ended,) = Processes(1, 0).run(work.stop_at_first, str(tmp_path), [1])
    assert (
        "without an answer by SIGKILL, after it had given no sign of life for 0.5 s" in ended.error
    )


def test_a_stopped_worker_gives_back_the_database_that_its_parent_waits_for(tmp_path):
    database = tmp_path / "a.db"
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        connection.execute("CREATE TABLE results (task INTEGER)")
        for ended in Processes(2, 1).run(work.stop_with_lock_at_first, str(database), [1, 2]):
            connection.execute("INSERT INTO results VALUES (?)", (ended.result,))
            connection.commit()
        assert connection.execute("SELECT task FROM results ORDER BY 1").fetchall() == [(1,), (2,)]
