"""Databases that go away: locked SQLite, stopped or frozen PostgreSQL, a file that is moved."""

import sqlite3
import threading
from contextlib import contextmanager

import pytest

from pipeline.results import engines, silence
from pipeline.results.database import open_database


@contextmanager
def locked(path, seconds=60.0):
    """Hold a SQLite file locked, for so long or until the context ends."""
    over, holds = threading.Event(), threading.Event()

    def hold():
        lock = sqlite3.connect(path, isolation_level=None, timeout=30)
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


@contextmanager
def stopped(stop, start, seconds=60.0):
    """Stop or freeze a PostgreSQL, for so long or until the context ends."""
    stop()
    over = threading.Event()

    def start_later():
        over.wait(seconds)
        start()

    thread = threading.Thread(target=start_later)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Outage:
    """A database that can be away.

    ``url`` names it; ``away(seconds)`` begins an outage, which ends after so long or with the
    context.
    """

    def __init__(self, url, away):
        self.url, self.away = url, away


@pytest.fixture(params=["sqlite", "postgresql", "frozen"])
def outage(request, tmp_path, monkeypatch):
    """A database in the test's folder, or a server of its own that is ended or frozen.

    This process notices in a fifth of a second what takes five seconds elsewhere.
    """
    monkeypatch.setattr(engines, "BUSY_MS", 50)
    monkeypatch.setattr(silence, "SILENCE", 0.2)
    monkeypatch.setattr(silence, "LOOK", 0.2)
    monkeypatch.setattr(silence, "TRY_EVERY", 0.1)
    monkeypatch.setitem(engines.CONNECTION, "connect_timeout", "1")
    if request.param == "sqlite":
        path = tmp_path / "var/trainings.db"
        return Outage(f"sqlite:///{path}", lambda seconds=60.0: locked(path, seconds))
    server = request.getfixturevalue("own_server")
    frozen = request.param == "frozen"
    ends = (server.freeze, server.thaw) if frozen else (server.stop, server.start)
    return Outage(server.empty_database(), lambda seconds=60.0: stopped(*ends, seconds))


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
