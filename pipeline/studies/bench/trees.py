"""Time this tree, alone or beside another one in the same minutes (`scripts/bench`).

Each tree runs in processes of its own, under its own PYTHONPATH and its own Python where it has
one. Every measurement alternates: the other tree, this one, the other, this one. A machine that
others use changes its speed within minutes, so the ratio of neighbours says more than two medians.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from gpu_engine import Candles
from pipeline.cli.console import Console
from pipeline.errors import UserError
from pipeline.studies.bench import side
from pipeline.studies.bench.changes import Changes, changes_between

#: The tree that this module belongs to.
HERE = Path(__file__).resolve().parents[3]
#: Combinations whose trades are compared one by one.
SAMPLE = 200


class Task(NamedTuple):
    """What is measured: a task of `side.Side` on a backend, or a whole command; and how often."""

    name: str
    what: str
    runs: int
    task: str = ""
    backend: str = ""

    @property
    def label(self) -> str:
        """What a table calls it."""
        return f"{self.what}, {self.backend}" if self.backend else self.what


TASKS = (
    Task("grid", "grid", 7, "grid", "numba"),
    Task("numpy", "grid", 3, "grid", "numpy"),
    Task("events", "event tables", 7, "events", "numba"),
    Task("events_numpy", "event tables", 5, "events", "numpy"),
    Task("walk", "walk alone", 7, "walk", "numba"),
    Task("walk_numpy", "walk alone", 3, "walk", "numpy"),
    Task("scores", "scores, resident", 7, "scores", "numba"),
    Task("fine", "16 x combinations", 5, "fine", "numba"),
    Task("long", "4 x candles", 5, "long", "numba"),
    Task("memory", "peak MB", 3, "grid", "numba"),
    Task("memory_numpy", "peak MB", 1, "grid", "numpy"),
    Task("surrogates", f"2 x {side.SURROGATES} surrogates", 1, "surrogates", "numba"),
    Task("train_grid", "train, grid", 3),
    Task("train_bayesian", "train, bayesian", 3),
)
NAMES = tuple(task.name for task in TASKS)


def tasks_of(names: Sequence[str], backend: str | None, runs: int | None) -> list[Task]:
    """List the tasks called ``names``: those of one backend, or all; each so many times."""
    chosen = [task for task in TASKS if task.name in names]
    if backend:
        own = [task for task in chosen if task.backend in (backend, "")]
        others = [task._replace(backend=backend) for task in chosen if task.backend == "numba"]
        chosen = own if any(task.backend for task in own) else others
    return [task._replace(runs=runs or task.runs) for task in chosen]


class Run(NamedTuple):
    """One measurement; ``amount`` is in seconds, or in MB for a peak of memory."""

    amount: float
    cpu: float


class Row(NamedTuple):
    """All runs of one task, a tuple a time: one run a tree, the other tree's first."""

    task: Task
    runs: list[tuple[Run, ...]]

    def figures(self) -> dict[str, Any]:
        """Return each tree's median and range, and the ratios of neighbours, as plain values."""
        result: dict[str, Any] = {"what": self.task.label, "runs": len(self.runs)}
        for field in Run._fields:
            trees = np.array([[getattr(run, field) for run in runs] for runs in self.runs]).T
            if not trees.all():
                continue
            result[field] = {"medians": np.median(trees, axis=1).tolist()}
            result[field]["range"] = [trees[-1].min(), trees[-1].max()]
            if len(trees) == 2:
                ratios = trees[0] / trees[1]
                result[field]["ratio"] = float(np.median(ratios))
                result[field]["ratios"] = [ratios.min(), ratios.max()]
        return result


class TrainingRefusedError(UserError):
    """``scripts/train`` ended with another status than 0; the message has what it said."""


