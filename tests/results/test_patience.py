"""What counts as away, how long it is waited for, and that nothing is done twice."""

import sqlite3
import threading
import time

import psycopg2
import pytest
from filelock import FileLock
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from pipeline.errors import DatabaseAwayError, DatabaseGoneError, UnknownIdError, UnreachableError
from pipeline.results import database
from pipeline.results.access import engines, outages
from pipeline.results.access.outages import Patience, is_away
from pipeline.results.database import Repository, open_database
from support.outages import Outage, locked


class Coded(psycopg2.Error):
    """An error as a server sends it."""

    def __init__(self, pgcode):
        super().__init__("said in some language")
        self._code = pgcode

    @property
    def pgcode(self):
        return self._code


def refused(orig):
    return OperationalError("SELECT 1", {}, orig)


@pytest.mark.parametrize(
    ("code", "away"),
    [
        *(
            (code, True)
            for code in ("57P01", "57P03", "53300", "08006", "08001", "25006", "55000", None)
        ),
        *((code, False) for code in ("42P01", "53100", "23505", "42501")),
    ],
)
def test_postgresql_says_by_a_code_that_it_is_away(code, away):
    assert is_away(refused(Coded(code))) is away


@pytest.mark.parametrize(
    ("code", "away"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
        (sqlite3.SQLITE_LOCKED, True),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_CORRUPT, False),
    ],
)
def test_sqlite_says_by_a_code_that_it_is_away(code, away):
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = code
    assert is_away(refused(error)) is away


