"""Runs that do not end by themselves: Ctrl-C, a kill, a kill at the worst moment."""

import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest

from pipeline.results.rows.configurations import Configurations
from pipeline.results.rows.jobs import Jobs
from support.own_strategy import own_file
from support.runs import (
    QUICK,
    ROOT,
    SMALL_GRID,
    ask,
    finish,
    interrupted_after,
    run,
    run_here,
    start,
)
from support.waiting import until

#: A search that would take an hour.
ENDLESS = (
    "market=demo_null",
    "market.timeframe=1h",
    "optimizer=bayesian",
    "optimizer.trials=10000",
    "optimizer.batch=5",
    "backend=numpy",  # starts sooner than Numba
)
QUICK_GRID = (*QUICK, *SMALL_GRID, "backend=numpy")


def until_searching(process, folder, patience=120):
    """Wait until the job of a process is in its search."""
    deadline = time.monotonic() + patience
    database = folder / "var/trainings.db"
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if database.exists():
            (job,) = ask(folder, lambda repository: repository.jobs.find()) or (None,)
            # Past its imports: CPython drops an interrupt in the callback of an import lock.
            if job is not None and job.stage_of_work == "search" and job.progress > 0:
                return job
        time.sleep(0.1)
    raise AssertionError("the search never began")


@pytest.fixture
def searching(tmp_path):
    """A run of our own in the middle of its search; killed when the test is over."""
    process = start(tmp_path, *ENDLESS)
    try:
        job = until_searching(process, tmp_path)
        yield process, job
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (signal.SIGINT, 130, "cancelled\n"),
        (signal.SIGTERM, 143, "if anything, is kept\n"),
    ],
)
def test_ctrl_c_and_sigterm_cancel(searching, tmp_path, sent, status, said):
    process, before = searching
    assert before.status == "running"
    process.send_signal(sent)
    finished = finish(process, tmp_path, timeout=60)
    assert finished.status == status
    assert finished.err.endswith(said)
    assert "Traceback" not in finished.err
    (job,) = finished.jobs
    assert (job.id, job.status, job.error) == (before.id, "cancelled", None)
    assert job.finished_at is not None
    assert finished.configurations == finished.artifacts == []


def looping(tmp_path, executor, where, caught):
    """Start a training of an own strategy that never returns; return its process in the loop."""
    path = own_file(tmp_path)
    endless = f"""\
        import sys, time
        if {where}:
            open("looping", "w").close()
        while {where}:
            try:
                time.sleep(0)
            except {caught}:
                open("caught", "a").write("x")
"""
    first = '        above, below = self._breaks(int(structural["entry_channel"]))\n'
    text = path.read_text("utf-8")
    assert text.count(first) == 1
    path.write_text(text.replace(first, endless + first), "utf-8")
    words = (*QUICK, "strategy=mine.py", "optimizer=grid", "backend=numpy", f"executor={executor}")
    process = start(tmp_path, *words)
    deadline = time.monotonic() + 120
    while not (tmp_path / "looping").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


@pytest.mark.parametrize(
    ("executor", "where", "caught"),
    [
        ("local", "True", "ZeroDivisionError"),
        ("processes", "sys.argv[0] == '-c'", "ZeroDivisionError"),
        ("processes", "sys.argv[0] == '-c'", "BaseException"),
    ],
    ids=["check for look-ahead", "worker", "worker that catches everything"],
)
def test_ctrl_c_ends_a_strategy_that_never_returns(tmp_path, executor, where, caught):
    process = looping(tmp_path, executor, where, caught)
    process.send_signal(signal.SIGINT)
    finished = finish(process, tmp_path, timeout=60)
    assert finished.status == 130
    *notes, said = finished.err.splitlines()
    assert said == "cancelled"
    assert all(note.startswith("backend: ") for note in notes)
    (job,) = finished.jobs
    assert (job.status, job.error) == ("cancelled", None)
    assert finished.configurations == finished.artifacts == []


