"""A PostgreSQL whose connections stay open without an answer, and one that only takes long."""

import os
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pipeline.errors import DatabaseAwayError, UserError
from pipeline.results import silence
from pipeline.results.database import Repository, open_database
from pipeline.results.patience import Tables, waits
from support.outages import Outage, stopped

pytestmark = pytest.mark.drill


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(silence, "SILENCE", 0.2)
    monkeypatch.setattr(silence, "LOOK", 0.2)
    monkeypatch.setattr(silence, "TRY_EVERY", 0.1)


@pytest.fixture
def frozen(own_server):
    """A server that can be frozen, and connections to it that are made within a second."""
    url = own_server.empty_database() + "&connect_timeout=1"
    return Outage(url, lambda s=60.0: stopped(own_server.freeze, own_server.thaw, s))


class Statements(Tables):
    """Statements that wait for their database."""

    @waits
    def ask(self, statement):
        with self._sessions() as session:
            return session.scalar(text(statement))


def statements(repository):
    return Statements(repository._sessions)


@pytest.mark.parametrize("why", ["works", "waits for a lock"])
def test_a_server_that_lives_may_take_long(server, why):
    said = []
    with open_database(server.empty_database(), 20, said.append) as repository:
        if why == "works":
            assert statements(repository).ask("SELECT 7 FROM pg_sleep(0.8)") == 7
        else:
            with repository.engine.begin() as other:
                other.execute(text("LOCK TABLE training_jobs"))
                later = threading.Timer(0.8, other.commit)
                later.start()
                assert statements(repository).ask("SELECT count(*) FROM training_jobs") == 0
                later.join()
    away, back = said
    assert away.startswith("The database does not answer: the server has not answered for ")
    assert back.startswith("The database answers again after ")


def test_a_lock_is_waited_for_as_long_as_the_command_is_patient(server, monkeypatch):
    monkeypatch.setattr(silence, "LONGEST", 0.3)
    with open_database(server.empty_database(), 0.5) as repository:
        began = time.monotonic()
        with pytest.raises(DatabaseAwayError, match=r"^The database did not answer for 0\.5 s: "):
            statements(repository).ask("SELECT pg_sleep(20)")
        assert 0.5 <= time.monotonic() - began < 5


def test_a_frozen_server_is_away_and_comes_back(frozen, example_job):
    said = []
    with open_database(frozen.url, 20, said.append) as repository:
        with frozen.away(1.0):
            job_id = repository.jobs.create(**example_job)
        assert [one.id for one in repository.jobs.find()] == [job_id]
        repository.patience.limit = 0.3
        with frozen.away(), pytest.raises(DatabaseAwayError, match="the server has not answered"):
            repository.jobs.find()
    assert [line.split(":")[0].split(" after")[0] for line in said] == [
        "The database does not answer",
        "The database answers again",
        "The database does not answer",
    ]
    with frozen.away(), pytest.raises(UserError, match=r"the server has not answered for 1 s"):
        open_database(frozen.url, 20)


def test_many_that_do_not_wait_are_answered_soon(frozen):
    """Thirty at once, of a pool of fifteen connections."""
    with open_database(frozen.url) as repository:
        ends = []

        def ask():
            with pytest.raises(DBAPIError):
                repository.jobs.find()
            ends.append(time.monotonic())

        threads = [threading.Thread(target=ask) for _ in range(30)]
        with frozen.away():
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(ends) == 30
        assert max(ends) - began < 4


@pytest.mark.parametrize("before", [True, False])
def test_a_commit_whose_answer_is_frozen_is_not_done_twice(
    frozen, example_job, example, monkeypatch, before
):
    with open_database(frozen.url, 20) as repository:
        job_id = repository.jobs.create(**example_job)
        repository.jobs.start(job_id)
        dialect, once = repository.engine.dialect, iter([True])
        commit = dialect.do_commit

        def do_commit(connection):
            if not next(once, False):
                return commit(connection)
            if not before:
                commit(connection)
            with frozen.away(0.7):
                connection.cursor().execute("COMMIT")
                raise AssertionError("it was frozen")

        monkeypatch.setattr(dialect, "do_commit", do_commit)
        repository.configurations.save(example(job_id))
        told = [e.payload for e in repository.jobs.events() if e.kind == "status"]
        assert [one["status"] for one in told] == ["pending", "running", "completed"]
        assert len(repository.configurations.find()) == 1


