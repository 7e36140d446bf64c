"""What runs in a worker process: tasks come in over a connection, what became of them goes out.

The connection is also the lifeline. A thread does nothing but read it, so as soon as the parent
closes it or is killed, the worker ends, busy or not.
"""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

from pipeline.executors.base import attempt, in_words


class Answering:
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

    def answer(self, task: bytes) -> bytes:
        """Return result and error of a task; one of them is None."""
        try:
            self._begun = self._begun or pickle.loads(self._start)
            work, shared = self._begun
            return pickle.dumps(attempt(work, shared, pickle.loads(task)))
        except Exception as error:  # something that cannot be pickled, or not be imported here
            return pickle.dumps((None, in_words(error)))


def serve(file_descriptor: int) -> None:
    """Answer what comes in: work and what it shares once, then tasks; end with the connection."""
    os.set_inheritable(file_descriptor, False)
    connection: Connection[Any, Any] = Connection(file_descriptor)
    received: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=(connection, received), daemon=True).start()
    answering = Answering(received.get())
    answering.prepare()
    while True:
        connection.send_bytes(answering.answer(received.get()))


def _receive(connection: Connection[Any, Any], received: SimpleQueue[bytes]) -> None:
    while True:
        try:
            received.put(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)  # the whole process: sys.exit would end this thread
