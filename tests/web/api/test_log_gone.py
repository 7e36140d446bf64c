"""Nobody reads the server's output any more: `scripts/serve | head -1`, a closed terminal."""

import os
import signal
import sys

import httpx2 as httpx
import pytest

from pipeline.cli.console import Console
from pipeline.results.database import open_database
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
