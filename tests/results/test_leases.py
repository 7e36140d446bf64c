"""Who is alive: by the process table where it can be asked, else by silence as somebody saw it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import psutil
import pytest
from sqlalchemy import update

from pipeline.executors import signs_of_life
from pipeline.results.access import leases
from pipeline.results.access.leases import Owner, Watch, cause_of_death, read_owners
from pipeline.results.database import open_database
from pipeline.results.records import utc_now
from pipeline.results.tables.models import LeaseRow


def owner(**changes: object) -> Owner:
    """Return the lease of this process, with any of its fields changed."""
    fields: dict[str, object] = {
        "identity": "1",
        "place": leases.place(),
        "host": "box",
        "pid": os.getpid(),
        "started": signs_of_life.own_start(),
        "beat": 3,
        "renewed_at": utc_now(),
        "age": 0.0,
    }
    return Owner(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Monotonic time in seconds, which the test moves."""
    now = [1000.0]
    monkeypatch.setattr(signs_of_life, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_who_runs_here_lives_however_silent() -> None:
    assert cause_of_death(owner(age=1e9)) is None
    assert cause_of_death(owner(age=1e9), Watch(limit=0.0)) is None


def test_who_is_gone_here_is_dead_however_fresh_the_beat() -> None:
    assert cause_of_death(owner(started="0.01")) == f"process {os.getpid()} on box is gone"
    assert cause_of_death(owner(pid=2**22 + 1)) == f"process {2**22 + 1} on box is gone"


def test_the_same_ids_in_another_place_are_of_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two containers share host name and process ids, and see different process tables."""
    other = owner(pid=1, started="12.34")
    monkeypatch.setattr(leases, "place", lambda: "another container")
    assert cause_of_death(other) is None
    assert cause_of_death(owner(place="another container", pid=2**22 + 1)) is not None


def test_silence_is_counted_while_somebody_looks(clock: list[float]) -> None:
    watch, told = Watch(limit=20.0), []
    for _ in range(6):
        told.append(cause_of_death(owner(place="elsewhere"), watch))
        clock[0] += 5.0
    assert told[:4] == [None] * 4
    assert told[4] == f"process {os.getpid()} on box gave no sign of life for 20 s"


def test_a_beat_ends_the_silence(clock: list[float]) -> None:
    watch = Watch(limit=20.0)
    for beat in range(50):
        assert cause_of_death(owner(place="elsewhere", beat=beat // 3), watch) is None
        clock[0] += 5.0


def test_a_damaged_lease_is_given_the_time_of_a_beat(clock: list[float]) -> None:
    watch, damaged = Watch(limit=20.0), Owner("1", damage="The row of 1 cannot be read")
    causes = []
    for _ in range(4):
        causes.append(cause_of_death(damaged, watch))
        clock[0] += 10.0
    assert causes[:2] == [None, None]
    assert "The row of 1 cannot be read" in str(causes[2])


@pytest.mark.parametrize("seconds", [0.0, 899.0, 900.0])
def test_a_damaged_lease_is_waited_for_as_a_silent_one(seconds: float) -> None:
    damaged, silent = Owner("1", damage="no", age=seconds), owner(place="elsewhere", age=seconds)
    for one in (damaged, silent):
        assert (cause_of_death(one) is not None) is (seconds >= 900)


@pytest.mark.parametrize("ahead", [timedelta(seconds=60), timedelta(days=365)])
def test_a_beat_ahead_of_the_clock_is_silent_after_a_quarter_of_an_hour(
    url: str, ahead: timedelta
) -> None:
    """The clock of a machine was ahead, and the machine was booted again."""

    def set_age(age: timedelta) -> None:
        with repository.transaction() as session:
            late = update(LeaseRow).values(place="an earlier boot", renewed_at=utc_now() - age)
            session.execute(late)

    def look() -> Owner:
        with repository.transaction() as session:
            return read_owners(session, once=True)[identity]

    with open_database(url) as repository:
        with repository.transaction() as session:
            identity = repository.lease.hold(session)
        set_age(-ahead)
        for _ in range(2):
            seen = look()
            assert 0 <= float(str(seen.age)) < 5
            assert cause_of_death(seen) is None
        set_age(timedelta(seconds=901))
        assert cause_of_death(look()) is not None


def test_a_looker_that_was_away_blames_nobody(clock: list[float]) -> None:
    """Its machine was suspended, or its database was away, for an hour."""
    watch = Watch()
    assert cause_of_death(owner(place="elsewhere", age=0.0), watch) is None
    clock[0] += 3600.0
    assert cause_of_death(owner(place="elsewhere", age=3600.0), watch) is None


def test_who_is_stopped_here_is_dead_after_the_silence(
    clock: list[float], sleeper: subprocess.Popen[bytes]
) -> None:
    start = str(signs_of_life.started(sleeper.pid))
    frozen, watch = owner(pid=sleeper.pid, started=start, age=1e9), Watch(limit=5.0)
    assert cause_of_death(frozen) is None
    sleeper.send_signal(signal.SIGSTOP)
    while not signs_of_life.is_stopped(sleeper.pid):
        time.sleep(0.01)
    assert cause_of_death(frozen, watch) is None
    clock[0] += 5.0
    said = f"process {sleeper.pid} on box is stopped and gave no sign of life for 5 s"
    assert cause_of_death(frozen, watch) == said
    sleeper.send_signal(signal.SIGCONT)
    while signs_of_life.is_stopped(sleeper.pid):
        time.sleep(0.01)
    assert cause_of_death(frozen, watch) is None


def test_a_lease_beats_until_it_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs_of_life, "BEAT_EVERY", 0.05)

    def read() -> Owner | None:
        with watching.session() as session:
            return read_owners(session).get(repository.lease.identity)

    with open_database(url) as watching:
        with open_database(url) as repository:
            assert read() is None
            with repository.session() as session, session.begin():
                repository.lease.hold(session)
            first = read()
            assert first is not None
            assert (first.pid, first.beat) == (os.getpid(), 0)
            deadline = time.monotonic() + 120
            while (later := read()) is None or later.beat < 2:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert later.renewed_at is not None
            assert first.renewed_at is not None
            assert later.age is not None
            assert later.renewed_at > first.renewed_at
            assert 0.0 <= later.age < 60.0
            assert abs(utc_now() - later.renewed_at).total_seconds() < 60.0
        assert read() is None


def test_two_that_are_open_have_leases_of_their_own(url: str) -> None:
    with open_database(url) as one, open_database(url) as other:
        assert one.lease.identity != other.lease.identity
        for repository in (one, other):
            with repository.session() as session, session.begin():
                repository.lease.hold(session)
        other.lease.end()
        with one.session() as session:
            assert one.lease.identity in read_owners(session)
            assert other.lease.identity not in read_owners(session)


def test_a_place_is_a_boot_and_a_namespace() -> None:
    boot, namespace = leases.place().split(":")
    assert boot
    assert namespace.isdigit()


def test_a_start_that_is_told_apart() -> None:
    assert signs_of_life.started(os.getpid()) == signs_of_life.own_start()
    assert signs_of_life.started(2**22 + 1) is None  # above the kernel's largest process id


def test_a_clock_that_is_set_changes_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    before, booted = signs_of_life.started(os.getpid()), psutil.boot_time()
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted + 3600.0)
    assert psutil.boot_time() == booted + 3600.0
    assert signs_of_life.started(os.getpid()) == before
