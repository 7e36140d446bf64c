"""Keep a dispatcher alive beside a server, and verify once a day what is switched on.

The dispatcher is started, and started again when it dies. Each command that is started here is a
process of its own, detached: jobs go on when the server ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from tempfile import TemporaryFile
from threading import Event
from typing import IO

import psutil
from sqlalchemy.exc import SQLAlchemyError

from pipeline.config import NOTIFY_VARIABLES, TOKEN_VARIABLE, StorageConfig, in_quotes
from pipeline.errors import Note, UnreachableError, first_line
from pipeline.executors.background import Pulse, repeated
from pipeline.results.access.leases import Watch
from pipeline.results.database import Repository
from pipeline.results.records import utc_now

#: Seconds between two looks; after a dispatcher that failed they double up to the limit.
LOOK_EVERY, LOOK_AT_LEAST_EVERY = 1.0, 60.0
#: Seconds in which a dispatcher takes its place after its start.
START_WITHIN = 90.0
#: Seconds between two looks where the database does not answer.
AWAY_LOOK_EVERY = 2.0

_URL = "PIPELINE_DISPATCH_URL"

#: What no command needs that is started here, and no strategy of a user's own may read.
_SECRETS = {TOKEN_VARIABLE, *NOTIFY_VARIABLES}

#: After so long a configuration is verified again.
DAY = timedelta(days=1)
#: Seconds before the first look, and between two.
FIRST_CHECK, CHECK_EVERY = 60.0, 600.0


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
        self._storage, self._concurrent, self._note = storage, concurrent, tell
        self._watch, self._looks_in_vain = Watch(), 0
        self._trouble: str | None = None
        self._pulse = Pulse()
        self._left: list[subprocess.Popen[bytes]] = []  # whose place was given on
        self.process: subprocess.Popen[bytes] | None = None
        self._errors = TemporaryFile()  # noqa: SIM115  (closed in __exit__)
        self._wait = LOOK_EVERY
        self._watching = ExitStack()

    def __enter__(self) -> Supervisor:
        """Start a dispatcher where none lives, and keep looking."""
        if self._look():
            self._pulse = self._watching.enter_context(
                repeated(self._look_again, self._wait, "supervisor")
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more; the dispatcher ends by itself when nothing is left to do."""
        self._watching.close()
        self._errors.close()

    @property
    def is_alive(self) -> bool:
        """Whether the thread that looks after the dispatcher goes on."""
        return self._pulse.age <= 2 * LOOK_AT_LEAST_EVERY

    @property
    def trouble(self) -> str | None:
        """Why what is queued now would wait in vain; None where nothing speaks for it."""
        if self._pulse.error is not None or not self.is_alive:
            why = self._pulse.error or f"it has not looked for {self._pulse.age:.0f} s"
            return f"The supervisor of the dispatcher is in trouble: {why}."
        return self._trouble

    def _look_again(self) -> float | None:
        try:
            if not self._look():
                return None
        except (SQLAlchemyError, UnreachableError) as error:  # its `Patience` has said so
            self._trouble = f"The database does not answer: {first_line(error)}."
            return AWAY_LOOK_EVERY
        except OSError as error:  # a machine without memory or processes to spare, likewise
            self._put_off(f"No dispatcher could be started: {error.strerror}.")
        return self._wait

    def _look(self) -> bool:
        """Start a dispatcher unless one lives or is about to; False when the database is gone."""
        if self._repository.is_gone:
            os.kill(os.getpid(), signal.SIGTERM)
            return False
        self._left = [process for process in self._left if process.poll() is None]
        status = None if self.process is None else self.process.poll()
        if status is not None:
            self.process = None  # its process is reaped
            if status > 0:  # 0: another has its place; below: a signal, somebody's wish
                self._put_off(
                    f"The dispatcher of queued jobs ended with exit status {status}."
                    f"{_last_line(self._errors)}"
                )
                return True
        if self._repository.patience.is_away:
            _ = self._repository.takes_writes  # it says when it does again
        owner, cause = self._repository.dispatcher.look(self._watch)
        if owner is not None and cause is None:
            if self._wait > LOOK_EVERY:
                self._tell("The dispatcher of queued jobs runs again.")
            self._wait, self._trouble = LOOK_EVERY, None
            return True
        if owner is not None:
            self._repository.dispatcher.release(owner.identity)
            self._tell(f"The dispatcher of queued jobs: {cause}. Another takes its place.")
        if self.process is not None:
            if owner is None and not self._is_overdue(self.process):
                return True  # it starts, and has no place yet
            self._left.append(self.process)
        self._errors.seek(0)
        self._errors.truncate()
        self._looks_in_vain = 0
        self.process = start(self._storage, self._concurrent, self._errors)
        return True

    def _is_overdue(self, process: subprocess.Popen[bytes]) -> bool:
        """End a dispatcher that takes no place: it hangs, or was stopped as it started."""
        self._looks_in_vain += 1
        if self._looks_in_vain * LOOK_EVERY < START_WITHIN:
            return False
        process.kill()
        said = f"The dispatcher of queued jobs did not start in {START_WITHIN:g} s."
        self._tell(said + _last_line(self._errors))
        return True

    def _put_off(self, reason: str) -> None:
        self._wait = min(2 * self._wait, LOOK_AT_LEAST_EVERY)
        self._trouble = reason
        self._tell(f"{reason} Next try in {self._wait:.0f} s.")

    def _tell(self, sentence: str) -> None:
        """Tell the server's owner, if anybody is left to read it."""
        with suppress(OSError, ValueError, SystemExit):  # SystemExit: Rich, at a broken pipe
            self._note(sentence)


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    text = errors.read().decode("utf-8", "replace").strip()
    return f" It said: {text.splitlines()[-1]}" if text else ""


def start(storage: StorageConfig, concurrent: int, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a dispatcher of this process, detached; where one lives it ends at once, status 0."""
    words = [f"concurrent={concurrent}", f"server={os.getpid()}"]
    return start_module("pipeline.dispatch", words, storage, errors)


def start_module(
    module: str, words: Sequence[str], storage: StorageConfig, errors: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """Start a command over a database and its artifacts as a process of its own, detached."""
    places = [
        f"storage.url=${{oc.env:{_URL}}}",  # a password is for no list of processes
        f"storage.artifacts={in_quotes(storage.artifacts)}",
        f"storage.patience={storage.patience}",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", module, *words, *places],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env={name: value for name, value in os.environ.items() if name not in _SECRETS}
        | {_URL: storage.url},
        start_new_session=True,
    )


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
        self._running.enter_context(repeated(self.look, FIRST_CHECK, "daily checks"))
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
            return FIRST_CHECK
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
        return CHECK_EVERY

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
