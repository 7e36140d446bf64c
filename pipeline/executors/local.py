"""One task after another, in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from pipeline.executors.base import Ended, R, S, T, attempt


class Local:
    """The executor without workers; a task that ends this process ends the run."""

    slots = 1

    def run(
        self, work: Callable[[S, T], R], shared: S, tasks: Iterable[T]
    ) -> Generator[Ended[T, R]]:
        """Yield tasks in their order; see `pipeline.executors.base.Executor.run`."""
        for task in tasks:
            yield Ended(task, *attempt(work, shared, task))
