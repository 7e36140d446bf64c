"""The kill drill: SIGKILL at random moments leaves a database that goes on as if nothing had been.

In two worker processes; what dies is the sweep itself, in every other drill one of its workers. Two
drills over six markets in every run of the tests; by hand eighteen over 24 markets, of invented
candles and of real ones where they are at hand.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from pipeline.results.rows.sweeps import Sweeps
from support.documents import ROOT
from support.runs import finish, interrupted_after
from support.sweeping import TINY, dump, run_sweep, start_sweep, sweep_here, tables

SHARED = (ROOT / "../shared/data").resolve()
WORKERS = ("executor=processes", "executor.workers=2")
FEW = ("markets=*_1h", *WORKERS, *TINY)
#: The same without processes to start.
HERE = ("markets=*_1h", "executor=local", *TINY)
INVENTED = ("markets=all", *WORKERS, *TINY)
REAL = (
    "markets=all",
    *WORKERS,
    *("data=file", "data.since=2024-02-01", "data.until=2024-04-01", *TINY[3:]),
    f"data.path={SHARED}/binance_${{market.base}}-USDT_${{market.timeframe}}_2024-01_2024-09.parquet",
)
DRILLS = [pytest.param(n, marks=[] if n < 2 else pytest.mark.slow) for n in range(20)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Dump and seconds of a sweep that nobody kills, by its words."""
    known = {}

    def run(words):
        if words not in known:
            folder = tmp_path_factory.mktemp("undisturbed")
            start = time.monotonic()
            finished = sweep_here(folder, *HERE) if words is FEW else run_sweep(folder, *words)
            assert finished.status == 0, finished.err
            known[words] = dump(folder), time.monotonic() - start
        return known[words]

    return run


def workers(process):
    """Process ids of a sweep's workers."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.exists():
        pytest.skip("this system does not list the children of a process")
    return [int(pid) for pid in listed.read_text().split()]


def wait_for_workers(process, folder):
    """Wait until a market is being trained."""
    while process.poll() is None:
        if (folder / "var/trainings.db").exists() and workers(process):
            return
        time.sleep(0.02)


@pytest.mark.parametrize("drill", DRILLS)
def test_a_kill_changes_nothing(tmp_path, undisturbed, drill):
    of_a_worker = drill % 2 == 1
    words = FEW if drill < 2 else REAL if drill % 4 >= 2 else INVENTED
    if words is REAL and not SHARED.exists():
        pytest.skip("no real candles here")
    expected, seconds = undisturbed(words)
    chance = random.Random(drill)
    process = start_sweep(tmp_path, *words)
    wait_for_workers(process, tmp_path)
    time.sleep(chance.uniform(0, 2.0 if words is FEW else 0.7 * seconds))
    if process.poll() is None:
        victims = workers(process) if of_a_worker else [process.pid]
        if victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
    finished = finish(process, tmp_path)
    if finished.status == -signal.SIGKILL:  # while its workers may still be at work
        finished = sweep_here(tmp_path, *HERE) if words is FEW else run_sweep(tmp_path, *words)
    assert finished.status == 0, finished.err
    assert dump(tmp_path) == expected


def test_ctrl_c_stops_the_workers_and_the_next_run_goes_on(tmp_path, undisturbed):
    process = start_sweep(tmp_path, *FEW)
    wait_for_workers(process, tmp_path)
    while "done" not in {row["status"] for row in tables(tmp_path)[1]}:
        time.sleep(0.05)
    children = workers(process)
    process.send_signal(signal.SIGINT)
    finished = finish(process, tmp_path, timeout=120)
    assert finished.status == 130
    assert finished.err.endswith("cancelled\n")
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    (sweep,), markets, jobs, *_ = tables(tmp_path)
    assert sweep["status"] == "cancelled"
    assert {row["status"] for row in markets} <= {"done", "pending"}
    assert {job["status"] for job in jobs} <= {"completed", "cancelled"}
    kept = {row["job_id"]: row["configuration_id"] for row in markets if row["status"] == "done"}
    assert sweep_here(tmp_path, *HERE).status == 0
    after = {row["job_id"]: row["configuration_id"] for row in tables(tmp_path)[1]}
    assert kept.items() <= after.items()
    assert dump(tmp_path) == undisturbed(FEW)[0]


def test_ctrl_c_as_soon_as_the_sweep_is_stored_releases_it(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupted_after(patch, Sweeps, "begin")
        assert sweep_here(tmp_path, *HERE).status == 130
    (sweep,), markets, jobs, *_ = tables(tmp_path)
    assert sweep["status"] == "cancelled"
    assert {row["status"] for row in markets} == {"pending"}
    assert {job["status"] for job in jobs} == {"cancelled"}
    assert sweep_here(tmp_path, *HERE).status == 0
    ((ended, begun),) = [(row["status"], row["id"]) for row in tables(tmp_path)[0]]
    assert (ended, begun) == ("completed", sweep["id"])
