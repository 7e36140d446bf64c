"""Hand queued jobs to worker processes, one job a worker at a time, and ended sweeps likewise."""

import os
import pickle
import pkgutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from pipeline.config import StorageConfig
from pipeline.config.commands import DispatchConfig
from pipeline.errors import (
    IllegalTransitionError,
    SameStartError,
    SweepTakenError,
    UnreachableError,
)
from pipeline.executors.base import Attempt
from pipeline.executors.share import cores, environment, gpus
from pipeline.executors.worker import Worker, supervision
from pipeline.results.access.engines import DatabaseFullError
from pipeline.results.access.leases import Watch
from pipeline.results.database import Repository

#: Seconds between two looks at the queue, at the workers, and at who is alive.
LOOK_EVERY, CHECK_EVERY, REAP_EVERY = 0.25, 1.0, 2.0

#: Seconds without a write where the disk of the database is full, or a job could not be begun.
PAUSE = 2.0

#: Seconds that it waits for its database when it ends.
HURRY = 5.0

#: Looks at a worker after which it is ended if its job was cancelled: it ends by itself if it can.
PATIENCE = 3

#: Seconds between two looks at the sweeps, and before what could not be judged is tried again.
SWEEPS_EVERY, AGAIN_AFTER = 0.5, 5.0

#: Tries after which a sweep is given up.
TRIES = 3


class _Task(NamedTuple):
    """Unpickle as a function of `pipeline.queue.task`, whose imports this process does without."""

    function: str

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return pkgutil.resolve_name, (f"pipeline.queue.task:{self.function}",)


class _Ending(NamedTuple):
    """Why a job ended, whether it is to wait again, and the process that ran it."""

    cause: str
    waits_again: bool
    pid: int


