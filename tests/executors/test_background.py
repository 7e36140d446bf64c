"""A thread that repeats something never dies unseen."""

import io
import os
import sys
import time

import pytest

from pipeline.executors import background
from pipeline.executors.background import repeated, tell


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(background, "AGAIN_AFTER", 0.01)


def until(answer):
    deadline = time.monotonic() + 30
    while not answer():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "error",
    [
        OSError("the disk is full"),
        SystemExit(1),
        MemoryError(),
        ValueError("locked\n[SQL: SELECT 1]"),
    ],
)
def test_an_action_that_raises_is_told_of_and_called_again(capsys, error):
    calls = []

    def action():
        calls.append(1)
        if len(calls) < 4:
            raise error
        return 0.01

    with repeated(action, 0.0, "watch") as pulse:
        until(lambda: len(calls) >= 6)
        assert pulse.error is None
        assert pulse.age < 30
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0].startswith(f"The thread watch failed ({type(error).__name__}: ")


def test_what_went_wrong_is_known_until_it_goes_well():
    def action():
        raise OSError("the disk is full")

    with repeated(action, 0.0, "watch") as pulse:
        until(lambda: pulse.error == "OSError: the disk is full")


def test_an_action_may_end_its_thread():
    calls = []
    with repeated(lambda: calls.append(1), 0.0, "watch"):
        until(lambda: calls)
        time.sleep(0.05)
    assert calls == [1]


@pytest.mark.parametrize("how", ["closed", "broken", "none"])
def test_where_nobody_reads_a_line_is_dropped(monkeypatch, how):
    if how == "broken":
        reader, writer = os.pipe()
        os.close(reader)
        stream = os.fdopen(writer, "w", buffering=1)
    else:
        stream = io.StringIO() if how == "closed" else None
    if how == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    tell("nobody hears this")
    if how == "broken":
        with pytest.raises(BrokenPipeError):
            stream.close()
