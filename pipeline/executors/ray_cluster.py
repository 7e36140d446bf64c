"""Run tasks on a Ray cluster, of this machine or many; imported only where it is asked for.

Ray's own retries are off: they would try a task for which memory ran out for ever, and the rule of
`Backlog` is then the same as with processes.
"""

import contextlib
import logging
import math
import os
import pickle
import sys
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from gpu_engine import Advance
from pipeline.config import RayExecutor
from pipeline.errors import UnreachableError, UserError
from pipeline.executors.base import Attempt, Backlog, R, S, T, TaskResult, Work, ignore, in_words
from pipeline.executors.share import environment
from pipeline.executors.worker import TaskRunner

#: Tasks a slot that Ray is given, so that it has the next at hand on every node; not thousands.
IN_FLIGHT = 4


class RayCluster:
    """The executor of a cluster. It connects when first needed, and stays so until the end."""

    def __init__(self, config: RayExecutor) -> None:
        self._config = config

    @property
    def slots(self) -> int:
        """Tasks that run at once on the nodes there are now.

        Raises
        ------
        UserError
            If no cluster answers, or none of its nodes has what a task takes.
        """
        self._connect()
        return self._room() or self._refuse()

    def run(
        self, work: Work[S, T, R], shared: S, tasks: Iterable[T], advance: Advance = ignore
    ) -> Generator[TaskResult[T, R]]:
        """Yield tasks as they end; see `pipeline.executors.base.Executor.run`.

        Raises
        ------
        UserError
            As `slots`.
        """
        slots = self.slots
        # In a list it stays a reference, which a worker fetches once; bare, Ray would fetch it for
        # every task.
        start = [ray.put(pickle.dumps((work, shared)))]
        submit = self._remote(start)
        backlog = Backlog(tasks, self._config.retries)
        under_way: dict[Any, Attempt[T]] = {}
        try:
            while True:
                while len(under_way) < IN_FLIGHT * slots and (attempt := backlog.next()):
                    under_way[submit(pickle.dumps(attempt.task))] = attempt
                if not under_way:
                    return
                (reference,), _ = ray.wait(list(under_way))
                attempt = under_way.pop(reference)
                outcome = _outcome(reference, backlog, attempt)
                advance(attempt.steps)
                if outcome is not None:
                    yield TaskResult(attempt.task, *outcome)
                slots = self._room() or slots  # nodes come and go
        finally:
            for reference in under_way:
                ray.cancel(reference, force=True)

    def _remote(self, start: list[Any]) -> Callable[[bytes], Any]:
        """Return what submits a task: its cores, its GPUs and the variables of its worker."""
        config = self._config
        # A task without a GPU is shown all of them (ray#62492); Ray names those of one that has.
        variables = environment(config.num_cpus, () if config.num_gpus == 0 else None)
        remote = ray.remote(
            num_cpus=config.num_cpus,
            num_gpus=config.num_gpus,
            max_retries=0,
            runtime_env={"env_vars": variables},
        )(_answer)
        here = (str(Path.cwd()), tuple(sys.path))
        return lambda task: remote.remote(start, here, task)

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        address = self._config.address
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        own = {"include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **own)
        except (ConnectionError, ValueError) as error:  # ValueError: no ray[client]
            raise UnreachableError(
                f"No Ray cluster can be reached with executor.address={address} ({error}): start"
                " one with `ray start --head`, set RAY_AUTH_MODE=token where it asks for a token,"
                " or use executor.address=local."
            ) from None

    def _room(self) -> int:
        """Tasks for which the living nodes have room."""
        return sum(self._fits(node["Resources"]) for node in ray.nodes() if node["Alive"])

    def _fits(self, resources: dict[str, float]) -> int:
        """Tasks for which one node has room."""
        room = resources.get("CPU", 0) / self._config.num_cpus
        if self._config.num_gpus:
            room = min(room, resources.get("GPU", 0) / self._config.num_gpus)
        return math.floor(room + 1e-9)  # ten shares of 0.1 GPU are a GPU

    def _refuse(self) -> int:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        largest = ", ".join(
            f"{max(node.get(name, 0) for node in nodes):g} {name}s" for name in ("CPU", "GPU")
        )
        raise UserError(
            f"No node of the Ray cluster has room for a task of executor.num_cpus="
            f"{self._config.num_cpus} and executor.num_gpus={self._config.num_gpus:g}; a node has"
            f" at most {largest}. Lower them, or join a larger node."
        )


def _outcome(
    reference: Any, backlog: Backlog[T], attempt: Attempt[T]
) -> tuple[Any, str | None] | None:
    """Return result and error of a task that ended; None where it is to be tried again."""
    try:
        answer, attempt.steps = ray.get(reference)
        outcome: tuple[Any, str | None] = pickle.loads(answer)
        return outcome
    except RayTaskError as error:  # before the task was reached: a package missing on the node
        return None, in_words(error.cause)
    except RayError as error:
        message = backlog.died(attempt, f"with {type(error).__name__}")
        return None if message is None else (None, message)


#: What this worker answers with, and of which run it is.
_latest: tuple[str, TaskRunner] | None = None


def _answer(start: list[Any], here: tuple[str, tuple[str, ...]], task: bytes) -> tuple[bytes, int]:
    """Answer a task in a worker of Ray, with its steps; ``here``: the command's folder, path."""
    global _latest
    run = start[0].hex()
    if _latest is None or _latest[0] != run:
        folder, path = here
        with contextlib.suppress(OSError):  # a node elsewhere need not have the folder
            os.chdir(folder)
        sys.path += [place for place in path if place not in sys.path]
        _latest = (run, TaskRunner(ray.get(start[0])))
    steps: list[int] = []
    return _latest[1].answer(task, steps.append), sum(steps)
