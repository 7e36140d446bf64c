"""A PostgreSQL whose connections stay open without an answer, and one that only takes long."""

import os
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pipeline.errors import DatabaseAwayError, UserError
from pipeline.results.access import silent_server
from pipeline.results.access.outages import Tables, waits
from pipeline.results.database import Repository, open_database
from support.outages import Outage, hurry, stopped

pytestmark = pytest.mark.drill


@pytest.fixture
def frozen(own_server):
    """A server that can be frozen."""
    return Outage(own_server.empty_database(), lambda: stopped(own_server.freeze, own_server.thaw))


@contextmanager
def patient(url, limit, *tell):
    """Open a database of a server that lives, and look after it when it is silent for a moment."""
    with open_database(url, limit, *tell) as repository, pytest.MonkeyPatch.context() as patch:
        patch.setattr(silent_server, "SILENCE", 0.1)
        patch.setattr(silent_server, "LOOK", 60.0)
        yield repository


class Said(list):
    """What a command says, and the event of its first sentence."""

    def __init__(self):
        self.first = threading.Event()

    def __call__(self, sentence):
        self.append(sentence)
        self.first.set()

    def then(self, action):
        """Do something in a thread once it has said a sentence."""

        def wait():
            self.first.wait(60)
            action()

        thread = threading.Thread(target=wait)
        thread.start()
        return thread


#: A statement works as long as another session keeps a lock that it does not wait for.
_WORKS = """
WITH RECURSIVE work(is_done, pause) AS (
    SELECT pg_try_advisory_xact_lock(7), pg_sleep(0.01)::text
    UNION ALL SELECT pg_try_advisory_xact_lock(7), pg_sleep(0.01)::text FROM work WHERE NOT is_done
) SELECT 7 FROM work WHERE is_done
"""


class Statements(Tables):
    """Statements that wait for their database."""

    @waits
    def ask(self, statement):
        with self._sessions() as session:
            return session.scalar(text(statement))


def statements(repository):
    return Statements(repository._sessions)


@pytest.mark.parametrize(
    ("lock", "statement", "answer"),
    [
        ("SELECT pg_advisory_xact_lock(7)", _WORKS, 7),
        ("LOCK TABLE training_jobs", "SELECT count(*) FROM training_jobs", 0),
    ],
    ids=["works", "waits for a lock"],
)
def test_a_server_that_lives_may_take_long(server, lock, statement, answer):
    said = Said()
    with (
        patient(server.empty_database(), 600, said) as repository,
        repository.engine.begin() as other,
    ):
        other.execute(text(lock))
        later = said.then(other.commit)
        assert statements(repository).ask(statement) == answer
        later.join()
    away, back = said
    assert away.startswith("The database does not answer: the server has not answered for ")
    assert back.startswith("The database answers again after ")


def test_a_lock_is_waited_for_as_long_as_the_command_is_patient(server, monkeypatch):
    monkeypatch.setattr(silent_server, "LONGEST", 0.3)
    with patient(server.empty_database(), 0.5) as repository:
        began = time.monotonic()
        with pytest.raises(DatabaseAwayError, match=r"^The database did not answer for 0\.5 s: "):
            statements(repository).ask("SELECT pg_sleep(600)")
        assert 0.5 <= time.monotonic() - began < 60


def test_a_frozen_server_is_away_and_comes_back(frozen, example_job):
    said = []
    with open_database(frozen.url, 600, said.append) as repository:
        with frozen.until_said():
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
    with frozen.away(), pytest.raises(UserError, match=r"the server has not answered for \d\d? s"):
        open_database(frozen.url, 600)


def test_many_that_do_not_wait_are_answered_soon(frozen, monkeypatch):
    """Thirty at once, of a pool of fifteen connections: the second half asks nobody."""
    with open_database(frozen.url) as repository:
        ends = []

        def ask():
            with pytest.raises(DBAPIError):
                repository.jobs.find()
            ends.append(time.monotonic())

        threads = [threading.Thread(target=ask) for _ in range(30)]
        with frozen.away():
            monkeypatch.setattr(silent_server, "TRY_EVERY", 600.0)
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(ends) == 30
        assert max(ends) - began < 25  # half a minute is how long the pool would have them wait


@pytest.mark.parametrize("before", [True, False])
def test_a_commit_whose_answer_is_frozen_is_not_done_twice(
    frozen, example_job, example, monkeypatch, before
):
    with open_database(frozen.url, 600) as repository:
        job_id = repository.jobs.create(**example_job)
        repository.jobs.start(job_id)
        dialect, once = repository.engine.dialect, iter([True])
        commit = dialect.do_commit

        def do_commit(connection):
            if not next(once, False):
                return commit(connection)
            if not before:
                commit(connection)
            with frozen.away():
                connection.cursor().execute("COMMIT")
                raise AssertionError("it was frozen")

        monkeypatch.setattr(dialect, "do_commit", do_commit)
        repository.configurations.save(example(job_id))
        told = [e.payload for e in repository.jobs.events() if e.kind == "status"]
        assert [one["status"] for one in told] == ["pending", "running", "completed"]
        assert len(repository.configurations.find()) == 1


def test_ctrl_c_ends_the_wait_at_once(server):
    said = Said()
    with patient(server.empty_database(), 600, said) as repository:
        began = time.monotonic()
        said.then(lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            statements(repository).ask("SELECT pg_sleep(600)")
        assert time.monotonic() - began < 50
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
    return url.split("?")[0].replace("@/", f"@127.0.0.1:{port}/")


def test_a_network_that_drops_what_is_sent(server, example_job):
    url, said = server.empty_database(), Said()
    with (
        network(f"{server.folder}/.s.PGSQL.5432") as (port, drops),
        open_database(at(port, url), 600, said) as repository,
    ):
        first = repository.jobs.create(**example_job)
        drops.set()
        with hurry():
            said.then(drops.clear)
            second = repository.jobs.create(**example_job)
        assert {one.id for one in repository.jobs.find()} == {first, second}


def test_an_address_that_does_not_answer_is_passed_over(server, monkeypatch):
    kept = []  # a minute passes with each

    def accept(listening):
        with suppress(OSError):  # closed at the end of the test
            while True:
                peer, _ = listening.accept()
                peer.recv(1)  # who asks has looked at the clock
                kept.append(peer)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 60.0 * len(kept))
    monkeypatch.setattr(silent_server, "time", clock)
    monkeypatch.setattr(silent_server, "SILENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=accept, args=[silent], daemon=True).start()
        first = f"host=127.0.0.1:{silent.getsockname()[1]}"
        url = server.empty_database().replace("?", f"?{first}&") + ":5432&connect_timeout=60"
        with open_database(url) as repository:
            assert isinstance(repository, Repository)
            assert repository.jobs.find() == []
            assert kept
        for one in kept:
            one.close()


def test_a_pooler_that_remembers_a_standby_is_not_believed(server, example_job):
    """pgbouncer repeats to a new session what the server said when they first met."""

    def remembered(said):
        return said.replace(b"\x17in_hot_standby\0off\0", b"\x16in_hot_standby\0on\0")

    url = server.empty_database()
    with (
        network(f"{server.folder}/.s.PGSQL.5432", remembered) as (port, _),
        open_database(at(port, url), 20) as repository,
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
