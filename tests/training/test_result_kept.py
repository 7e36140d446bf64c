"""A result is kept as files before it is stored, whatever then stops that."""

import errno
import os
import re
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest

from pipeline import store
from pipeline.config import StorageConfig, typed
from pipeline.errors import full_disk
from pipeline.training import job, storing
from support.runs import QUICK, SMALL_GRID, ask, run, run_here
from support.stored import command

QUICK_GRID = (*QUICK, *SMALL_GRID, "backend=numpy")  # which starts sooner


def kept(finished):
    """The words of the command that a run names for its result."""
    assert finished.status == 1, finished.err
    assert "Traceback" not in finished.err
    assert finished.configurations == []
    (words,) = re.findall(r"The result is kept: scripts/store (.+) stores it\.", finished.err)
    return words.split()


#: Replaces the last step of storing by one in which the process is sent a signal.
WHILE_STORING = """\
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, and a command leaves that so
from pipeline.training import storing
storing._write = lambda *_: (os.kill(os.getpid(), {sent}), time.sleep(60))
from pipeline import train
from pipeline.cli import command
from pipeline.config import TrainConfig
command.run(train.main, TrainConfig, "train", "train")
"""


@pytest.mark.parametrize(
    ("sent", "status", "left"),
    [(signal.SIGHUP, 143, "cancelled"), (signal.SIGKILL, -9, "running")],
)
def test_a_process_that_ends_while_it_stores_leaves_its_result(tmp_path, sent, status, left):
    ended = run(tmp_path, *QUICK_GRID, code=WHILE_STORING.format(sent=int(sent)))
    assert (ended.status, ended.configurations) == (status, [])
    assert [one.status for one in ended.jobs] == [left]
    (folder,) = tmp_path.glob("var/runs/*/*/unstored")
    assert command(store, tmp_path, str(folder.parent)).status == 0
    assert [one.status for one in ask(tmp_path, lambda one: one.jobs.find())] == ["completed"]
    assert len(ended.configurations) == len(ended.artifacts) == 1


def test_what_is_stored_is_kept_no_more(tmp_path, monkeypatch):
    write, before = storing._write, []

    def seen(*arguments):
        before.extend(tmp_path.glob("var/runs/*/*/unstored/SHA256SUMS"))
        write(*arguments)

    monkeypatch.setattr(storing, "_write", seen)
    assert run_here(tmp_path, *QUICK_GRID).status == 0
    assert len(before) == 1
    assert list(tmp_path.glob("var/**/*unstored*")) == []


def after_training(monkeypatch, act):
    """Have something happen between the search and the storing."""
    train = job.train

    def and_then(*arguments):
        trained = train(*arguments)
        act()
        return trained

    monkeypatch.setattr(job, "train", and_then)


@pytest.mark.parametrize("spoil", ["file", "link"])
def test_artifacts_that_cannot_be_written_leave_the_result_in_the_folder_of_the_run(
    tmp_path, monkeypatch, spoil
):
    root = tmp_path / "place"

    def spoilt():
        shutil.rmtree(root)
        root.write_text("") if spoil == "file" else root.symlink_to("nowhere/at/all")

    after_training(monkeypatch, spoilt)
    finished = run_here(tmp_path, *QUICK_GRID, "storage.artifacts=place")
    folder, *words = kept(finished)
    assert words == ["storage.artifacts=place"]
    assert [one.status for one in finished.jobs] == ["failed"]
    root.unlink()
    assert command(store, tmp_path, folder, *words).status == 0
    assert [path.name for path in root.iterdir()] == [finished.configurations[0].id]


