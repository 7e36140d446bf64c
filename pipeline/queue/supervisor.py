"""Keep a dispatcher alive as long as a server lives: start it, and start it again when it dies.

It is a process of its own, detached, so that jobs go on when the server ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO

from sqlalchemy.exc import DBAPIError

from pipeline.cli.console import Note
from pipeline.config import TOKEN_VARIABLE, StorageConfig
from pipeline.executors.background import repeated
from pipeline.queue import lease
from pipeline.results.database import Repository

#: Seconds between two looks; after a dispatcher that failed they double up to the limit.
LOOK_EVERY, LOOK_AT_LEAST_EVERY = 1.0, 60.0

_URL = "PIPELINE_DISPATCH_URL"


class Supervisor:
    """Keeps a dispatcher alive while the context lasts.

    Parameters
    ----------
    repository : Repository
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
        self, repository: Repository, storage: StorageConfig, concurrent: int, tell: Note
    ) -> None:
        self._repository = repository
        self._storage, self._concurrent, self._tell = storage, concurrent, tell
        self.process: subprocess.Popen[bytes] | None = None
        self._errors = TemporaryFile()  # noqa: SIM115  (closed in __exit__)
        self._wait = LOOK_EVERY
        self._watching = ExitStack()

    def __enter__(self) -> Supervisor:
        """Start a dispatcher where none lives, and keep looking."""
        if self._look():
            self._watching.enter_context(repeated(self._watch, self._wait, "supervisor"))
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more; the dispatcher ends by itself when nothing is left to do."""
        self._watching.close()
        self._errors.close()

    def _watch(self) -> float | None:
        try:
            if not self._look():
                return None
        except DBAPIError as error:  # a database that restarts is there at a later look
            self._put_off(f"The database does not answer: {error.orig}.")
        except OSError as error:  # a machine without memory or processes to spare, likewise
            self._put_off(f"No dispatcher could be started: {error.strerror}.")
        return self._wait

    def _look(self) -> bool:
        """Start a dispatcher unless one lives or is about to; False when the database is gone."""
        if self._repository.is_gone:
            self._tell("The database file was deleted or replaced: this server ends.")
            os.kill(os.getpid(), signal.SIGTERM)
            return False
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return True
            self.process = None  # its process is reaped
            if status > 0:  # 0: another has its place; below: a signal, somebody's wish
                self._put_off(
                    f"The dispatcher of queued jobs ended with exit status {status}."
                    f"{_last_line(self._errors)}"
                )
                return True
        owner, cause = lease.look(self._repository)
        if owner is not None and cause is None:
            self._wait = LOOK_EVERY
        else:
            self._errors.seek(0)
            self._errors.truncate()
            self.process = start(self._storage, self._concurrent, self._errors)
        return True

    def _put_off(self, reason: str) -> None:
        self._wait = min(2 * self._wait, LOOK_AT_LEAST_EVERY)
        self._tell(f"{reason} Next try in {self._wait:.0f} s.")


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    text = errors.read().decode("utf-8", "replace").strip()
    return f" It said: {text.splitlines()[-1]}" if text else ""


def start(storage: StorageConfig, concurrent: int, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a dispatcher of this process, detached; where one lives it ends at once, status 0."""
    words = [
        f"storage.url=${{oc.env:{_URL}}}",  # a password is for no list of processes
        f"storage.artifacts='{storage.artifacts}'",
        f"storage.patience={storage.patience}",
        f"concurrent={concurrent}",
        f"server={os.getpid()}",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.dispatch", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env={name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        | {_URL: storage.url},
        start_new_session=True,
    )