class Dispatcher:
    """Hand jobs to workers, each with its share of the machine and one job at a time.

    One is kept that waits for a job: what it imports takes longer than people like to wait.
    """

    def __init__(self, repository: Repository, config: DispatchConfig) -> None:
        self._repository, self._config = repository, config
        self._start = pickle.dumps((_Task("run_job"), (config.storage, repository.identity)))
        self._workers: dict[int, Worker[str]] = {}
        self._judging = Judging(repository, config.storage)
        self._watch = Watch()
        self._strayed: dict[Worker[str], int] = {}  # looks at those whose job was cancelled
        self._untold: dict[str, _Ending] = {}  # of jobs whose rows do not say it yet
        self._pause_ends = 0.0

    def run(self) -> None:
        """Hand out jobs until another dispatcher takes over, or none has come for long."""
        with supervision(self._workers):
            try:
                self._work()
            finally:
                self._repository.patience.shorten(HURRY)
                with suppress(SQLAlchemyError, UnreachableError):  # what ended it is what is said
                    self._stop()
                    self._repository.dispatcher.release()

    def _work(self) -> None:
        self._keep_one_ready()
        self._reap()
        busy = reaped = checked = time.monotonic()
        while time.monotonic() - busy < self._config.idle:
            if time.monotonic() - reaped >= REAP_EVERY:
                reaped = time.monotonic()
                if not self._repository.dispatcher.is_held():
                    return  # it was silent for long, and another has its place
                self._reap()
            if time.monotonic() - checked >= CHECK_EVERY:
                checked = time.monotonic()
                for place, worker in list(self._workers.items()):
                    if self._strays(worker):
                        self._end(place, worker.has)
            self._tell_rows()
            self._hand_out()
            self._keep_one_ready()
            judges = self._judge()
            # While the server that started this process lives, the next job comes from there.
            if self._collect() or judges or self._untold or os.getppid() == self._config.server:
                busy = time.monotonic()

    def _hand_out(self) -> None:
        """Give every place without work the job that has waited longest."""
        busy = {worker.has.task for worker in self._workers.values() if worker.has}
        free = self._free()
        if not free or self._is_pausing():
            return
        waiting = self._repository.jobs.waiting(len(free) + len(busy))
        fresh = [job_id for job_id in waiting if job_id not in busy]
        for place, job_id in zip(free, fresh, strict=False):
            self._worker(place).take(Attempt(job_id))

    def _judge(self) -> bool:
        """Have ended sweeps judged; return whether any is left."""
        if not self._is_pausing():
            with self._unless_full():
                return self._judging.look()
        return True

    def _free(self) -> list[int]:
        """Return the places without work, those first whose worker has started."""
        places = range(self._config.concurrent)
        free = [p for p in places if p not in self._workers or not self._workers[p].has]
        return sorted(free, key=lambda place: place not in self._workers)

    def _keep_one_ready(self) -> None:
        if free := self._free():
            self._worker(free[0])

    def _worker(self, place: int) -> Worker[str]:
        if place not in self._workers:
            self._workers[place] = Worker(self._start, self._share(place))
        return self._workers[place]

    def _collect(self) -> bool:
        """Wait a moment for jobs to end; return whether any is under way."""
        busy = {place: w.connection for place, w in self._workers.items() if w.has}
        if not busy:
            time.sleep(LOOK_EVERY)
            return False
        ready = wait(busy.values(), LOOK_EVERY)
        for place in [place for place in busy if busy[place] in ready]:
            attempt, outcome = self._workers[place].answer()
            if isinstance(outcome, int):  # no job says so: its row has its progress
                continue
            if outcome == (None, None):
                continue
            if outcome is not None:
                away, error = outcome
                cause, pid = away or error or "", self._workers[place].pid
                self._untold[attempt.task] = _Ending(cause, error is None, pid)
            if outcome is None or outcome[1] is not None:  # dead, cancelled, or failed
                self._end(place, attempt)
            self._reap()
        return True

    def _tell_rows(self) -> None:
        """Write into the rows of jobs why they ended, where their workers could not.

        Where the disk of the database is full, they are told at a later look.
        """
        for job_id, ending in list(self._untold.items()):
            if self._is_pausing():
                return
            with self._unless_full():
                job = self._repository.jobs.state(job_id)
                owner = self._repository.jobs.owner(job)
                if job.status == "running" and (owner is None or owner.pid == ending.pid):
                    self._repository.jobs.fail_for(job, ending.cause, again=ending.waits_again)
                elif job.status == "failed" and ending.waits_again:  # as its worker could just say
                    self._restart(job_id)
                elif job.queued:  # it could not even be begun
                    self._pause_ends = time.monotonic() + PAUSE
                del self._untold[job_id]

    def _is_pausing(self) -> bool:
        return time.monotonic() < self._pause_ends

    @contextmanager
    def _unless_full(self) -> Iterator[None]:
        """Put off what the disk of the database has no room for."""
        try:
            yield
        except DatabaseFullError:
            self._pause_ends = time.monotonic() + PAUSE

    def _restart(self, job_id: str) -> None:
        with suppress(IllegalTransitionError, SameStartError):  # a person was faster
            self._repository.jobs.restart(job_id)

    def _reap(self) -> None:
        """Mark the jobs of the dead as failed; those of its own stopped workers wait again."""
        for place, worker in list(self._workers.items()):
            if worker.was_frozen:
                self._end(place, worker.has)
        self._tell_rows()  # what it knows is truer than that they are dead
        if not self._is_pausing():
            with self._unless_full():
                self._repository.jobs.reap(self._watch)

    def _end(self, place: int, attempt: Attempt[str] | None) -> None:
        """End a worker; the job of one that somebody has stopped waits again."""
        worker = self._workers.pop(place)
        if attempt and (worker.was_frozen or worker.is_stopped):
            cause = f"no sign of life for {self._watch.limit:g} s"
            self._untold[attempt.task] = _Ending(cause, True, worker.pid)
        worker.stop()

    def _strays(self, worker: Worker[str]) -> bool:
        """Tell whether a worker has been at a job that is not to be done for some looks now."""
        job = self._repository.jobs.state(worker.has.task) if worker.has else None
        if job is None or job.status not in ("failed", "cancelled"):
            self._strayed.pop(worker, None)
            return False
        self._strayed[worker] = self._strayed.get(worker, 0) + 1
        return self._strayed[worker] >= PATIENCE

    def _hand_back(self, worker: Worker[str], cause: str) -> None:
        """Put the job that a worker runs into the queue again: it is the worker's no more."""
        if worker.has is None:
            return
        job = self._repository.jobs.state(worker.has.task)
        owner = self._repository.jobs.owner(job)
        if job.status == "running" and owner and owner.pid == worker.pid:
            with self._unless_full():
                self._repository.jobs.fail_for(job, cause, again=True)

    def _stop(self) -> None:
        """End the workers, and put what they ran into the queue again.

        First the rows, then the processes: another dispatcher fails the jobs of the dead.
        """
        self._judging.stop()
        try:
            for worker in self._workers.values():
                self._hand_back(worker, "its dispatcher has ended")
        finally:
            for worker in self._workers.values():
                worker.stop()
        running = {worker.has.task for worker in self._workers.values() if worker.has}
        for dead in self._repository.jobs.reap():
            if dead.id in running:  # it was taken in between
                self._restart(dead.id)

    def _share(self, place: int) -> dict[str, str]:
        names = gpus()
        own = (names[place % len(names)],) if names else None
        return environment(max(1, cores() // self._config.concurrent), own)


class Judging:
    """Follows the queued sweeps of a database, and has one after another judged.

    Nothing of it is kept but how often one was tried: whoever takes the dispatcher's place reads
    from the rows what is to be judged.
    """

    def __init__(self, repository: Repository, storage: StorageConfig) -> None:
        self._repository = repository
        self._start = pickle.dumps((_Task("judge_queued"), (storage, repository.identity)))
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
        self._next = time.monotonic() + SWEEPS_EVERY
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
