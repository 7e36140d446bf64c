"""Run tasks in this process, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from pipeline.config import ExecutorConfig, LocalExecutor, ProcessesExecutor
from pipeline.errors import UserError, how_to_install
from pipeline.executors.base import Executor, R, S, T, TaskResult, Work, do_task, ignore
from pipeline.executors.processes import Processes

if TYPE_CHECKING:
    from gpu_engine import Advance


class Local:
    """Do one task after another in this process; a task that ends it ends the run."""

    slots = 1

    def run(
        self, work: Work[S, T, R], shared: S, tasks: Iterable[T], advance: Advance = ignore
    ) -> Generator[TaskResult[T, R]]:
        """Yield tasks in their order; see `pipeline.executors.base.Executor.run`."""
        for task in tasks:
            yield TaskResult(task, *do_task(work, shared, task, advance))


def make_executor(config: ExecutorConfig) -> Executor:
    """Return the executor that ``config`` asks for; workers start when it runs.

    Raises
    ------
    UserError
        If it needs a package that is not installed.
    """
    if isinstance(config, LocalExecutor):
        return Local()
    if isinstance(config, ProcessesExecutor):
        return Processes(config.workers, config.retries)
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "executor=ray needs the package ray, which is not installed. Use executor=processes, or"
            f" add it: {how_to_install('ray')}"
        )
    from pipeline.executors.ray_cluster import RayCluster

    return RayCluster(config)