def test_ctrl_c_ends_the_wait_at_once(server):
    with open_database(server.empty_database(), 600) as repository:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            statements(repository).ask("SELECT pg_sleep(20)")
        assert time.monotonic() - began < 5
        assert statements(repository).ask("SELECT 7") == 7


@contextmanager
def network(path, heard=bytes):
    """Carry bytes from a port to a socket's path; yields the port and an event that ends it.

    ``heard`` makes what the client hears of what the server says.

    What was open when it ended stays open and is never heard of again, as behind a router that has
    forgotten it. New connections are accepted in silence; once the event is cleared they work.
    """
    listening, drops, kept = socket.create_server(("127.0.0.1", 0)), threading.Event(), []

    def carry(source, sink, change):
        with suppress(OSError):  # closed at the end of the test
            while (content := source.recv(65_536)) and not drops.is_set():
                sink.sendall(change(content))
            if not drops.is_set():
                sink.shutdown(socket.SHUT_WR)

    def accept():
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            kept.append(client)
            if not drops.is_set():
                server = socket.socket(socket.AF_UNIX)
                server.connect(path)
                kept.append(server)
                for ends in ((client, server, bytes), (server, client, heard)):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1], drops
    finally:
        listening.close()
        for one in kept:
            one.close()


def at(port, url):
    """The URL of a database through a `network`."""
    return url.split("?")[0].replace("@/", f"@127.0.0.1:{port}/") + "?connect_timeout=1"


def test_a_network_that_drops_what_is_sent(server, example_job):
    url = server.empty_database()
    with (
        network(f"{server.folder}/.s.PGSQL.5432") as (port, drops),
        open_database(at(port, url), 20) as repository,
    ):
        first = repository.jobs.create(**example_job)
        drops.set()
        threading.Timer(1.0, drops.clear).start()
        second = repository.jobs.create(**example_job)
        assert {one.id for one in repository.jobs.find()} == {first, second}


def test_an_address_that_does_not_answer_is_passed_over(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        first = f"host=127.0.0.1:{silent.getsockname()[1]}"
        url = server.empty_database().replace("?", f"?{first}&") + ":5432&connect_timeout=1"
        with open_database(url) as repository:
            assert isinstance(repository, Repository)
            assert repository.jobs.find() == []


def test_a_pooler_that_remembers_a_standby_is_not_believed(server, example_job):
    """pgbouncer repeats to a new session what the server said when they first met."""

    def remembered(said):
        return said.replace(b"\x17in_hot_standby\0off\0", b"\x16in_hot_standby\0on\0")

    url = server.empty_database()
    with (
        network(f"{server.folder}/.s.PGSQL.5432", remembered) as (port, _),
        open_database(at(port, url), 0.5) as repository,
    ):
        repository.engine.dispose()
        job_id = repository.jobs.create(**example_job)
        assert [one.id for one in repository.jobs.find()] == [job_id]


def test_a_server_that_may_not_be_written_to_is_waited_for(server, example_job):
    url = server.empty_database()
    name = url.split("?")[0].rsplit("/", 1)[1]
    with open_database(url, 0.3) as repository:
        turned = f"ALTER DATABASE {name} SET default_transaction_read_only = "
        with repository.engine.begin() as session:
            session.execute(text(turned + "on"))
        repository.engine.dispose()
        with pytest.raises(DatabaseAwayError, match="it may only be read, as a standby may"):
            repository.jobs.find()
        with open_database(url, read_only=True) as reader:
            assert reader.jobs.find() == []
            with reader.engine.connect() as session:
                assert session.scalar(text("SHOW default_transaction_read_only")) == "on"


def test_what_a_standby_cannot_tell_is_waited_for(server):
    """A pooler may lead an open connection to a standby; currval before nextval fails alike."""
    with (
        open_database(server.empty_database(), 0.3) as repository,
        pytest.raises(DatabaseAwayError, match="currval"),
    ):
        statements(repository).ask("SELECT currval('job_events_id_seq')")
