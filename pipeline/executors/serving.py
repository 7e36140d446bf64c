"""What runs in a worker process: tasks come in over a connection, what became of them goes out.

The connection is also the lifeline. A thread does nothing but read it, so as soon as the parent
closes it or is killed, the worker ends, busy or not.
"""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

from pipeline.executors.answering import Answering


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
