"""A dispatcher lives as long as a server does: started where none lives, started again if it dies.

It is a process of its own, detached, so that jobs go on when the server ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from pipeline.config import StorageConfig
from pipeline.results import dispatchers
from pipeline.results.repository import Repository

#: Seconds between two looks; after a dispatcher that failed they double up to the limit.
LOOK_EVERY, LOOK_AT_LEAST_EVERY = 1.0, 60.0

_URL = "PIPELINE_DISPATCH_URL"


class Supervisor:
    """Keeps a dispatcher alive while the context lasts.

    Parameters
    ----------
    engine : Engine
        The database whose jobs it runs.
    storage : StorageConfig
        The same, and the folder of artifacts, as the dispatcher is told.
    concurrent : int
        Jobs that run at a time.
    tell : callable
        Takes a sentence for the server's owner: a dispatcher that fails.

    Attributes
    ----------
    process : subprocess.Popen or None
        The dispatcher that was started last; None before, and after it was seen to have ended.
    """

    def __init__(
        self, engine: Engine, storage: StorageConfig, concurrent: int, tell: Callable[[str], None]
    ) -> None:
        self._repository = Repository(engine)
        self._storage, self._concurrent, self._tell = storage, concurrent, tell
        self.process: subprocess.Popen[bytes] | None = None
        self._wait = LOOK_EVERY
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Supervisor:
        """Start a dispatcher where none lives, and keep looking."""
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more; the dispatcher ends by itself when nothing is left to do."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._wait):
            try:
                self._look()
            except DBAPIError as error:  # a database that restarts is there at a later look
                self._put_off(f"The database does not answer: {error.orig}.")
            except OSError as error:  # a machine without memory or processes to spare, likewise
                self._put_off(f"No dispatcher could be started: {error.strerror}.")

    def _look(self) -> None:
        """Start a dispatcher unless one lives or is about to."""
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return
            self.process = None  # its process is reaped
            if status > 0:  # 0: another has its place; below: a signal, somebody's wish
                self._put_off(f"The dispatcher of queued jobs ended with exit status {status}.")
                return
        if dispatchers.lives(self._repository):
            self._wait = LOOK_EVERY
        else:
            self.process = start(self._storage, self._concurrent)

    def _put_off(self, reason: str) -> None:
        self._wait = min(2 * self._wait, LOOK_AT_LEAST_EVERY)
        self._tell(f"{reason} Next try in {self._wait:.0f} s.")


def start(storage: StorageConfig, concurrent: int) -> subprocess.Popen[bytes]:
    """Start a dispatcher of this process, detached; where one lives it ends at once, status 0."""
    words = [
        f"storage.url=${{oc.env:{_URL}}}",  # a password is for no list of processes
        f"storage.artifacts='{storage.artifacts}'",
        f"concurrent={concurrent}",
        f"server={os.getpid()}",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.dispatch", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {_URL: storage.url},
        start_new_session=True,
    )
