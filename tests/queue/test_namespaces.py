"""Processes of two containers, which share host name and process ids, work on one database."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.results.database import open_database
from support import needs
from support.databases import JOB
from support.hurry import hurry

#: What a container runs: it owns a job, and reaps whatever it sees dead, in words on its output. It
#: is patient until it is told not to be: on a machine with other work, who lives may be silent.
_CONTAINER = """
import json, os, sys, threading, time
from pipeline.results.database import open_database
from pipeline.results.access.leases import Watch
url, job = sys.argv[1], json.loads(sys.argv[2])
with open_database(url) as repository:
    job_id = repository.jobs.create(**job)
    repository.jobs.start(job_id)
    print(json.dumps([job_id, os.getpid()]), flush=True)
    watch = Watch(600.0)
    def judge():
        if sys.stdin.readline():
            watch.limit = Watch().limit
    threading.Thread(target=judge, daemon=True).start()
    while True:
        for dead in repository.jobs.reap(watch):
            print(json.dumps([dead.id, dead.error]), flush=True)
        time.sleep(0.2)
"""

_UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20))]


@contextmanager
def container(url: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that sees no other process of this machine."""
    words = [*_UNSHARE, sys.executable, "-c", _CONTAINER, url, json.dumps(JOB)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> tuple[str, Any]:
    """Return the next thing that a container says: a job, and something about it."""
    assert process.stdout is not None
    job_id, said = json.loads(process.stdout.readline())
    return job_id, said


def judgement(process: subprocess.Popen[str]) -> tuple[str, Any]:
    """Have a container judge by the silence; return whom it has seen dead, and why."""
    print(file=process.stdin, flush=True)
    return told(process)


def ended(process: subprocess.Popen[str]) -> str:
    """Kill a container; return what it had said since."""
    process.kill()
    return process.communicate()[0]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose users give up on each other after 1.5 s."""
    if shutil.which("unshare") is None or subprocess.run([*_UNSHARE, "true"]).returncode != 0:
        needs.skip("this user may make no process-id namespace")
    hurry(tmp_path, monkeypatch, beat=0.1, silence=1.5)
    return f"sqlite:///{tmp_path}/trainings.db"


@pytest.mark.parametrize("seed", SEEDS)
def test_containers_reap_the_dead_of_each_other_and_leave_the_living_alone(
    url: str, seed: int
) -> None:
    chance = random.Random(seed)
    with open_database(url) as here, container(url) as one, container(url) as other:
        (first, pid), (second, same_pid) = told(one), told(other)
        assert pid == same_pid  # host name and process id are the same
        time.sleep(chance.uniform(0, 0.5))
        assert here.jobs.reap() == []
        dead, living = (one, other) if chance.random() < 0.5 else (other, one)
        dies, lives = (first, second) if dead is one else (second, first)
        assert ended(dead) == ""
        reaped, error = judgement(living)
        assert reaped == dies
        assert error.startswith(f"process {pid} on {os.uname().nodename} gave no sign of life for")
        assert here.jobs.read(lives).status == "running"
        if seed < 2:
            return
        with container(url) as again:  # it is started once more, and looks for itself
            fresh, _ = told(again)
            assert ended(living) == ""
            assert judgement(again)[0] == lives
            assert here.jobs.read(fresh).status == "running"
