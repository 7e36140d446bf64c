"""Verify what is switched on once a day, beside a server.

Each is verified in a process of its own, which gives way to whatever else runs: the reference path
takes seconds to minutes. `pipeline.verify --daily` keeps the outcome in the database.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, suppress
from datetime import timedelta
from threading import Event

import psutil
from sqlalchemy.exc import SQLAlchemyError

from pipeline.config import StorageConfig
from pipeline.errors import Note, UnreachableError
from pipeline.executors.background import repeated
from pipeline.queue.supervisor import start_module
from pipeline.results.database import Repository
from pipeline.results.records import utc_now

#: After so long a configuration is verified again.
DAY = timedelta(days=1)
#: Seconds before the first look, and between two.
FIRST_LOOK, LOOK_EVERY = 60.0, 600.0


class DailyChecks:
    """Verifies what is switched on, one after another, while the context lasts.

    Parameters
    ----------
    repository : Repository
        The database.
    storage : StorageConfig
        The same, and the folder of artifacts.
    tell : callable
        Takes a sentence for the server's owner: what does not agree.
    """

    def __init__(self, repository: Repository, storage: StorageConfig, tell: Note) -> None:
        self._repository, self._storage, self._tell = repository, storage, tell
        self._over, self._running = Event(), ExitStack()
        self._statuses: dict[str, int] = {}

    def __enter__(self) -> DailyChecks:
        """Begin to look, in a while."""
        self._running.enter_context(repeated(self.look, FIRST_LOOK, "daily checks"))
        return self

    def __exit__(self, *_: object) -> None:
        """End the process that verifies, and look no more."""
        self._over.set()
        self._running.close()

    def look(self) -> float:
        """Verify all that is due; return the seconds until the next look."""
        try:
            due = self._repository.checks.due(utc_now() - DAY)
        except (SQLAlchemyError, UnreachableError):  # its `Patience` says so
            return FIRST_LOOK
        for configuration_id in due:
            if self._over.is_set():
                break
            status = self._verify(configuration_id)
            if status == self._statuses.get(configuration_id):
                continue  # it was said
            if status is not None:
                self._statuses[configuration_id] = status
            if status is not None and status > 0:
                outcome = "could not be verified" if status == 2 else "was NOT verified"
                self._tell(
                    f"{configuration_id} is switched on and {outcome}: scripts/verify"
                    f" {configuration_id} says why."
                )
        return LOOK_EVERY

    def _verify(self, configuration_id: str) -> int | None:
        """Return the exit status of the command; None where the server ended first."""
        process = start_module(
            "pipeline.verify", [configuration_id, "--daily"], self._storage, subprocess.DEVNULL
        )
        with suppress(psutil.Error):
            psutil.Process(process.pid).nice(19)
        while process.poll() is None:
            if self._over.wait(0.2):
                process.terminate()
                process.wait()
                return None
        return process.returncode
