"""A PostgreSQL that ends under a training, and its hot standby that takes over its address."""

import threading
import time
from contextlib import contextmanager

import psycopg2
import pytest

from pipeline.errors import ReadOnlyError
from pipeline.results.database import open_database
from pipeline.training import job
from support.databases import JOB
from support.runs import QUICK, SMALL_GRID, run_here

pytestmark = [pytest.mark.drill, pytest.mark.slow]

TRAINING = (*QUICK, *SMALL_GRID)


@pytest.fixture
def address(pair, tmp_path):
    """URL of a database whose address leads to the primary, and the link that it goes through."""
    primary, _ = pair
    link = tmp_path / "at"
    link.symlink_to(primary.folder)
    return primary.empty_database().replace(str(primary.folder), str(link)), link


def taken_over(pair, link, seconds):
    """End the primary, and let the standby have its address; it is promoted so much later."""
    primary, standby = pair
    primary.stop("immediate")
    link.unlink()
    link.symlink_to(standby.folder)
    later = threading.Timer(seconds, standby.promote)
    later.start()
    return later


def followed(pair):
    """Wait until the standby has all that the primary has."""
    ends = [psycopg2.connect(one.url("postgres")) for one in pair]
    with ends[0].cursor() as primary, ends[1].cursor() as standby:
        primary.execute("SELECT pg_current_wal_lsn()")
        place = primary.fetchone()
        standby.execute("SELECT 1")
        while True:
            standby.execute("SELECT pg_last_wal_replay_lsn() >= %s", place)
            if standby.fetchone()[0]:
                break
            time.sleep(0.02)
    for end in ends:
        end.close()


def figures(url):
    """What the one job stored."""
    with open_database(url) as repository:
        assert [one.status for one in repository.jobs.find()] == ["completed"]
        (one,) = repository.configurations.find()
        return one.parameters, one.in_sample, one.out_of_sample, one.statistics, one.gates


@pytest.mark.parametrize("moment", ["search", "storing"])
def test_a_training_goes_on_at_the_standby(pair, address, tmp_path, monkeypatch, moment):
    url, link = address
    plain = tmp_path / "plain"
    plain.mkdir()
    assert run_here(plain, *TRAINING).status == 0
    train, promoted = job.train, []

    def disturbed(*arguments):
        trained = train(*arguments) if moment == "storing" else None
        followed(pair)
        promoted.append(taken_over(pair, link, 2.0))
        return trained or train(*arguments)

    monkeypatch.setattr(job, "train", disturbed)
    finished = run_here(tmp_path, *TRAINING, f"storage.url='{url}'")
    promoted[0].join()
    assert finished.status == 0, finished.err
    assert finished.err.count("The database answers again") == 1
    assert figures(url) == figures(f"sqlite:///{plain}/var/trainings.db")


@contextmanager
def commit_is_the_last(monkeypatch, engine, pair, link, *, replicated):
    """Let the primary end right after the next commit, before it has answered."""
    dialect, once = engine.dialect, iter([True])
    commit = dialect.do_commit

    def do_commit(connection):
        if not next(once, False):
            return commit(connection)
        if replicated:
            commit(connection)
            followed(pair)
        else:
            followed(pair)
            pair[1].stop()  # it follows no more
            commit(connection)
            pair[1].start()
        timers.append(taken_over(pair, link, 1.0))
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    timers = []
    monkeypatch.setattr(dialect, "do_commit", do_commit)
    yield
    timers[0].join()


@pytest.mark.parametrize("replicated", [True, False])
def test_a_commit_that_the_standby_has_is_not_done_twice(
    pair, address, monkeypatch, example, replicated
):
    url, link = address
    with open_database(url, 60) as repository:
        job_id = repository.jobs.create(**JOB)
        repository.jobs.start(job_id)
        with commit_is_the_last(monkeypatch, repository.engine, pair, link, replicated=replicated):
            repository.configurations.save(example(job_id))
        (stored,) = repository.configurations.find()
        assert [e.kind for e in repository.configurations.events(stored.id)] == ["stored"]
        told = [e.payload["status"] for e in repository.jobs.events() if e.kind == "status"]
        assert told == ["pending", "running", "completed"]


def test_a_standby_is_read_and_not_written(pair):
    primary, standby = pair
    url = primary.empty_database()
    open_database(url).close()
    followed(pair)
    url = url.replace(str(primary.folder), str(standby.folder))
    with pytest.raises(ReadOnlyError, match="the server is a standby"):
        open_database(url)
    with open_database(url, read_only=True) as repository:
        assert repository.jobs.find() == []
