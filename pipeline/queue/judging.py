"""Have the sweeps of the queue judged when their last job has ended, each by a worker."""

import pickle
import pkgutil
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pipeline.config import StorageConfig
from pipeline.errors import SweepTakenError
from pipeline.executors.base import Attempt
from pipeline.executors.share import environment
from pipeline.executors.worker import Worker
from pipeline.results.database import Repository

#: Seconds between two looks at the sweeps, and before what could not be judged is tried again.
LOOK_EVERY, AGAIN_AFTER = 0.5, 5.0

#: Tries after which a sweep is given up.
TRIES = 3


class _JudgeSweep:
    """Unpickle as `pipeline.queue.task.judge_queued`, whose imports this process does without."""

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return pkgutil.resolve_name, ("pipeline.queue.task:judge_queued",)


class Judging:
    """Follows the queued sweeps of a database, and has one after another judged.

    Nothing of it is kept but how often one was tried: whoever takes the dispatcher's place reads
    from the rows what is to be judged.
    """

    def __init__(self, repository: Repository, storage: StorageConfig) -> None:
        self._repository = repository
        self._start = pickle.dumps((_JudgeSweep(), (storage, repository.identity)))
        self._worker: Worker[str] | None = None
        self._tries: dict[str, int] = {}
        self._next, self._runs = 0.0, True

    def look(self) -> bool:
        """Go on with what is to be judged; return whether a sweep ran at the last look.

        Between two looks its last job may end: who was idle then would leave it unjudged.
        """
        if self._worker is not None:
            self._hear(self._worker)
            return True
        if time.monotonic() < self._next:
            return self._runs
        self._next = time.monotonic() + LOOK_EVERY
        running = self._repository.sweeps.follow()
        self._runs = bool(running)
        ended = [sweep_id for sweep_id, has_ended in running.items() if has_ended]
        self._tries = {one: n for one, n in self._tries.items() if one in ended}
        if not ended:
            return self._runs
        sweep_id = min(ended, key=lambda one: self._tries.get(one, 0))
        self._tries[sweep_id] = self._tries.get(sweep_id, 0) + 1
        self._worker = Worker(self._start, environment(1, None))
        self._worker.take(Attempt(sweep_id))
        return True

    def stop(self) -> None:
        """End the worker: another dispatcher has the sweep judged."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _hear(self, worker: Worker[str]) -> None:
        """Take the answer of the worker, where there is one."""
        worker.end_if_frozen()
        if not worker.connection.poll():
            return
        attempt, answer = worker.answer()
        self.stop()
        result, error = answer if isinstance(answer, tuple) else (None, "its worker died")
        if result is None and error is None:
            self._tries.pop(attempt.task, None)
            return
        self._next = time.monotonic() + AGAIN_AFTER
        if error is None:  # the database was away, or full: that is no try
            self._tries[attempt.task] = self._tries.get(attempt.task, 1) - 1
        elif self._tries.get(attempt.task, 0) >= TRIES:
            self._give_up(attempt.task, error)

    def _give_up(self, sweep_id: str, reason: str) -> None:
        with suppress(SweepTakenError):  # it was opened again
            self._repository.sweeps.give_up(sweep_id, reason)
        self._tries.pop(sweep_id, None)
