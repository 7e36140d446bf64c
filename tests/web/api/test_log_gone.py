"""Nobody reads the server's output any more, or nobody waits for an answer."""

import asyncio
import contextlib
import os
import signal
import sys

import httpx2 as httpx
import pytest
from starlette.requests import ClientDisconnect

from pipeline.cli.console import Console
from pipeline.results.database import open_database
from pipeline.web.api.guard import Departures
from support.serving import dispatcher, served, until


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_the_server_and_its_supervisor_go_on(tmp_path, record_property, rounds):
    record_property("tried", rounds)
    url = f"sqlite:///{tmp_path}/var/trainings.db"
    with served(tmp_path) as (process, address), open_database(url) as repository:
        process.stdout.close()
        process.stderr.close()
        first = until(lambda: dispatcher(repository))
        for _ in range(rounds):  # each is a line that nobody reads
            os.kill(first, signal.SIGKILL)
            first = until(lambda dead=first: follower(repository, dead))
        answer = httpx.get(f"{address}/api/health", timeout=60)
        assert (answer.status_code, answer.json()["reason"]) == (200, None)
        assert answer.json()["threads"] == {"supervisor": True, "event streams": True}
        assert process.poll() is None


def follower(repository, dead):
    """Process id of the dispatcher that followed another; None before."""
    pid = dispatcher(repository)
    return None if pid == dead else pid


def test_a_command_without_an_output_writes_nothing(monkeypatch):
    """``scripts/serve >&-``: Python has no standard output then."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    console = Console()
    console.print("nobody reads this")
    console.note("nor this")


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize(
    ("error", "of_leaving"),
    [
        (RuntimeError("No response returned."), True),
        (ClientDisconnect(), True),
        (RuntimeError("another"), False),
        (ValueError("x"), False),
    ],
)
def test_a_fault_of_an_answer_is_raised(error, of_leaving, left):
    async def application(scope, receive, send):
        await receive()
        raise error

    async def receive():
        return {"type": "http.disconnect" if left else "http.request"}

    ask = Departures(application)({"type": "http", "path": "/"}, receive, None)
    expected = contextlib.nullcontext() if left and of_leaving else pytest.raises(type(error))
    with expected:
        asyncio.run(ask)