def test_a_full_disk_of_artifacts_leaves_the_result_and_asks_for_no_second_run(
    tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    write = storing.write_artifacts

    def write_full(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.results.artifacts.artifact_set._write_trades", full)
            return write(*arguments)

    monkeypatch.setattr(storing, "write_artifacts", write_full)
    finished = run_here(tmp_path, *QUICK_GRID)
    assert "run this again" not in finished.err
    assert finished.artifacts == []
    assert command(store, tmp_path, *kept(finished)).status == 0
    assert len(finished.artifacts) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_result_file_that_cannot_be_written_costs_no_verdict(tmp_path, monkeypatch, number):
    def refuse(path, *_):
        raise full_disk(OSError(number, ""), path) or OSError(number, os.strerror(number), path)

    monkeypatch.setattr("pipeline.training.record.replace_text", refuse)
    finished = run_here(tmp_path, *QUICK_GRID)
    assert (finished.status, [one.status for one in finished.jobs]) == (1, ["completed"])
    assert f"Stored as {finished.configurations[0].id}" in finished.out
    (said,) = re.findall("The verdict above is stored, .*", finished.err)
    assert "result.json" in said
    assert os.strerror(number) in said or "takes no more" in said
    assert "run this again" not in said
    assert "Traceback" not in finished.err


@pytest.mark.parametrize("spoil", ["gone", "file"])
def test_a_folder_of_runs_that_goes_too_costs_no_result(tmp_path, monkeypatch, spoil):
    write, runs = storing.write_artifacts, tmp_path / "var/runs"

    def spoilt(*arguments):
        shutil.rmtree(runs)
        if spoil == "file":
            runs.write_text("")
        for path in (tmp_path / "var").glob("trainings.db*"):
            path.unlink()
        return write(*arguments)

    monkeypatch.setattr(storing, "write_artifacts", spoilt)
    finished = run_here(tmp_path, *QUICK_GRID)
    (folder,) = re.findall(r"The result is kept: scripts/store (\S+) stores it\.", finished.err)
    assert folder.startswith("var/runs" if spoil == "gone" else "var/artifacts/unstored")
    assert command(store, tmp_path, folder).status == 0
    assert len(finished.configurations) == 1


def marked(tmp_path, status, error):
    """Another process ends every job that runs."""
    with closing(sqlite3.connect(tmp_path / "var/trainings.db")) as database, database:
        database.execute("UPDATE training_jobs SET status = ?, error = ?", (status, error))


@pytest.mark.parametrize("moment", ["search", "storing"])
def test_a_job_that_another_process_took_for_dead_keeps_its_result(tmp_path, monkeypatch, moment):
    if moment == "storing":
        after_training(monkeypatch, lambda: marked(tmp_path, "failed", "no sign of life"))
    else:
        start = job.note_another_text
        monkeypatch.setattr(
            job,
            "note_another_text",
            lambda *words: (marked(tmp_path, "failed", "no sign of life"), start(*words)),
        )
    finished = run_here(tmp_path, *QUICK_GRID)
    words = kept(finished)
    assert "Another process marked this job failed: no sign of life." in finished.err
    assert command(store, tmp_path, *words).status == 0
    assert [one.status for one in finished.jobs] == ["completed"]


def test_a_job_that_was_cancelled_elsewhere_ends_in_a_sentence(tmp_path, monkeypatch):
    start = job.note_another_text
    monkeypatch.setattr(
        job,
        "note_another_text",
        lambda *words: (marked(tmp_path, "cancelled", None), start(*words)),
    )
    finished = run_here(tmp_path, *QUICK_GRID)
    assert finished.status == 1
    assert finished.err.splitlines()[-1] == "Another process marked this job cancelled."
    assert [one.status for one in finished.jobs] == ["cancelled"]


@pytest.mark.parametrize(
    ("url", "artifacts", "words"),
    [
        ("sqlite:///var/trainings.db", "var/artifacts", ""),
        ("sqlite:///a.db", "b", " storage.url=sqlite:///a.db storage.artifacts=b"),
        (
            "postgresql://me@host/db",
            "b {c}",
            """ storage.url=postgresql://me@host/db "storage.artifacts='b {c}'\"""",
        ),
        ("postgresql://me:secret@host/db", "var/artifacts", " storage.url=..."),
    ],
)
def test_a_place_on_another_command_line_shows_no_password(url, artifacts, words):
    places = StorageConfig(url=url, artifacts=artifacts, patience=1).places
    assert typed("scripts/store", "a run", **places) == f"scripts/store 'a run'{words}"