def test_the_third_ctrl_c_ends_what_catches_everything(tmp_path):
    process = looping(tmp_path, "local", "True", "BaseException")
    caught = tmp_path / "caught"
    for number in (1, 2):
        process.send_signal(signal.SIGINT)
        until(lambda n=number: caught.exists() and caught.stat().st_size == n)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    process.communicate()
    (dead,) = ask(tmp_path, lambda repository: repository.jobs.reap())
    assert (dead.status, dead.id) == ("failed", ask(tmp_path, lambda r: r.jobs.find())[0].id)


def test_a_killed_run_is_found_at_the_next_start(searching, tmp_path):
    process, before = searching
    process.kill()
    assert finish(process, tmp_path, timeout=60).status == -signal.SIGKILL
    (job,) = ask(tmp_path, lambda repository: repository.jobs.find())
    assert job.status == "running"  # it could not say goodbye

    following = run_here(tmp_path, *QUICK_GRID)
    assert following.status == 0
    died = ask(tmp_path, lambda repository: repository.jobs.read(before.id))
    assert died.status == "failed"
    assert died.error.startswith(f"process {process.pid} on {socket.gethostname()} is gone;")
    assert "during search" in died.error
    assert (
        f"job {before.id} (synthetic:NOEDGE/USDT:1h) marked failed: {died.error}" in following.err
    )
    assert [job.status for job in ask(tmp_path, lambda repository: repository.jobs.find())] == [
        "completed",
        "failed",
    ]


def test_a_run_beside_a_living_one_leaves_it_alone(searching, tmp_path):
    _, before = searching
    assert run_here(tmp_path, *QUICK_GRID).status == 0
    assert ask(tmp_path, lambda repository: repository.jobs.read(before.id)).status == "running"


#: Replaces a function of the program by one that kills its own process.
KILL_AT = """\
import os, signal
import {module}
{module}.{name} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
from pipeline import train
from pipeline.cli import command
from pipeline.config import TrainConfig
command.run(train.main, TrainConfig, "train", "train")
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("pipeline.results.artifacts.artifact_set", "_write_trades"),  # half a folder
        ("pipeline.results.rows.chain", "begin"),  # all but the row
    ],
)
def test_killed_while_storing_leaves_no_configuration(tmp_path, module, name):
    killed = run(tmp_path, *QUICK_GRID, code=KILL_AT.format(module=module, name=name))
    assert killed.status == -signal.SIGKILL
    assert [(job.status, job.stage_of_work) for job in killed.jobs] == [("running", "storing")]
    assert killed.configurations == []
    assert list(tmp_path.glob("var/runs/*/*/result.json")) == []


@pytest.mark.parametrize(
    ("raised", "status", "job_status"),
    [(KeyboardInterrupt(), 130, "cancelled"), (RuntimeError("disk on fire"), 1, "failed")],
)
def test_a_row_that_cannot_be_written_takes_its_artifacts_along(
    tmp_path, monkeypatch, raised, status, job_status
):
    def fail(*_):
        assert len(list((tmp_path / "var/artifacts").iterdir())) == 1
        raise raised

    monkeypatch.setattr(Configurations, "save", fail)
    finished = run_here(tmp_path, *QUICK_GRID)
    assert finished.status == status
    assert [job.status for job in finished.jobs] == [job_status]
    assert finished.configurations == finished.artifacts == []


def test_a_fault_of_ours_is_1_and_in_the_row(tmp_path, monkeypatch):
    def disagree(*_):
        raise RuntimeError("the reference path trades otherwise")

    monkeypatch.setattr("pipeline.training.run.check_against_reference", disagree)
    finished = run_here(tmp_path, *QUICK_GRID)
    assert finished.status == 1
    assert finished.err.endswith("RuntimeError: the reference path trades otherwise\n")
    (job,) = finished.jobs
    assert job.error == "RuntimeError: the reference path trades otherwise"
    assert finished.artifacts == []


def test_a_reference_path_that_trades_otherwise_is_a_sentence(tmp_path, monkeypatch):
    """A strategy of one's own may be the cause."""
    compared = "pipeline.validation.walk_forward.compare_trades"
    monkeypatch.setattr(compared, lambda *_: ["entry: 1 and 2"])
    finished = run_here(tmp_path, *QUICK_GRID)
    assert (finished.status, finished.configurations, finished.artifacts) == (1, [], [])
    assert "Traceback" not in finished.err
    (job,) = finished.jobs
    assert job.error == finished.err.strip().splitlines()[-1]
    assert "entry: 1 and 2" in job.error
    assert "scripts/check" in job.error


