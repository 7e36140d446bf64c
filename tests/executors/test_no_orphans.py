"""No worker outlives the run: not its closing, not Ctrl-C, not a SIGKILL of its parent."""

import os
import signal
import time

import pytest

from pipeline.executors.processes import Processes
from pipeline.executors.signs_of_life import started
from support import work


def eventually(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def announced(folder, number):
    """Process ids of that many workers that said they are busy."""
    eventually(lambda: len(list(folder.iterdir())) == number)
    return [int(mark.name) for mark in folder.iterdir()]


def gone(processes):
    return all(started(process) is None for process in processes)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", ["announce_and_sleep", "with_a_child"])
def test_workers_and_their_children_end_with_a_killed_parent(tmp_path, name, sent):
    with work.start_run("processes", name, tmp_path) as parent:
        workers = announced(tmp_path, 2)
        parent.send_signal(sent)
        parent.wait()
        eventually(lambda: gone(workers))


def test_an_interrupt_of_the_terminal_stops_the_workers_and_only_the_parent_speaks(tmp_path):
    with work.start_run("processes", "announce_and_sleep", tmp_path) as parent:
        workers = announced(tmp_path, 2)
        os.killpg(parent.pid, signal.SIGINT)  # as Ctrl-C does: to all processes of the terminal
        _, said = parent.communicate()
        assert gone(workers)
        assert parent.returncode == -signal.SIGINT
        assert said.count(b"KeyboardInterrupt") == 1


def test_closing_the_iterator_stops_the_workers():
    run = Processes(2, 0).run(work.count_calls, [], range(100))
    workers = {next(run).result[0] for _ in range(10)}
    assert not gone(workers)
    run.close()
    assert gone(workers)
