"""Work that executors are given in tests; workers import it by this name."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.executors.share import GPUS, cores


def multiply(factor: int, task: int, advance: Any) -> int:
    return factor * task


def nap_and_multiply(factor: int, task: int, advance: Any) -> int:
    time.sleep(0.01 * (task % 3))
    return factor * task


def refuse(shared: str, task: int, advance: Any) -> int:
    if task == 1:
        raise UserError("market.base must be letters; given: 'a1'.")
    if task == 2:
        raise ZeroDivisionError
    return task


def lambda_of(shared: None, task: int, advance: Any) -> Any:
    return lambda: task


def count_calls(shared: list[int], task: int, advance: Any) -> tuple[int, int]:
    """Process, and how many calls before had this very list."""
    shared.append(task)
    return os.getpid(), len(shared)


def share_of_machine(shared: None, task: int, advance: Any) -> tuple[int, int, str | None, int]:
    """Process, its cores, GPUs and Numba threads."""
    import numba

    time.sleep(0.2)  # long enough for the others to have a task too
    return os.getpid(), cores(), os.environ.get(GPUS), int(numba.config.NUMBA_NUM_THREADS)


def die_at_first(folder: str, task: int, advance: Any) -> int:
    """End at once where the task is odd, the first time it is tried."""
    return _signalled_at_first(folder, task, signal.SIGKILL)


def stop_at_first(folder: str, task: int, advance: Any) -> int:
    """Stop (SIGSTOP) where the task is odd, the first time it is tried."""
    return _signalled_at_first(folder, task, signal.SIGSTOP)


def _signalled_at_first(folder: str, task: int, number: int) -> int:
    mark = Path(folder, str(task))
    if task % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), number)
    return task


def stop_with_lock_at_first(database: str, task: int, advance: Any) -> int:
    """Stop (SIGSTOP) in a transaction at task 1, the first time it is tried; others wait for it."""
    folder = Path(database).parent
    while task != 1 and not (folder / "1").exists():
        time.sleep(0.01)
    if task != 1:
        return task
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        return _signalled_at_first(str(folder), task, signal.SIGSTOP)


def die(status: int, task: int, advance: Any) -> int:
    """End for good with task 1."""
    if task == 1:
        os._exit(status)
    return task


def tell_steps(folder: str, task: int, advance: Any) -> int:
    """Make a step for each number below the task; an odd one dies at its end the first time."""
    for _ in range(task):
        advance(1)
    return die_at_first(folder, task, advance)


def announce_and_sleep(folder: str, task: int, advance: Any) -> None:
    """Say which process is busy, then be busy."""
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)


def with_a_child(folder: str, task: int, advance: Any) -> None:
    """Be busy with a worker of one's own, as a sweep's worker that searches surrogates is."""
    from pipeline.executors.processes import Processes

    list(Processes(1, 0).run(announce_and_sleep, folder, [task]))


def start_run(executor: str, work: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process, leader of its group, that runs two tasks of ``work`` for ten minutes."""
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from support import work\n"
        "from support.work import make\n"
        f"for ended in make({executor!r}).run(work.{work}, {str(folder)!r}, [1, 2]):\n"
        "    print(ended)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], start_new_session=True, stderr=subprocess.PIPE
    )


def make(executor: str) -> Any:
    """Return the executor that the command line calls so, for two tasks at once."""
    from pipeline.config import TrainConfig, load
    from pipeline.executors import make_executor

    settings = {"processes": ["executor.workers=2"]}.get(executor, [])
    overrides = ["market=demo", f"executor={executor}", *settings]
    return make_executor(load(overrides, TrainConfig, "train").executor)


def note_node_and_nap(shared: str, task: int, advance: Any) -> str:
    """Return which node of a Ray cluster this is."""
    import ray

    time.sleep(0.3)
    return str(ray.get_runtime_context().get_node_id())


def announce_unless_first(folder: str, task: int, advance: Any) -> None:
    if task:
        announce_and_sleep(folder, task, advance)
