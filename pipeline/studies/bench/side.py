"""Measure one tree: the process that `pipeline.studies.bench.trees` starts for each.

A process runs this file under the PYTHONPATH of the tree that it measures. The tree may be an older
one, so this file imports only names that both have, and tries a former place where a name has
moved. It reads one request a line and answers one JSON object a line.

    {"task": "grid", "backend": "numba"}  -> {"seconds": 0.31, "cpu": 0.52}
    {"save": FOLDER, "sample": 200}       -> metrics and trades of the default grid as NumPy files
"""

import importlib
import json
import math
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

Work = Callable[[], object]

#: Bars on which a backend warms up: Numba loads what it compiled.
WARM_UP_BARS = 5_000
#: Surrogate searches of each kind, as a run makes them.
SURROGATES = 99


def imported(*places: str) -> Any:
    """Return the first of ``module:name`` places that this tree has."""
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ModuleNotFoundError, AttributeError):
            continue
    raise ImportError(f"this tree has none of {', '.join(places)}")


class _NoBackend:
    """Load nothing, so that only the event tables take time."""

    name = "none"

    def load(self, book: Any) -> None:
        """Forget the book."""


def default(overrides: list[str]) -> tuple[Any, Any]:
    """Return what the configuration of this tree searches, and how; by default without overrides.

    An older tree takes none.
    """
    try:
        training = imported(
            "pipeline.studies.bench.training:Training", "pipeline.studies.bench.timing:Training"
        ).default(*([overrides] if overrides else []))
    except ImportError:
        setting = imported("pipeline.bench.setting:Setting").default()
        return setting, setting.bayesian
    return training.setting, training.search


class Side:
    """The work of every task on one history."""

    def __init__(self, path: Path, overrides: list[str]) -> None:
        with np.load(path) as packed:
            columns = {name: packed[name] for name in packed.files}
        candles = imported("gpu_engine.records:Candles")
        self.candles = candles(**{**columns, "step_ms": int(columns["step_ms"])})
        self.setting, self.search = default(overrides)
        self._choose = imported("gpu_engine.backend:choose")
        self._window = imported("gpu_engine.records:Window")
        self._work: dict[tuple[str, str], Work] = {}

    def work(self, task: str, backend: str) -> Work:
        """Return the work of a task, warmed up: compiled code loaded, resident data in place."""
        if (task, backend) not in self._work:
            chosen = self._choose(backend).backend
            self._pass(self.setting, self.candles.cut(0, WARM_UP_BARS), chosen)()
            self._work[task, backend] = getattr(self, f"_{task}")(chosen)
        return self._work[task, backend]

    def _pass(self, setting: Any, candles: Any, backend: Any) -> Work:
        """From candles in memory to all metrics of every combination."""

        def work() -> None:
            evaluator = setting.evaluator(candles, backend)
            for _ in evaluator.stream((self._window(0, len(candles)),)):
                pass

        return work

    def _grid(self, backend: Any) -> Work:
        return self._pass(self.setting, self.candles, backend)

    def _fine(self, backend: Any) -> Work:
        return self._pass(self.setting.refined(), self.candles, backend)

    def _long(self, backend: Any) -> Work:
        repeated = imported(
            "pipeline.studies.bench.setting:repeated", "pipeline.bench.setting:repeated"
        )
        return self._pass(self.setting, repeated(self.candles, 4), backend)

    def _events(self, backend: Any) -> Work:
        return lambda: self.setting.evaluator(self.candles, _NoBackend()).market

    def _walk(self, backend: Any) -> Work:
        evaluator, windows = self._resident(backend)

        def work() -> None:
            for _ in evaluator.stream(windows):
                pass

        return work

    def _scores(self, backend: Any) -> Work:
        evaluator, windows = self._resident(backend)
        scores = imported("pipeline.search.grid:Scores")
        rule = imported("gpu_engine.scoring:ScoreRule")()
        return lambda: evaluator.walk(scores(windows, rule), _ignore)

    def _surrogates(self, backend: Any) -> Work:
        """Search all surrogates of both kinds; none ends the drawing."""
        module = "pipeline.validation.surrogates"
        evaluator = self.setting.evaluator(self.candles, backend)
        changed = imported("dataclasses:replace")(self.search, method="grid")
        search = imported(f"{module}:SurrogateSearch").of(evaluator, changed, 0)
        against, workers = imported(f"{module}:against_surrogates"), os.cpu_count() or 1
        return lambda: against(search, math.inf, SURROGATES, backend, workers, _ignore)

    def _resident(self, backend: Any) -> tuple[Any, Any]:
        evaluator = self.setting.evaluator(self.candles, backend)
        _ = evaluator.market
        return evaluator, (self._window(0, len(self.candles)),)

    def save(self, folder: Path, backend: str, sample: int) -> dict[str, Any]:
        """Save the metrics of the whole grid in index order, and trades of ``sample`` points."""
        evaluator, windows = self._resident(self._choose(backend).backend)
        size = self.setting.space.size
        metrics = np.empty(size, imported("gpu_engine.records:METRICS"))
        for index, some in evaluator.stream(windows):
            metrics[index] = some[0]
        np.save(folder / "metrics.npy", metrics)
        chosen = np.sort(np.random.default_rng(0).choice(size, min(sample, size), replace=False))
        reasons = np.array(imported("gpu_engine.records:REASONS"))
        trades = [
            evaluator.trades(point, windows[0]) for point in self.setting.space.points(chosen)
        ]
        rows: Any = np.concatenate(trades)
        owner = np.repeat(chosen, [len(some) for some in trades])
        columns = {name: rows[name] for name in ("side", "entry_bar", "exit_bar", "exit")}
        np.savez(
            folder / "trades.npz", **{**columns, "reason": reasons[rows["reason"]], "of": owner}
        )
        return {"combinations": size, "trades": len(rows)}


def timed(work: Work) -> dict[str, float]:
    """Run ``work``; seconds by the clock, and of all processors, with those of ended children."""
    before, start = _cpu(), perf_counter()
    work()
    return {"seconds": perf_counter() - start, "cpu": _cpu() - before}


def warm(work: Work) -> dict[str, float]:
    """Time work of less than a second again: the first time follows a turn of the other tree.

    Caches then hold that tree's data, and threads that slept begin late.
    """
    first = timed(work)
    return timed(work) if first["seconds"] < 1.0 else first


def _cpu() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def peak_memory() -> int:
    """Return the most resident memory that this process has held, bytes.

    As in `pipeline.training.provenance`, which an older tree has elsewhere and which imports more
    than what is measured here needs.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _ignore(done: int) -> None:
    pass


def main() -> None:
    """Answer requests until the input ends. What libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    side = Side(Path(sys.argv[1]), sys.argv[2:])
    for line in sys.stdin:
        request = json.loads(line)
        if "save" in request:
            folder = Path(request["save"])
            answer = side.save(folder, request["backend"], request["sample"])
        else:
            work = side.work(request["task"], request["backend"])
            answer = warm(work) if request.get("run", True) else {}
            answer["peak"] = peak_memory()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
