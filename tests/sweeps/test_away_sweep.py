"""A database that goes away, or for good, under a sweep: it ends as ever, or says so.

A round of one outage in every run of the tests; by hand another, twenty of many in two worker
processes, and one in which the database is away for a minute.
"""

import random
import re
import time
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from pipeline import store
from pipeline.results.database import open_database
from pipeline.sweeps import running
from pipeline.training import job
from support.outages import SPOILS, again_and_again, slow_if_frozen, take_away
from support.runs import finish
from support.stored import command
from support.sweeping import TINY, dump, start_sweep, sweep_here, tables

pytestmark = pytest.mark.drill
SIX = ("markets=*_1h", "executor=local", *TINY)
WORKERS = ("markets=*_1h", "executor=processes", "executor.workers=2", *TINY)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the sweep leaves where nothing is in its way."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert sweep_here(folder, *SIX).status == 0
    return dump(folder)


@slow_if_frozen
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_outages_change_nothing(tmp_path, outage, undisturbed, monkeypatch, seed):
    train_market = running.train_market
    with ExitStack() as outages:
        seconds = again_and_again(outage, random.Random(seed), 0.4, most=1)

        def disturbed(*arguments):
            if (tmp_path / "begun").exists():
                return train_market(*arguments)
            (tmp_path / "begun").touch()
            lasted.append(outages.enter_context(seconds))
            return train_market(*arguments)

        lasted = []
        monkeypatch.setattr(running, "train_market", disturbed)
        finished = sweep_here(tmp_path, *SIX, f"storage.url='{outage.url}'")
    assert finished.status == 0, finished.err
    assert lasted[0]
    assert dump(tmp_path, outage.url) == undisturbed


def test_that_nothing_can_be_stored_is_said_while_all_workers_wait(tmp_path, outage, monkeypatch):
    train_market = running.train_market

    def away(*arguments):
        with outage.until_said() as over:  # to writers: a locked file is read all the time
            assert over.wait(60)
        return train_market(*arguments)

    monkeypatch.setattr(running, "train_market", away)
    monkeypatch.setattr(running, "LOOK_EVERY", 0.05)
    words = ("markets=btc_binance_1h", *SIX[1:])
    finished = sweep_here(tmp_path, *words, f"storage.url='{outage.url}'")
    assert finished.status == 0, finished.err
    assert "The database does not answer: " in finished.err
    assert "The database answers again" in finished.err


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_outages_change_nothing_in_worker_processes(tmp_path, outage, undisturbed, seed):
    process = start_sweep(tmp_path, *WORKERS, f"storage.url='{outage.url}'")
    wait_for_a_market(tmp_path, outage.url)
    with again_and_again(outage, random.Random(seed), 6.5) as outages:
        finished = finish(process, tmp_path)
    assert finished.status == 0, finished.err
    assert outages
    assert dump(tmp_path, outage.url) == undisturbed


@pytest.mark.slow
def test_a_minute_away_changes_nothing(tmp_path, outage, undisturbed):
    process = start_sweep(tmp_path, *WORKERS, f"storage.url='{outage.url}'")
    wait_for_a_market(tmp_path, outage.url)
    with outage.away():
        time.sleep(60)
    finished = finish(process, tmp_path)
    assert finished.status == 0, finished.err
    assert finished.err.count("The database answers again") == 1
    assert dump(tmp_path, outage.url) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_file_that_goes_at_any_moment_is_noticed(tmp_path, undisturbed, seed):
    process = start_sweep(tmp_path, *WORKERS)
    wait_for_a_market(tmp_path, f"sqlite:///{tmp_path}/var/trainings.db")
    time.sleep(random.Random(seed).uniform(0, 3))
    before = take_away(tmp_path, SPOILS[seed % 3])
    finished = finish(process, tmp_path)
    assert "Traceback" not in finished.err
    stored_before = len(tables(tmp_path, before)[3])
    if finished.status == 0:
        assert stored_before == len(undisturbed["configurations"])
        return
    assert finished.status == 1
    assert "was deleted, moved or replaced under this command" in finished.err
    folders = set(re.findall(r"scripts/store (\S+) stores it", finished.err))
    for folder in folders:
        assert command(store, tmp_path, folder).status == 0
    if folders:
        *_, jobs, configurations, _ = tables(tmp_path)
        assert [job["status"] for job in jobs] == ["completed"] * len(folders)
        assert len(configurations) == len(folders)


def wait_for_a_market(folder, url):
    """Wait until a market is being trained."""
    for _ in range(600):
        time.sleep(0.1)
        if "var" in {path.name for path in folder.iterdir()}:
            with open_database(url) as repository:
                if repository.jobs.find("running", "completed"):
                    return
    raise AssertionError("the sweep never began")


@pytest.mark.parametrize("spoil", ["deleted", "renamed"])
def test_a_file_that_goes_ends_the_sweep_and_keeps_the_result(tmp_path, monkeypatch, spoil):
    train_market = running.train_market

    def spoilt(shared, task, advance):
        if task.position == 2:
            if spoil == "renamed":
                (tmp_path / "var").rename(tmp_path / "moved")
            else:
                monkeypatch.setattr("pipeline.training.job.train", and_delete)
        return train_market(shared, task, advance)

    train = job.train

    def and_delete(*arguments):
        trained = train(*arguments)
        for path in (tmp_path / "var").glob("trainings.db*"):
            path.unlink()
        return trained

    monkeypatch.setattr(running, "train_market", spoilt)
    finished = sweep_here(tmp_path, *SIX)
    assert finished.status == 1
    assert "was deleted, moved or replaced under this command" in finished.err
    assert "Traceback" not in finished.err
    if spoil == "renamed":
        assert len(tables(tmp_path, f"sqlite:///{tmp_path}/moved/trainings.db")[3]) == 2
        return
    assert not (tmp_path / "var/trainings.db").exists()
    (folder,) = set(re.findall(r"scripts/store (\S+) stores it", finished.err))
    assert command(store, tmp_path, folder).status == 0
    with open_database(f"sqlite:///{tmp_path}/var/trainings.db") as repository:
        assert [one.status for one in repository.jobs.find()] == ["completed"]


@slow_if_frozen
def test_when_patience_ends_the_same_command_goes_on_later(tmp_path, outage, undisturbed):
    words = (*SIX, f"storage.url='{outage.url}'")
    with ExitStack() as away, pytest.MonkeyPatch.context() as patch:
        train_market = running.train_market

        def away_at_the_third(shared, task, advance):
            if task.position == 2:
                away.enter_context(outage.away())
            return train_market(shared, task, advance)

        patch.setattr(running, "train_market", away_at_the_third)
        finished = sweep_here(tmp_path, *words, "storage.patience=0.3")
    assert finished.status == 1
    assert finished.err.count("The database did not answer for 0.3 s: ") == 1
    assert "2 of 6 markets had ended, and are kept" in finished.err
    with open_database(outage.url) as repository, repository.engine.begin() as connection:
        connection.execute(text("DELETE FROM leases"))  # the command's process ends, ours does not
    assert sweep_here(tmp_path, *words, "retry_failed=true").status == 0
    assert dump(tmp_path, outage.url) == undisturbed
