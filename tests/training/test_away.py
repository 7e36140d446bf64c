"""A database that is away while a market is trained: the run ends as if nothing had been."""

import random
import re
import sqlite3
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from pipeline import store
from pipeline.results.database import open_database
from pipeline.training import job
from pipeline.training.run import Reporter
from support.outages import SPOILS, again_and_again, hurry, locked, take_away
from support.runs import QUICK, SMALL_GRID, ask, finish, run_here, start
from support.stored import command, sql

pytestmark = pytest.mark.drill
QUICK_GRID = (*QUICK, *SMALL_GRID)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the run stores where nothing is in its way."""
    return stored(run_here(tmp_path_factory.mktemp("undisturbed"), *QUICK_GRID))


def stored(finished, url=None):
    """The figures of the one configuration of a run."""
    assert finished.status == 0, finished.err
    with open_database(url or f"sqlite:///{finished.folder}/var/trainings.db") as repository:
        assert [one.status for one in repository.jobs.find()] == ["completed"]
        (configuration,) = repository.configurations.find()
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
def test_a_database_that_is_away_is_waited_for(tmp_path, outage, disturb, undisturbed, moment):
    disturb(moment, lambda: outage.away(0.5) if moment == "search" else outage.until_said())
    finished = run_here(tmp_path, *QUICK_GRID, f"storage.url='{outage.url}'")
    assert stored(finished, outage.url) == undisturbed
    away = finished.err.count("The database does not answer: ")
    assert away == finished.err.count("The database answers again") <= 1
    assert away == 1 or moment == "search"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_moments_change_nothing(tmp_path, outage, undisturbed, seed):
    with open_database(outage.url):
        pass  # a command refuses to start without its database
    with again_and_again(outage, random.Random(seed), 0.8) as outages:
        finished = run_when_it_answers(tmp_path, outage.url)
    assert outages
    assert stored(finished, outage.url) == undisturbed


def run_when_it_answers(folder, url):
    for _ in range(50):
        finished = run_here(folder, *QUICK_GRID, f"storage.url='{url}'")
        if "storage.url: cannot use " not in finished.err:
            return finished
    raise AssertionError(finished.err)


@pytest.mark.slow
def test_a_minute_away_changes_nothing(tmp_path, outage, disturb, undisturbed):
    disturb("storing", lambda: outage.away(60))
    finished = run_here(tmp_path, *QUICK_GRID, f"storage.url='{outage.url}'")
    assert stored(finished, outage.url) == undisturbed
    assert finished.err.count("The database answers again after 6") == 1


def started(folder):
    """Start the run as a process; return it once it has its job."""
    process = start(folder, *QUICK_GRID)
    for _ in range(600):
        time.sleep(0.1)
        if (folder / "var/trainings.db").exists() and ask(folder, lambda one: one.jobs.find()):
            return process
    raise AssertionError("the run never began")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(21))
def test_a_file_that_goes_at_any_moment_is_noticed(tmp_path, undisturbed, seed):
    process = started(tmp_path)
    time.sleep(random.Random(seed).uniform(0, 2))
    before = take_away(tmp_path, SPOILS[seed % 3])
    finished = finish(process, tmp_path)
    if finished.status == 0:
        assert stored(finished, before) == undisturbed
        return
    assert "was deleted, moved or replaced under this command" in finished.err
    assert command(store, tmp_path, kept(finished)).status == 0
    assert stored(finished._replace(status=0)) == undisturbed


def kept(finished):
    """The folder that a run says it keeps its result in."""
    assert finished.status == 1
    assert "Traceback" not in finished.err
    assert "Stored as" not in finished.out
    (folder,) = re.findall(r"The result is kept: scripts/store (\S+) stores it\.", finished.err)
    return folder


def test_when_patience_ends_the_result_is_kept_and_stored_once(tmp_path, disturb, undisturbed):
    with ExitStack() as away:
        away.enter_context(hurry())
        holds = locked(tmp_path / "var/trainings.db")
        disturb("storing", lambda: away.enter_context(holds) or ExitStack())
        finished = run_here(tmp_path, *QUICK_GRID, "storage.patience=0.3")
    assert "The database did not answer for 0.3 s: database is locked." in finished.err
    folder = kept(finished)
    assert finished.configurations == finished.artifacts == []

    sql(finished, "DELETE FROM leases")  # the process of a command ends here, this one does not
    once, twice = (command(store, tmp_path, folder) for _ in range(2))
    assert (once.status, twice.status) == (0, 0), once.err + twice.err
    assert finished.configurations[0].id in once.out
    assert "is stored already" in twice.out
    assert stored(finished._replace(status=0)) == undisturbed
    assert len(finished.artifacts) == 1


def test_ctrl_c_while_waiting_ends_at_once_and_keeps_the_result(tmp_path, disturb, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.training.storing.HURRY", 0)
    monkeypatch.setattr(job, "HURRY", 0)
    with ExitStack() as lock:
        lock.enter_context(hurry())
        holds = locked(tmp_path / "var/trainings.db")

        def away():
            monkeypatch.setattr("pipeline.results.access.outages.time.sleep", interrupted)
            lock.enter_context(holds)
            return ExitStack()

        disturb("storing", away)
        finished = run_here(tmp_path, *QUICK_GRID)
        monkeypatch.undo()
    assert finished.status == 130
    (said,) = re.findall(r"kept: scripts/store (\S+) stores", finished.err)
    assert (tmp_path / said / "unstored/SHA256SUMS").exists()


def test_progress_that_cannot_be_written_takes_a_twentieth_of_the_time(monkeypatch):
    now, tries = 0.0, []

    class Jobs:
        def progress(self, *_, **counted):
            nonlocal now
            tries.append(now)
            now += 1.0
            raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: now))
    repository = SimpleNamespace(jobs=Jobs())
    with job._Recorded(Reporter(), repository, "id")("search", 1000) as advance:
        while now < 100.0:
            advance(1)
            now += 0.25
    assert tries == [0.0, 21.0, 42.0, 63.0, 84.0]


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_file_that_goes_is_noticed_and_the_result_kept(tmp_path, disturb, undisturbed, spoil):
    def gone():
        if spoil == "renamed":
            (tmp_path / "var").rename(tmp_path / "moved")
        else:
            for path in (tmp_path / "var").glob("trainings.db*"):
                path.unlink()
        if spoil == "replaced":
            ask(tmp_path, lambda repository: None)
        return ExitStack()

    disturb("storing", gone)
    finished = run_here(tmp_path, *QUICK_GRID)
    assert "was deleted, moved or replaced under this command" in finished.err
    assert not (tmp_path / "var/trainings.db").exists() or spoil == "replaced"
    assert command(store, tmp_path, kept(finished)).status == 0
    assert stored(finished._replace(status=0)) == undisturbed


@pytest.mark.parametrize("copy", ["older", "another"])
def test_a_copy_over_an_open_file_is_noticed(tmp_path, disturb, undisturbed, copy):
    database = tmp_path / "var/trainings.db"
    source = tmp_path if copy == "older" else tmp_path / "other"
    source.mkdir(exist_ok=True)
    ask(source, lambda repository: None)
    contents = (source / "var/trainings.db").read_bytes()

    def overwritten():
        before = database.stat().st_ino
        database.write_bytes(contents)
        assert database.stat().st_ino == before
        return ExitStack()

    disturb("storing", overwritten)
    finished = run_here(tmp_path, *QUICK_GRID)
    assert "was deleted, moved or replaced under this command" in finished.err
    folder = kept(finished)
    for path in (tmp_path / "var").glob("trainings.db*"):
        path.unlink()
    database.write_bytes(contents)
    assert command(store, tmp_path, folder).status == 0
    assert stored(finished._replace(status=0)) == undisturbed


def test_a_kept_file_that_was_changed_is_refused(tmp_path, disturb):
    def gone():
        (tmp_path / "var/trainings.db").unlink()
        return ExitStack()

    disturb("search", gone)
    finished = run_here(tmp_path, *QUICK_GRID)
    folder = kept(finished)
    path = tmp_path / folder / "unstored/configuration.json"
    path.write_text(path.read_text("utf-8").replace("DISCOVERY", "MATURE"), "utf-8")
    refused = command(store, tmp_path, folder)
    assert refused.status == 2
    assert f"{folder}/unstored/configuration.json is not as the run wrote it" in refused.err
    assert command(store, tmp_path, ".").status == 2
