"""A sweep on a Ray cluster of two nodes that loses a worker, or a whole node, on its way."""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from support.runs import finish
from support.sweeping import TINY, dump, run_sweep, start_sweep, tables

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
    # Ray's own files and sockets, closed when the interpreter feels like it.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WORDS = ("markets=*_1h,*_4h", *TINY)


@pytest.fixture
def cluster(monkeypatch):
    """A head that computes nothing, and two nodes of a core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    cluster.nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    yield cluster
    cluster.shutdown()


@pytest.fixture
def client_address(tmp_path):
    """Address of Ray's client server on a node of two cores, which ends with the test."""
    address, port = ("127.0.0.1", free_port())
    words = ("--head", "--block", f"--node-ip-address={address}", f"--port={free_port()}")
    words += (f"--ray-client-server-port={port}", "--num-cpus=2", "--include-dashboard=false")
    ray = Path(sys.executable).with_name("ray")
    folder = tempfile.mkdtemp(prefix="ray-")  # short: a socket's path has 107 characters
    with (tmp_path / "ray.log").open("wb") as log:
        head = subprocess.Popen(
            [ray, "start", *words, "--disable-usage-stats", f"--temp-dir={folder}"],
            stdout=log,
            stderr=log,
            env=os.environ | {"RAY_AUTH_MODE": "disabled"},
            start_new_session=True,
        )
    yield f"ray://{address}:{port}"
    os.killpg(head.pid, signal.SIGTERM)
    head.wait()
    shutil.rmtree(folder, ignore_errors=True)


def free_port():
    """A port below those that Ray deals out to its workers."""
    for port in random.sample(range(2000, 9000), 100):
        with socket.socket() as listening, contextlib.suppress(OSError):
            listening.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a hundred ports are taken")


def workers(folder):
    """Process ids of Ray's workers that work in the sweep's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program = (process / "cmdline").read_bytes()
            if program.startswith(b"ray::") and (process / "cwd").resolve() == folder.resolve():
                found.append(int(process.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.parametrize("lost", ["a worker", "a node"])
def test_a_sweep_on_ray_loses_nothing(tmp_path, cluster, server, monkeypatch, lost):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    undisturbed.mkdir()
    disturbed.mkdir()
    assert run_sweep(undisturbed, *WORDS, "executor=processes").status == 0
    url = server.empty_database()
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    ray = ("executor=ray", "executor.address=auto", "storage=postgresql")
    process = start_sweep(disturbed, *WORDS, *ray)
    end = time.monotonic() + 120
    while not (_done(disturbed, url) >= 2 and workers(disturbed)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    if lost == "a node":
        cluster.remove_node(cluster.nodes[0], allow_graceful=False)
    else:
        os.kill(random.Random(0).choice(workers(disturbed)), signal.SIGKILL)
    finished = finish(process, disturbed)
    assert finished.status == 0, finished.err
    assert _done(disturbed, url) == 12
    assert dump(disturbed, url) == dump(undisturbed)


def test_a_sweep_reaches_a_cluster_elsewhere(tmp_path, client_address, server, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    assert run_sweep(here, *WORDS, "executor=processes").status == 0
    url = server.empty_database()
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ray = ("executor=ray", f"executor.address={client_address}", "storage=postgresql")
    finished = run_sweep(there, *WORDS, *ray)
    assert finished.status == 0, finished.err
    assert dump(there, url) == dump(here)


def test_where_no_cluster_answers_the_sweep_is_left_for_the_next_command(
    tmp_path, server, monkeypatch
):
    url = server.empty_database()
    monkeypatch.setenv("DATABASE_URL", url)
    ray = ("executor=ray", "executor.address=ray://127.0.0.1:1", "storage=postgresql")
    finished = run_sweep(tmp_path, *WORDS, *ray)
    assert finished.status == 1
    assert "No Ray cluster can be reached with executor.address=ray://" in finished.err
    assert "12 of 12 trainings are left; the same command goes on with them" in finished.err
    (sweep,), markets, *_ = tables(tmp_path, url)
    assert sweep["status"] == "cancelled"
    assert {row["status"] for row in markets} == {"pending"}


def _done(folder, url):
    """Markets that are done by now; none before the tables are there."""
    try:
        return sum(row["status"] == "done" for row in tables(folder, url)[1])
    except Exception:  # the sweep is making the tables
        return 0
