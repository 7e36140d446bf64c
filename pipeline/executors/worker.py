"""A worker process, as its parent holds it.

It is started as a program of its own, so its environment is its own from the first import, and
nothing of the parent's main module is run again.
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
from typing import Any, Generic

from pipeline.executors.base import Attempted, T

#: A worker finds what its parent finds.
_PROGRAM = """
import sys
sys.path[:] = {path!r}
from pipeline.executors.serving import serve
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
        self.has: Attempted[T] | None = None
        self._send(start)

    def take(self, attempted: Attempted[T]) -> None:
        """Begin with a task."""
        self.has = attempted
        self._send(pickle.dumps(attempted.task))

    def answer(self) -> tuple[Attempted[T], tuple[Any, str | None] | None]:
        """Wait for its task: the task, and its result and error, or None where the worker died."""
        attempted, self.has = self.has, None
        assert attempted is not None, "only a worker with a task is asked"
        try:
            return attempted, pickle.loads(self.connection.recv_bytes())
        except (EOFError, ConnectionError):
            return attempted, None

    def stop(self) -> str:
        """End the process if it still runs; return how it ended."""
        self.connection.close()
        self._process.kill()
        status = self._process.wait()
        return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"

    def _send(self, message: bytes) -> None:
        with suppress(ConnectionError):  # it died: its answer will say so
            self.connection.send_bytes(message)


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
