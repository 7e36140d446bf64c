"""A process is killed between sending and marking, and several send at once: nothing is lost."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from pipeline.notices.sender import sending
from pipeline.results.database import open_database
from pipeline.results.tables.live_models import LiveEvent

SERVICE = """
import sys, time
from pipeline.config import NotifyConfig
from pipeline.notices import sender
from pipeline.results.database import open_database
sender.LOOK_EVERY = 0.02
with open_database(sys.argv[1]) as repository:
    config = NotifyConfig(events=["enter"], secrets=None)
    with sender.sending(repository, config, lambda text: print(text, flush=True)):
        sys.stdin.read()
"""


@pytest.fixture
def service(url):
    """Start processes that send; those that are left end with the test."""
    running = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", SERVICE, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def note(repository, count, kind="enter"):
    repository.live.note(LiveEvent(kind, f"number {n}") for n in range(count))


def waiting(repository):
    return sum(state.waiting for state in repository.outbox.states())


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.drill
def test_a_kill_between_sending_and_marking_loses_nothing(repository, config, hook, service):
    process = service()
    until(lambda: repository.outbox.states())
    kills = []

    def answer(request):
        if len(hook.requests) == 1:
            kills.append(request.headers["webhook-id"])
            process.send_signal(signal.SIGKILL)
            process.wait()
        return 200

    hook.answer = answer
    note(repository, 6)
    until(lambda: process.poll() is not None)
    assert waiting(repository) in range(1, 6)
    with sending(repository, config, print):
        until(lambda: waiting(repository) == 0)
    texts = {request.message["text"] for request in hook.requests}
    assert texts == {f"number {n}" for n in range(6)}
    assert len(set(hook.ids)) == 6, "a message that comes twice has its id"
    assert hook.ids[1:3] == kills * 2, "the one that was not marked comes first"
    assert len(hook.ids) == 7


def test_three_that_send_at_once_send_everything_once(url, repository, config, hook):
    seen = set()
    overlaps, now = [], threading.Lock()

    def answer(request):
        overlaps.append(not now.acquire(blocking=False))
        time.sleep(0.002)
        if not overlaps[-1]:
            now.release()
        seen.add(request.headers["webhook-id"])
        return 200

    hook.answer = answer
    others = [open_database(url) for _ in range(2)]
    try:
        with sending(repository, config, print):
            until(lambda: repository.outbox.states())
            with sending(others[0], config, print), sending(others[1], config, print):
                for _ in range(5):
                    note(repository, 4)
                    time.sleep(0.05)
                until(lambda: len(hook.requests) >= 20 and waiting(repository) == 0)
    finally:
        for other in others:
            other.close()
    assert len(hook.ids) == len(seen) == 20
    assert not any(overlaps), "one at a time"


def test_who_is_next_goes_on_when_the_first_has_ended(url, repository, config, hook):
    with open_database(url) as other:
        with sending(other, config, print):
            until(lambda: repository.outbox.states())
            note(repository, 1)
            hook.wait(1)
            until(lambda: waiting(repository) == 0)
            with sending(repository, config, print):
                time.sleep(0.1)
                hook.answer = lambda request: 503
                note(repository, 1)
                hook.wait(2)
                hook.answer = lambda request: 200
        with sending(repository, config, print):
            note(repository, 1)
            until(lambda: waiting(repository) == 0)
    assert len(set(hook.ids)) == 3