class Tree:
    """A checkout: its name, its Python, and how its processes are started."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        missing = [n for n in ("gpu_engine", "pipeline") if not (self.path / n).is_dir()]
        if missing:
            raise UserError(
                f"--against {path} is no checkout of this project: it has no folder"
                f" {' and no folder '.join(missing)}. Make one with: git worktree add PATH COMMIT"
            )
        own = self.path / ".venv" / "bin" / "python"
        self.python = str(own if own.exists() else sys.executable)
        self.environment = {**os.environ, "PYTHONPATH": str(self.path)}

    @property
    def name(self) -> str:
        """The commit, or the folder where git knows none; a plus where files were changed."""
        command = ["git", "-C", str(self.path), "describe", "--always", "--exclude=*", "--dirty=+"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        return run.stdout.strip() or self.path.name

    def side(self, candles: Path, overrides: Sequence[str]) -> "SideProcess":
        """Start a process that measures this tree."""
        return SideProcess(self, candles, overrides)

    def train(self, words: Sequence[str], folder: Path) -> Run:
        """Run ``scripts/train`` as a shell does; its files go below ``folder``."""
        command = [self.python, "-P", "-m", "pipeline.train", *words]
        done: list[subprocess.CompletedProcess[str]] = []
        options: dict[str, Any] = {"cwd": folder, "env": self.environment, "text": True}
        work = partial(subprocess.run, command, capture_output=True, check=False, **options)
        taken = side.timed(lambda: done.append(work()))
        if done[0].returncode:
            raise TrainingRefusedError(
                f"{self.path}: {' '.join(words)} ended with status {done[0].returncode}:\n"
                + done[0].stderr[-2000:]
            )
        return Run(taken["seconds"], taken["cpu"])


class SideProcess:
    """A running `side.py` in one tree."""

    def __init__(self, tree: Tree, candles: Path, overrides: Sequence[str]) -> None:
        self._tree = tree
        self._process = subprocess.Popen(
            [tree.python, "-P", side.__file__, str(candles), *overrides],
            env=tree.environment,
            cwd=candles.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises
        ------
        UserError
            When the process has ended; what it said stands on standard error.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            answer = ""
        else:
            answer = self._process.stdout.readline()
        if not answer:
            raise UserError(f"{self._tree.path} could not answer {request}; see above")
        told: dict[str, Any] = json.loads(answer)
        return told


class Measurement(NamedTuple):
    """Trees on one history: this one last. ``words`` tell ``scripts/train`` of the same history.

    ``overrides`` are words of the training that is measured, such as ``strategy=...``.
    """

    trees: tuple[Tree, ...]
    candles: Path
    words: tuple[str, ...]
    overrides: tuple[str, ...]

    def changes(self) -> Changes:
        """Evaluate the whole grid and some trades in both trees and count what differs."""
        folders = []
        for tree in self.trees:
            folder = Path(tempfile.mkdtemp(dir=self.candles.parent))
            with tree.side(self.candles, self.overrides) as process:
                process.ask(save=str(folder), backend="numba", sample=SAMPLE)
            folders.append(folder)
        return changes_between(*folders)

    def measure(self, task: Task) -> Row:
        """Measure one task in all trees, in turn."""
        with ExitStack() as stack:
            works = [self._work(task, tree, stack) for tree in self.trees]
            return Row(task, [tuple(work() for work in works) for _ in range(task.runs)])

    def _work(self, task: Task, tree: Tree, stack: ExitStack) -> Callable[[], Run]:
        if not task.task:
            return partial(self._train, tree, task.name.removeprefix("train_"))
        request = {"task": task.task, "backend": task.backend}
        if task.name.startswith("memory"):
            return partial(self._peak, tree, request)
        process = stack.enter_context(tree.side(self.candles, self.overrides))
        process.ask(**request, run=False)
        return partial(_timed, process, request)

    def _peak(self, tree: Tree, request: dict[str, str]) -> Run:
        with tree.side(self.candles, self.overrides) as process:
            return Run(process.ask(**request)["peak"] / 1e6, 0.0)

    def _train(self, tree: Tree, method: str) -> Run:
        folder = Path(tempfile.mkdtemp(dir=self.candles.parent))
        return tree.train([*self.words, f"optimizer={method}", *self.overrides], folder)


def measure_trees(
    candles: Candles,
    other: Path | None,
    words: Sequence[str],
    overrides: Sequence[str],
    tasks: Sequence[Task],
    console: Console,
) -> dict[str, Any]:
    """Measure tasks in this tree, or in the tree at ``other`` and in this one, in turn.

    ``words`` tell ``scripts/train`` of the same candles, ``overrides`` are those of every training.
    A training that refuses them, as it does a short history, is passed over with a note.

    Returns
    -------
    dict
        ``trees`` (names), with ``other`` also ``changes``, and ``rows``, as plain values.
    """
    trees = (Tree(other), Tree(HERE)) if other else (Tree(HERE),)
    report: dict[str, Any] = {"trees": [tree.name for tree in trees]}
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "candles.npz"
        names = (*candles.COLUMNS, "step_ms")
        columns: dict[str, Any] = {name: getattr(candles, name) for name in names}
        np.savez(packed, **columns)
        measurement = Measurement(trees, packed, tuple(words), tuple(overrides))
        if other:
            console.note("comparing metrics of the whole grid and trades of a part")
            report["changes"] = measurement.changes().plain()
        report["rows"] = []
        for task in tasks:
            console.note(f"timing {task.label}")
            try:
                report["rows"].append(measurement.measure(task).figures())
            except TrainingRefusedError as error:
                console.note(str(error))
    return report


def _timed(process: SideProcess, request: dict[str, str]) -> Run:
    answer = process.ask(**request)
    return Run(answer["seconds"], answer["cpu"])
