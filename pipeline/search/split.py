"""Share the work of one market among the slots of an executor: a grid, or searches that draw.

A part of a grid is a run of consecutive indices that holds whole units, so that no work is done
twice; a search that draws is a task as it is. What comes back says what it is about, and joining
does not depend on the order of arrival: the result is the one of a single process, whatever the
number of parts and workers.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from gpu_engine import Advance, Backend, Candles, Costs, RiskLimits, choose, set_threads
from pipeline.errors import UserError
from pipeline.executors import Executor, TaskResult
from pipeline.search.evaluator import Evaluator, GridPass, Search
from pipeline.search.space import Space

#: Parts a slot gets on average: more even out slots of unequal speed, fewer cost fewer messages.
PARTS_PER_SLOT = 4
#: Most combinations of a part: what a worker that dies has done in vain.
LARGEST_PART = 1 << 22
#: Fewer evaluations than this in a search are made before a process has started.
FEW = 100

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Workload:
    """What makes an `Evaluator`, in a form that travels; a worker builds its own once.

    ``backend`` is a name: the parent's choice holds for all, so that all round alike.
    """

    candles: Candles
    space: Space
    costs: Costs
    risk: RiskLimits
    backend: str
    threads: int | None
    block: int

    @cached_property
    def evaluator(self) -> Evaluator:
        """The evaluator of this process."""
        backend = choose(self.backend).backend
        set_threads(backend, self.threads)
        return Evaluator(self.candles, self.space, self.costs, self.risk, backend, self.block)


@dataclass(frozen=True)
class Task(Generic[R]):
    """One part of one pass."""

    grid_pass: GridPass[R]
    part: range


def work(workload: Workload, task: Task[R], advance: Advance) -> R:
    """Make a pass over one part, in a worker."""
    return task.grid_pass.over(workload.evaluator, task.part, advance)


def search_one(workload: Workload, task: tuple[int, Search[R]], advance: Advance) -> R:
    """Make one of many searches, in a worker."""
    return task[1].over(workload.evaluator, advance)


class SharedEvaluator(Evaluator):
    """An evaluator whose searches that draw are made by the slots of an executor.

    Points are few and stay here. ``threads`` of a CPU backend are those of each worker; None
    leaves them to the executor.
    """

    def __init__(
        self,
        candles: Candles,
        space: Space,
        costs: Costs,
        risk: RiskLimits,
        backend: Backend,
        block: int | None,
        threads: int | None,
        executor: Executor,
    ) -> None:
        super().__init__(candles, space, costs, risk, backend, block)
        self._workload = Workload(candles, space, costs, risk, backend.name, threads, self.block)
        self._executor = executor

    def each(self, searches: Sequence[Search[R]], advance: Advance) -> list[R]:
        """Make searches at once, as many as there are slots.

        Raises
        ------
        UserError
            When a search ended with an error; workers are stopped.
        """
        results: dict[int, R] = {}
        tasks = enumerate(searches)
        with closing(self._executor.run(search_one, self._workload, tasks, advance)) as ended:
            for search in ended:
                number = search.task[0]
                results[number] = _result(search, f"Window {number + 1} of {len(searches)}")
        return [results[number] for number in range(len(searches))]


class SplitEvaluator(SharedEvaluator):
    """An evaluator whose passes over the whole grid are made by the slots of an executor."""

    def walk(self, grid_pass: GridPass[R], advance: Advance) -> R:
        """Make a pass part by part.

        Raises
        ------
        UserError
            When a part ended with an error; workers are stopped, and no other part is begun.
        """
        with closing(self._results(grid_pass, advance)) as results:
            return grid_pass.join(self.grid, results)

    def _results(self, grid_pass: GridPass[R], advance: Advance) -> Generator[tuple[range, R]]:
        """Yield every part with its result, as they end."""
        share = -(-self.grid.size // (PARTS_PER_SLOT * self._executor.slots))
        parts = self.grid.parts(min(share, LARGEST_PART))
        tasks = (Task(grid_pass, part) for part in parts)
        with closing(self._executor.run(work, self._workload, tasks, advance)) as results:
            for ended in results:
                part = ended.task.part
                what = f"Combinations {part.start:,} to {part.stop - 1:,} of the grid"
                yield part, _result(ended, what)


def _result(ended: TaskResult[T, R], what: str) -> R:
    """Return the result of a task; raise its error as a sentence about ``what``."""
    if ended.result is None:
        reason = (ended.error or "").strip().removesuffix(".")
        raise UserError(f"{what} could not be searched: {reason}.")
    return ended.result
