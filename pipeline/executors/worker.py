"""Start a worker process, hand it tasks, and answer them in it.

It is started as a program of its own, so its environment is its own from the first import, and
nothing of the parent's main module is run again. Tasks and answers cross a connection that is also
the lifeline: a thread does nothing but read it, so as soon as the parent closes it or is killed,
the worker ends, busy or not.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic

from pipeline.executors import signs_of_life
from pipeline.executors.background import repeated, tell
from pipeline.executors.base import Attempt, T, do_task, in_words

if TYPE_CHECKING:
    from gpu_engine import Advance

#: Seconds between two looks whether a worker is stopped.
LOOK_EVERY = 1.0

#: A worker finds what its parent finds.
_PROGRAM = """
import sys
sys.path[:] = {path!r}
from pipeline.cli.early import collect_seldom
collect_seldom()
from pipeline.executors.worker import serve
serve({connection})
"""


class Worker(Generic[T]):
    """A process that does one task at a time.

    Parameters
    ----------
    start : bytes
        Pickled: the work and what it shares.
    environment : mapping
        Variables that differ from this process's.
    """

    def __init__(self, start: bytes, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs, _interrupts_held():
            program = _PROGRAM.format(path=sys.path, connection=theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                env=os.environ | environment,
                pass_fds=[theirs.fileno()],
            )
        self.connection: Connection[Any, Any] = Connection(ours.detach())
        self.has: Attempt[T] | None = None
        self._silence, self._looks = signs_of_life.Silence(), 0
        self._why = ""
        self._send(start)

    def take(self, attempt: Attempt[T]) -> None:
        """Begin with a task."""
        self.has = attempt
        self._send(pickle.dumps(attempt.task))

    def answer(self) -> tuple[Attempt[T], tuple[Any, str | None] | int | None]:
        """Wait for a word on its task.

        The task, and its result and error, or how many more steps of it have been made, or None
        where the worker died.
        """
        attempt = self.has
        assert attempt is not None, "only a worker with a task is asked"
        try:
            word = pickle.loads(self.connection.recv_bytes())
        except (EOFError, ConnectionError):
            word = None
        if not isinstance(word, int):
            self.has = None
        return attempt, word

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def is_stopped(self) -> bool:
        """Whether the process does nothing (SIGSTOP)."""
        return signs_of_life.is_stopped(self.pid)

    @property
    def was_frozen(self) -> bool:
        """Whether `end_if_frozen` has killed it."""
        return self._why != ""

    def end_if_frozen(self) -> None:
        """Look once more, and kill the process if it has been stopped for too long.

        `answer` then finds it dead.
        """
        self._looks += 1
        silence = self._silence.look("stopped" if self.is_stopped else self._looks)
        if silence >= signs_of_life.SILENCE:
            self._why = f", after it had given no sign of life for {signs_of_life.SILENCE:g} s"
            self._process.kill()

    def stop(self) -> str:
        """End the process if it still runs, stopped or not; return how it ended."""
        self.connection.close()
        self._process.kill()
        status = self._process.wait()
        return (
            f"by {signal.Signals(-status).name}{self._why}"
            if status < 0
            else f"with status {status}"
        )

    def _send(self, message: bytes) -> None:
        with suppress(ConnectionError):  # it died: its answer will say so
            self.connection.send_bytes(message)


@contextmanager
def supervision(workers: Mapping[int, Worker[Any]]) -> Iterator[None]:
    """Kill each of ``workers`` that is stopped for too long, and all when the context ends.

    A thread looks at them: their parent may wait for its database, which one of them has locked.
    """

    def look() -> float:
        for worker in list(workers.values()):
            worker.end_if_frozen()
        return LOOK_EVERY

    try:
        with repeated(look, LOOK_EVERY, "that ends stopped workers"):
            yield
    finally:
        for worker in workers.values():
            worker.stop()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold interrupts back for a moment, and for good in the process started meanwhile.

    Ctrl-C reaches all processes of a terminal, and what it means is the parent's to decide: a
    process inherits what was held back when it started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class TaskRunner:
    """Answers tasks, all in pickled form, so that values cross to every kind of worker alike.

    Parameters
    ----------
    start : bytes
        The work and what it shares; unpickled once and kept.
    """

    def __init__(self, start: bytes) -> None:
        self._start = start
        self._begun: tuple[Any, Any] | None = None

    def prepare(self) -> None:
        """Import what the work needs before there is a task. What fails now fails again with it."""
        with suppress(Exception):
            self._begun = pickle.loads(self._start)

    def answer(self, task: bytes, advance: Advance) -> bytes:
        """Return result and error of a task, one of them None; ``advance`` hears of its steps."""
        try:
            self._begun = self._begun or pickle.loads(self._start)
            work, shared = self._begun
            return pickle.dumps(do_task(work, shared, pickle.loads(task), advance))
        except Exception as error:  # something that cannot be pickled, or not be imported here
            return pickle.dumps((None, in_words(error)))


def serve(file_descriptor: int) -> None:
    """Answer what comes in: work and what it shares once, then tasks; end with the connection."""
    os.set_inheritable(file_descriptor, False)
    connection: Connection[Any, Any] = Connection(file_descriptor)
    received: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=(connection, received), daemon=True).start()
    answering = TaskRunner(received.get())
    answering.prepare()

    def advance(steps: int) -> None:
        connection.send_bytes(pickle.dumps(steps))

    while True:
        connection.send_bytes(answering.answer(received.get(), advance))


def _receive(connection: Connection[Any, Any], received: SimpleQueue[bytes]) -> None:
    status = 0
    try:
        while True:
            received.put(connection.recv_bytes())
    except (EOFError, OSError):
        pass  # the parent has closed it, or is dead
    except BaseException as error:
        status = 1
        tell(f"A worker cannot read what it is to do ({in_words(error)}) and ends.")
    finally:
        os._exit(status)  # the whole process: sys.exit would end this thread
