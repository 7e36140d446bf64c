"""Define what an executor does: run tasks that share something, and yield their results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pipeline.errors import UserError

if TYPE_CHECKING:  # a dispatcher does without the engine
    from gpu_engine import Advance

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

#: Does a task, of (shared, task, advance): a function at the top of a module that workers can
#: import, not of ``__main__``. It may tell ``advance`` how many steps of the task it has made.
Work = Callable[[S, T, "Advance"], R]


def ignore(steps: int) -> None:
    """Hear of steps and do nothing."""


@dataclass(frozen=True)
class TaskResult(Generic[T, R]):
    """A task that ended: with a ``result``, or with an ``error`` in words and no result."""

    task: T
    result: R | None
    error: str | None


class Executor(Protocol):
    """Runs tasks; ``slots`` is how many at once."""

    @property
    def slots(self) -> int:
        """Tasks that run at once."""
        ...

    def run(
        self, work: Work[S, T, R], shared: S, tasks: Iterable[T], advance: Advance = ignore
    ) -> Generator[TaskResult[T, R]]:
        """Yield every task of ``tasks`` once, as it ends and in any order.

        Parameters
        ----------
        work : Work
        shared : object
            The same for all tasks. It is sent to a worker once, and every call there is given the
            same object, so that what is costly may be kept on it.
        tasks : iterable
            Drawn as they are needed: a few more than run at once, never all.
        advance : callable
            Hears of the steps that tasks make: as they are made, with Ray when their task has
            ended. Steps of a task whose worker died are taken back.

        Yields
        ------
        TaskResult
            What ``work`` returned or, where it raised, the exception in words. Only a task whose
            worker died is tried again.

        Notes
        -----
        Shared, tasks and results are pickled. Closing the iterator stops what is under way.
        """
        ...


def do_task(
    work: Work[S, T, R], shared: S, task: T, advance: Advance
) -> tuple[R | None, str | None]:
    """Do a task; return its result, or what went wrong in words."""
    try:
        return work(shared, task, advance), None
    except Exception as error:
        return None, in_words(error)


def in_words(error: BaseException) -> str:
    """Return a user's mistake as its sentence, anything else as its type and message."""
    if isinstance(error, UserError):
        return str(error)
    return f"{type(error).__name__}: {error}".removesuffix(": ")


@dataclass
class Attempt(Generic[T]):
    """A task, how many workers died of it, and the steps that its worker has made."""

    task: T
    deaths: int = 0
    steps: int = 0


class Backlog(Generic[T]):
    """Tasks that wait for a worker: drawn one by one, those to be tried again first."""

    def __init__(self, tasks: Iterable[T], retries: int) -> None:
        self._tasks = iter(tasks)
        self._again: deque[Attempt[T]] = deque()
        self._retries = retries

    def next(self) -> Attempt[T] | None:
        """Return the task to be done next, None when there is none left."""
        if self._again:
            return self._again.popleft()
        for task in self._tasks:
            return Attempt(task)
        return None

    def died(self, attempt: Attempt[T], how: str) -> str | None:
        """Put back a task whose worker died; after the last retry say what happened instead."""
        attempt.deaths += 1
        attempt.steps = 0
        if attempt.deaths <= self._retries:
            self._again.append(attempt)
            return None
        times = "" if attempt.deaths == 1 else f" {attempt.deaths} times, the last time"
        return (
            f"The worker of this task ended without an answer{times} {how}; often memory ran out:"
            " try fewer workers at once (executor.workers, or backend.threads with executor=local)."
        )