def test_what_answers_again_is_said_once_however_many_wait(monkeypatch):
    said = []
    outages = Patience(600, said.append)
    failed, all_failed = set(), threading.Barrier(3, timeout=120)

    def transaction():
        if threading.get_ident() not in failed:
            failed.add(threading.get_ident())
            raise refused(Coded("57P03"))
        all_failed.wait()
        return 7

    results = []
    threads = [
        threading.Thread(target=lambda: results.append(outages.until_answered(transaction)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [7, 7, 7]
    assert [line.split(":")[0].split(" after")[0] for line in said] == [
        "The database does not answer",
        "The database answers again",
    ]


def test_patience_ends():
    outages, began = Patience(0.3), time.monotonic()
    with pytest.raises(DatabaseAwayError, match=r"^The database did not answer for 0\.3 s: said"):
        outages.until_answered(lambda: (_ for _ in ()).throw(refused(Coded("57P01"))))
    assert 0.3 <= time.monotonic() - began < 60


def test_other_errors_are_not_waited_for():
    began = time.monotonic()
    with pytest.raises(DBAPIError):
        Patience(600).until_answered(lambda: (_ for _ in ()).throw(refused(Coded("42501"))))
    with pytest.raises(DatabaseGoneError, match="no longer what it was"):
        Patience(600).until_answered(lambda: (_ for _ in ()).throw(refused(Coded("42P01"))))
    assert time.monotonic() - began < 60


@pytest.fixture
def patient(engine):
    return Repository(engine, Patience(600))


def lose_commits(monkeypatch, engine, *, done):
    """Have the server end the connection of the next commit, after or before it is done."""
    commit, lost = engine.dialect.do_commit, iter([True])

    def do_commit(connection):
        if not next(lost, False):
            return commit(connection)
        pid = connection.dbapi_connection.info.backend_pid
        if done:
            commit(connection)
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(engine.dialect, "do_commit", do_commit)


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("shared", ["postgresql"], indirect=True)
def test_a_lost_answer_to_a_commit_is_not_done_twice(
    patient, example_job, example, engine, monkeypatch, done
):
    lose_commits(monkeypatch, engine, done=done)
    job_id = patient.jobs.create(**example_job)
    monkeypatch.undo()
    lose_commits(monkeypatch, engine, done=done)
    patient.jobs.start(job_id)
    monkeypatch.undo()
    lose_commits(monkeypatch, engine, done=done)
    configuration = example(job_id)
    patient.configurations.save(configuration)
    monkeypatch.undo()
    lose_commits(monkeypatch, engine, done=done)
    assert patient.configurations.set_active(configuration.id, True, "by the test")
    (job,) = patient.jobs.find()
    assert (job.id, job.status) == (job_id, "completed")
    told = [(e.kind, e.payload.get("status")) for e in patient.jobs.events()]
    assert [status for kind, status in told if kind == "status"] == [
        "pending",
        "running",
        "completed",
    ]
    events = patient.configurations.events(configuration.id)
    assert [event.kind for event in events] == ["stored", "activated"]


@pytest.mark.parametrize("shared", ["postgresql"], indirect=True)
def test_what_became_of_a_commit_is_asked_until_the_standby_has_taken_over(
    patient, example_job, engine, monkeypatch
):
    """Behind a pooler a standby may be asked, which cannot tell: currval fails in the same way."""
    lose_commits(monkeypatch, engine, done=True)
    standby, status = text("SELECT currval('job_events_id_seq'), :transaction, :place"), "_STATUS"
    promoted = threading.Timer(0.3, setattr, (outages, status, getattr(outages, status)))
    monkeypatch.setattr(outages, status, standby)
    promoted.start()
    job_id = patient.jobs.create(**example_job)
    promoted.join()
    assert [job.id for job in patient.jobs.find()] == [job_id]
    assert [e.payload.get("status") for e in patient.jobs.events()] == ["pending"]


@pytest.mark.parametrize("spoil", ["deleted", "replaced", "folder renamed"])
def test_a_file_that_is_gone_is_noticed(tmp_path, spoil, example_job):
    url = f"sqlite:///{tmp_path}/var/results.db"
    with open_database(url, 20) as repository:
        repository.jobs.create(**example_job)
        if spoil == "folder renamed":
            (tmp_path / "var").rename(tmp_path / "moved")
        else:
            for path in (tmp_path / "var").iterdir():
                path.unlink()
        if spoil == "replaced":
            open_database(url).close()
        left = sorted(path for path in tmp_path.rglob("*") if path.name != "results.db-shm")
        for action in (
            lambda: repository.jobs.create(**example_job),
            lambda: repository.jobs.find(),
        ):
            with pytest.raises(DatabaseGoneError, match="was deleted, moved or replaced"):
                action()
        assert left == sorted(p for p in tmp_path.rglob("*") if p.name != "results.db-shm")


def test_a_file_that_goes_while_it_is_written_is_noticed(tmp_path, example_job, monkeypatch):
    with open_database(f"sqlite:///{tmp_path}/results.db", 20) as repository:
        commit = repository.engine.dialect.do_commit

        def do_commit(connection):
            (tmp_path / "results.db").unlink()
            commit(connection)

        monkeypatch.setattr(repository.engine.dialect, "do_commit", do_commit)
        with pytest.raises(DatabaseGoneError):
            repository.jobs.create(**example_job)


def test_a_file_that_a_full_disk_left_half_written_is_not_gone(tmp_path, example_job):
    """The first page is there, and counts more pages than the file has."""
    file = tmp_path / "results.db"
    with open_database(f"sqlite:///{file}", 20) as repository:
        first = repository.jobs.create(**example_job)
        second = repository.jobs.create(**example_job)  # the lease is in the file, without its log
        pages = int.from_bytes(file.read_bytes()[28:32], "big")
        with repository.transaction() as session:
            session.execute(text("CREATE TABLE large AS SELECT zeroblob(100000)"))
        with file.open("r+b") as opened:
            opened.seek(28)
            opened.write((pages + 30).to_bytes(4, "big"))
        third = repository.jobs.create(**example_job)
        assert {job.id for job in repository.jobs.find()} == {first, second, third}


@pytest.fixture
def own_schema(request):
    """URL of a PostgreSQL database that a test may spoil."""
    return request.getfixturevalue("server").empty_database()


@pytest.mark.parametrize("again", [False, True])
def test_tables_that_are_dropped_are_noticed(own_schema, example_job, again):
    with open_database(own_schema, 600) as repository:
        job_id = repository.jobs.create(**example_job)
        with repository.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        if again:
            open_database(own_schema).close()
        began = time.monotonic()
        with pytest.raises(DatabaseGoneError):
            repository.jobs.create(**example_job)
        with pytest.raises(UnknownIdError if again else DatabaseGoneError):
            repository.jobs.start(job_id)
        assert time.monotonic() - began < 60
    with open_database(own_schema) as repository:
        assert repository.jobs.find() == []


def test_a_locked_file_is_read_at_once_and_waited_for_where_one_writes(
    tmp_path, example_job, monkeypatch
):
    path = tmp_path / "results.db"
    url = f"sqlite:///{path}"
    with open_database(url) as repository:
        job_id = repository.jobs.create(**example_job)
    monkeypatch.setattr(database, "_OPENING", 0.1)
    monkeypatch.setattr(database, "_BUSY_OPENING_MS", 100)
    said = []
    with locked(path):
        monkeypatch.setattr(engines, "BUSY_MS", 120_000)
        began = time.monotonic()
        with open_database(url, 600, said.append, writes=False) as repository:
            assert [job.id for job in repository.jobs.find()] == [job_id]
            assert not repository.read_only
        assert time.monotonic() - began < 60
        assert said == []
        with pytest.raises(DatabaseAwayError, match=r"another program holds it.* for 0\.3 s"):
            open_database(url, 0.3)
    outage = Outage(url, lambda: locked(path))
    with outage.until_said(), open_database(url, 600, said.append) as repository:
        repository.jobs.start(job_id)
    assert [line.split(":")[0].split(" after")[0] for line in said] == [
        "The database does not answer",
        "The database answers again",
    ]


def test_a_command_that_makes_the_tables_is_not_waited_for_in_vain(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_MIGRATING", 0.1)
    with (
        FileLock(tmp_path / "results.db.lock"),
        pytest.raises(UnreachableError, match="Another command has been making the tables"),
    ):
        open_database(f"sqlite:///{tmp_path}/results.db", 20)