def test_a_reader_that_leaves_early_is_told_by_the_status_alone(tmp_path):
    process = start(tmp_path, "--help")
    process.stdout.close()  # as `--help | head` does
    assert (process.stderr.read(), process.wait(timeout=60)) == ("", 1)
    process.stderr.close()


def test_a_reader_that_leaves_the_verdict_has_the_result(tmp_path):
    process = start(tmp_path, *QUICK_GRID)
    assert process.stdout.readline().startswith("SYNTHETIC")
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=60) == 1  # not all of it was read
    (job,) = ask(tmp_path, lambda repository: repository.jobs.find())
    assert job.status == "completed"
    assert len(list(tmp_path.glob("var/runs/*/*/result.json"))) == 1


@pytest.mark.parametrize("streams", [">/dev/full 2>/dev/full", "2>&-"])
def test_what_cannot_be_printed_costs_the_line_and_never_the_result(tmp_path, streams):
    words = [sys.executable, "-m", "pipeline.train", *QUICK_GRID]
    process = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert ("standard error" in process.stdout) == (streams == "2>&-")
    (job,) = ask(tmp_path, lambda repository: repository.jobs.find())
    assert (job.status, job.error) == ("completed", None)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_reader_that_leaves_at_any_moment_leaves_no_row_that_runs(tmp_path, seed):
    process = start(tmp_path, *QUICK_GRID)
    time.sleep(random.Random(seed).uniform(0, 4))
    process.stdout.close()
    process.stderr.close()
    process.wait(timeout=60)
    (job,) = ask(tmp_path, lambda repository: repository.jobs.find())
    assert job.status == "completed"
    assert len(ask(tmp_path, lambda repository: repository.configurations.find())) == 1


def test_an_interrupt_after_the_transaction_keeps_what_is_stored(tmp_path, monkeypatch):
    save = Configurations.save

    def save_then_interrupt(self, record):
        save(self, record)
        raise KeyboardInterrupt

    monkeypatch.setattr(Configurations, "save", save_then_interrupt)
    finished = run_here(tmp_path, *QUICK, *SMALL_GRID)
    assert finished.status == 130
    assert [job.status for job in finished.jobs] == ["completed"]
    (stored,) = finished.configurations
    assert [path.name for path in finished.artifacts] == [stored.id]


def test_artifacts_that_cannot_be_written_are_known_before_the_search(tmp_path):
    (tmp_path / "file").write_text("in the way")
    finished = run_here(tmp_path, *QUICK, *SMALL_GRID, "storage.artifacts=file/below")
    assert finished.status == 2
    assert "storage.artifacts: cannot write to file/below" in finished.err
    assert finished.jobs == []


@pytest.mark.parametrize("moment", ["create", "start"])
def test_ctrl_c_as_soon_as_the_job_is_stored_cancels_it(tmp_path, monkeypatch, moment):
    interrupted_after(monkeypatch, Jobs, moment)
    finished = run_here(tmp_path, *QUICK)
    assert finished.status == 130
    (job,) = ask(tmp_path, lambda repository: repository.jobs.find())
    assert (job.status, job.error) == ("cancelled", None)
