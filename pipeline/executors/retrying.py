"""Tasks on their way: drawn, tried, tried again where a worker died."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from pipeline.executors.base import T


@dataclass
class Attempted(Generic[T]):
    """A task and how many workers died of it."""

    task: T
    deaths: int = 0


class Backlog(Generic[T]):
    """Tasks that wait for a worker: drawn one by one, those to be tried again first."""

    def __init__(self, tasks: Iterable[T], retries: int) -> None:
        self._tasks = iter(tasks)
        self._again: deque[Attempted[T]] = deque()
        self._retries = retries

    def next(self) -> Attempted[T] | None:
        """Return the task to be done next, None when there is none left."""
        if self._again:
            return self._again.popleft()
        for task in self._tasks:
            return Attempted(task)
        return None

    def died(self, attempted: Attempted[T], how: str) -> str | None:
        """Put back a task whose worker died; after the last retry say what happened instead."""
        attempted.deaths += 1
        if attempted.deaths <= self._retries:
            self._again.append(attempted)
            return None
        times = "" if attempted.deaths == 1 else f" {attempted.deaths} times, the last time"
        return (
            f"The worker of this task ended without an answer{times} {how}; often memory ran out:"
            " try fewer workers at once."
        )
