"""Time this tree beside another one in the same minutes (`scripts/bench --against PATH`).

Each tree runs in processes of its own, under its own PYTHONPATH and its own Python where it has
one. Every measurement alternates: the other tree, this one, the other, this one. A machine that
others use changes its speed within minutes, so the ratio of neighbours says more than two medians.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
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
    pairs: int
    task: str = ""
    backend: str = "numba"


TASKS = (
    Task("grid", "grid, numba", 7, "grid"),
    Task("numpy", "grid, numpy", 3, "grid", "numpy"),
    Task("events", "event tables", 7, "events"),
    Task("walk", "walk alone, numba", 7, "walk"),
    Task("walk_numpy", "walk alone, numpy", 3, "walk", "numpy"),
    Task("scores", "scores, resident, numba", 7, "scores"),
    Task("fine", "16 x combinations", 5, "fine"),
    Task("long", "4 x candles", 5, "long"),
    Task("memory", "peak MB, grid, numba", 3, "grid"),
    Task("memory_numpy", "peak MB, grid, numpy", 1, "grid", "numpy"),
    Task("surrogates", f"2 x {side.SURROGATES} surrogates", 1, "surrogates"),
    Task("train_grid", "train, optimizer=grid", 3),
    Task("train_bayesian", "train, bayesian", 3),
)
NAMES = tuple(task.name for task in TASKS)


class Run(NamedTuple):
    """One measurement; ``amount`` is in seconds, or in MB for a peak of memory."""

    amount: float
    cpu: float


class Row(NamedTuple):
    """All pairs of one task: the other tree's run first."""

    task: Task
    pairs: list[tuple[Run, Run]]

    def figures(self) -> dict[str, Any]:
        """Return medians of both trees and the ratios of the pairs, as plain values."""
        result: dict[str, Any] = {"what": self.task.what, "pairs": len(self.pairs)}
        for field in Run._fields:
            there = [getattr(run, field) for run, _ in self.pairs]
            here = [getattr(run, field) for _, run in self.pairs]
            if all(here):
                ratios = [a / b for a, b in zip(there, here, strict=True)]
                result[field] = {
                    "there": statistics.median(there),
                    "here": statistics.median(here),
                    "ratio": statistics.median(ratios),
                    "ratios": [min(ratios), max(ratios)],
                }
        return result


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
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        return told.stdout.strip() or self.path.name

    def side(self, candles: Path) -> "SideProcess":
        """Start a process that measures this tree."""
        return SideProcess(self, candles)

    def train(self, words: Sequence[str], folder: Path) -> Run:
        """Run ``scripts/train`` as a shell does; its files go below ``folder``."""
        command = [self.python, "-P", "-m", "pipeline.train", *words]
        done: list[subprocess.CompletedProcess[str]] = []
        options: dict[str, Any] = {"cwd": folder, "env": self.environment, "text": True}
        work = partial(subprocess.run, command, capture_output=True, check=False, **options)
        taken = side.timed(lambda: done.append(work()))
        if done[0].returncode:
            raise UserError(
                f"{self.path}: {' '.join(words)} ended with status {done[0].returncode}:\n"
                + done[0].stderr[-2000:]
            )
        return Run(taken["seconds"], taken["cpu"])


class SideProcess:
    """A running `side.py` in one tree."""

    def __init__(self, tree: Tree, candles: Path) -> None:
        self._tree = tree
        self._process = subprocess.Popen(
            [tree.python, "-P", side.__file__, str(candles)],
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


def compare_trees(
    path: Path,
    candles: Candles,
    words: Sequence[str],
    names: Sequence[str],
    pairs: int | None,
    console: Console,
) -> dict[str, Any]:
    """Compare the tree at ``path`` with this one, figures first, then time.

    Parameters
    ----------
    words : sequence of str
        What ``scripts/train`` is told, but for the optimizer.
    names : sequence of str
        Tasks of `TASKS` to measure.
    pairs : int or None
        Measurements of each task; None takes each task's own number.

    Returns
    -------
    dict
        ``trees`` (names), ``changes`` and ``rows``, as plain values.
    """
    there, here = Tree(path), Tree(HERE)
    report: dict[str, Any] = {"trees": {"there": there.name, "here": here.name}, "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "candles.npz"
        save_candles(candles, packed)
        comparison = Comparison(there, here, packed, tuple(words))
        console.note("comparing metrics of the whole grid and trades of a part")
        report["changes"] = comparison.changes().plain()
        for task in TASKS:
            if task.name in names:
                console.note(f"timing {task.what}")
                row = comparison.measure(task, pairs or task.pairs)
                report["rows"].append(row.figures())
    return report


class Comparison(NamedTuple):
    """Two trees on one history."""

    there: Tree
    here: Tree
    candles: Path
    words: tuple[str, ...]

    def changes(self) -> Changes:
        """Evaluate the whole grid and some trades in both trees and count what differs."""
        folders = []
        for name, tree in (("there", self.there), ("here", self.here)):
            folder = self.candles.parent / name
            folder.mkdir()
            with tree.side(self.candles) as process:
                process.ask(save=str(folder), backend="numba", sample=SAMPLE)
            folders.append(folder)
        return changes_between(*folders)

    def measure(self, task: Task, pairs: int) -> Row:
        """Measure one task so many times in turn."""
        if task.name.startswith("train_"):
            return self._alternate(task, pairs, *map(self._training(task), (self.there, self.here)))
        if task.name.startswith("memory"):
            return self._alternate(task, pairs, *map(self._peak(task), (self.there, self.here)))
        with ExitStack() as stack:
            sides = [stack.enter_context(t.side(self.candles)) for t in (self.there, self.here)]
            request = {"task": task.task, "backend": task.backend}
            for some in sides:
                some.ask(**request, run=False)
            return self._alternate(task, pairs, *(partial(_timed, s, request) for s in sides))

    def _alternate(
        self, task: Task, pairs: int, there: Callable[[], Run], here: Callable[[], Run]
    ) -> Row:
        return Row(task, [(there(), here()) for _ in range(pairs)])

    def _peak(self, task: Task) -> Callable[[Tree], Callable[[], Run]]:
        def peak(tree: Tree) -> Run:
            with tree.side(self.candles) as process:
                answer = process.ask(task=task.task, backend=task.backend)
            return Run(answer["peak"] / 1e6, 0.0)

        return lambda tree: partial(peak, tree)

    def _training(self, task: Task) -> Callable[[Tree], Callable[[], Run]]:
        method = task.name.removeprefix("train_")

        def train(tree: Tree) -> Run:
            folder = Path(tempfile.mkdtemp(dir=self.candles.parent))
            return tree.train([*self.words, f"optimizer={method}"], folder)

        return lambda tree: partial(train, tree)


def _timed(process: SideProcess, request: dict[str, str]) -> Run:
    answer = process.ask(**request)
    return Run(answer["seconds"], answer["cpu"])


def save_candles(candles: Candles, path: Path) -> None:
    """Write candles where both trees read them."""
    columns: dict[str, Any] = {f.name: getattr(candles, f.name) for f in fields(candles)}
    np.savez(path, **columns)
