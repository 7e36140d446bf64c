"""Run tasks in worker processes of this machine, each with its share of cores and GPUs.

The pool of the standard library breaks as a whole when one worker dies, and its workers start with
the parent's environment, from which Numba, BLAS and CUDA read their share as they are loaded.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable, Mapping
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from pipeline.executors.base import Backlog, R, S, T, TaskResult, Work, ignore
from pipeline.executors.share import cores, environment, gpus
from pipeline.executors.worker import Worker, supervision

if TYPE_CHECKING:
    from gpu_engine import Advance


class Processes:
    """The executor of one machine: ``workers`` processes (None: one a core).

    The machine's cores are divided among them, and its GPUs dealt out in turn. A worker starts when
    there is a task for it. Besides a task for each, one more is drawn: before a result is yielded
    its worker is given the next, and has something to do while the result is dealt with.
    """

    def __init__(self, workers: int | None, retries: int) -> None:
        self.slots = workers or cores()
        self._retries = retries

    def run(
        self, work: Work[S, T, R], shared: S, tasks: Iterable[T], advance: Advance = ignore
    ) -> Generator[TaskResult[T, R]]:
        """Yield tasks as they end; see `pipeline.executors.base.Executor.run`."""
        start = pickle.dumps((work, shared))
        backlog = Backlog(tasks, self._retries)
        pool: dict[int, Worker[T]] = {}  # by place: which share of the machine it has
        with supervision(pool):
            self._hand_out(backlog, pool, start)
            while busy := {place: w.connection for place, w in pool.items() if w.has}:
                ready = wait(busy.values())
                for place in [place for place in busy if busy[place] in ready]:
                    attempt, outcome = pool[place].answer()
                    if isinstance(outcome, int):
                        attempt.steps += outcome
                        advance(outcome)
                        continue
                    if outcome is None:
                        advance(-attempt.steps)
                        error = backlog.died(attempt, pool.pop(place).stop())
                        outcome = None if error is None else (None, error)
                    self._hand_out(backlog, pool, start)
                    if outcome is not None:
                        yield TaskResult(attempt.task, *outcome)

    def _hand_out(self, backlog: Backlog[T], pool: dict[int, Worker[T]], start: bytes) -> None:
        """Give every worker that has none a task; start those that are missing."""
        for place in range(self.slots):
            if place in pool and pool[place].has:
                continue
            if (attempt := backlog.next()) is None:
                return
            if place not in pool:
                pool[place] = Worker(start, self._share(place))
            pool[place].take(attempt)

    def _share(self, place: int) -> Mapping[str, str]:
        names = gpus()
        own = (names[place % len(names)],) if names else None
        return environment(max(1, cores() // self.slots), own)
