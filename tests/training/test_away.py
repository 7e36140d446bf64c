"""A database that is away while a market is trained: the run ends as if nothing had been."""

import sqlite3
import threading
from contextlib import ExitStack, contextmanager

import pytest

from pipeline.results import database
from pipeline.training import job
from support.runs import QUICK, SMALL_GRID, run_here

QUICK_GRID = (*QUICK, *SMALL_GRID)


@contextmanager
def locked(folder, seconds):
    """Hold the default database of a folder locked, for so long or until the context ends."""
    over, holds = threading.Event(), threading.Event()

    def hold():
        lock = sqlite3.connect(folder / "var/trainings.db", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        holds.set()
        over.wait(seconds)
        lock.close()

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the run stores where nothing is in its way."""
    return stored(run_here(tmp_path_factory.mktemp("undisturbed"), *QUICK_GRID))


def stored(finished):
    """The figures of the one configuration of a run."""
    assert finished.status == 0, finished.err
    assert [one.status for one in finished.jobs] == ["completed"]
    (configuration,) = finished.configurations
    return (
        configuration.parameters,
        configuration.in_sample,
        configuration.out_of_sample,
        configuration.statistics,
        configuration.gates,
    )


@pytest.fixture
def disturb(monkeypatch):
    """Have something hold while the search runs, or from its end on."""
    monkeypatch.setattr(database, "_BUSY_MS", 50)
    train, until_the_end = job.train, ExitStack()

    def during(moment, away):
        def disturbed(*arguments):
            if moment == "search":
                with away():
                    return train(*arguments)
            trained = train(*arguments)
            until_the_end.enter_context(away())
            return trained

        monkeypatch.setattr(job, "train", disturbed)

    with until_the_end:
        yield during


@pytest.mark.parametrize("moment", ["search", "storing"])
def test_a_locked_file_is_waited_for(tmp_path, disturb, undisturbed, moment):
    disturb(moment, lambda: locked(tmp_path, 1.5))
    finished = run_here(tmp_path, *QUICK_GRID)
    assert stored(finished) == undisturbed
    away = finished.err.count("The database does not answer: database is locked. Waiting")
    assert away == finished.err.count("The database answers again") == (moment == "storing")


def test_when_patience_ends_the_true_reason_is_said(tmp_path, disturb):
    disturb("storing", lambda: locked(tmp_path, 60))
    finished = run_here(tmp_path, *QUICK_GRID, "storage.patience=0.3")
    assert finished.status == 1
    assert "The database did not answer for 0.3 s: database is locked." in finished.err
    assert "Traceback" not in finished.err
