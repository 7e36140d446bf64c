"""Databases that go away: locked SQLite, stopped or frozen PostgreSQL, a file that is moved."""

import sqlite3
import threading
from contextlib import ExitStack, closing, contextmanager

import pytest

from pipeline.results.access import engines, silent_server
from pipeline.results.access.outages import Patience
from pipeline.results.database import open_database

#: Seconds after which an outage ends that nobody has ended.
LONGEST = 600.0


@contextmanager
def locked(path):
    """Hold a SQLite file locked."""
    lock = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
    with closing(lock):
        lock.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def stopped(stop, start):
    """Stop or freeze a PostgreSQL."""
    stop()
    try:
        yield
    finally:
        start()


@contextmanager
def hurry():
    """Have this process notice in a fifth of a second what takes five seconds elsewhere."""
    connect = silent_server.Silence._connect

    def within_a_second(self, parameters, since):
        return connect(self, parameters | {"connect_timeout": "1"}, since)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "BUSY_MS", 50)
        patch.setattr(silent_server, "SILENCE", 0.2)
        patch.setattr(silent_server, "LOOK", 0.2)
        patch.setattr(silent_server, "TRY_EVERY", 0.1)
        patch.setattr(silent_server.Silence, "_connect", within_a_second)
        yield


class Outage:
    """A database that can be away.

    ``url`` names it; ``holds()`` is a context in which it is away. This process is in a hurry for
    as long, and not longer: where a machine has much to do, a server that is there answers late.
    """

    def __init__(self, url, holds):
        self.url, self._holds = url, holds

    @contextmanager
    def away(self, seconds=LONGEST):
        """Begin an outage. The event that this yields ends it, as do so many seconds and the end
        of the context.
        """
        over, outage = threading.Event(), ExitStack()
        outage.enter_context(hurry())
        outage.enter_context(self._holds())

        def end_later():
            over.wait(seconds)
            outage.close()

        thread = threading.Thread(target=end_later)
        thread.start()
        try:
            yield over
        finally:
            over.set()
            thread.join()

    @contextmanager
    def until_said(self):
        """Begin an outage that ends once somebody who waits has said that nobody answers."""
        say_away = Patience.say_away

        def said(patience, error):
            say_away(patience, error)
            if patience.limit > 0:
                over.set()

        with self.away() as over, pytest.MonkeyPatch.context() as patch:
            patch.setattr(Patience, "say_away", said)
            yield over


@pytest.fixture(params=["sqlite", "postgresql", "frozen"])
def outage(request, tmp_path):
    """A database in the test's folder, or a server of its own that is ended or frozen."""
    if request.param == "sqlite":
        path = tmp_path / "var/trainings.db"
        return Outage(f"sqlite:///{path}", lambda: locked(path))
    server = request.getfixturevalue("own_server")
    frozen = request.param == "frozen"
    ends = (server.freeze, server.thaw) if frozen else (server.stop, server.start)
    return Outage(server.empty_database(), lambda: stopped(*ends))


#: For a test that takes more than three seconds where it meets a frozen server.
slow_if_frozen = pytest.mark.parametrize(
    "outage",
    ["sqlite", "postgresql", pytest.param("frozen", marks=pytest.mark.slow)],
    indirect=True,
)


@contextmanager
def again_and_again(outage, chance, longest, most=None):
    """Let a database go away for moments of at most so many seconds, for as long as this lasts.

    Or ``most`` times. Yields the list of the seconds of each.
    """
    over, outages = threading.Event(), []

    def disturb():
        while not over.is_set() and len(outages) != most:
            outages.append(chance.uniform(longest / 2, longest))
            with outage.away(outages[-1]):
                over.wait(outages[-1])
            over.wait(chance.uniform(0, 2 * longest))

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield outages
    finally:
        over.set()
        thread.join()


SPOILS = ("deleted", "replaced", "renamed")


def take_away(folder, how):
    """Take the default database of a folder away; return the URL at which a test can read it."""
    var, moved = folder / "var", folder / "moved"
    if how == "renamed":
        var.rename(moved)
    else:
        moved.mkdir()
        for path in var.glob("trainings.db*"):
            path.rename(moved / path.name)
    if how == "replaced":
        open_database(f"sqlite:///{var}/trainings.db").close()
    return f"sqlite:///{moved}/trainings.db"
