"""Repeat the whole-history search on candles without an edge (validation rules §5).

If what the search finds on the real candles is common on surrogates, the search made it. Surrogates
are drawn one after another until the answer is clear (Besag & Clifford 1991, Sequential Monte Carlo
p-values, Biometrika 78(2)).

Signs are flipped bar by bar, not day by day (validation rules §5.5): on candles with a planted edge
(gross Sharpe 8) days flipped gave bests of 5.9 to 8.1 where 6.7 and 8.2 had been found, permuted
bars 0.3 to 2.6.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np

from gpu_engine import (
    Advance,
    Backend,
    Candles,
    Costs,
    Direction,
    Float,
    RiskLimits,
    choose,
    set_threads,
)
from pipeline.config import ProcessesExecutor
from pipeline.errors import UserError
from pipeline.executors import make_executor
from pipeline.market_data.surrogate_candles import SURROGATES as MAKERS
from pipeline.search import Evaluator, Space
from pipeline.search.loop import SearchSettings
from pipeline.validation.bootstrap import SURROGATES, generator
from pipeline.validation.stages import LEVEL, rides_market
from pipeline.validation.whole_history import search_whole_history
from pipeline.validation.windows import whole_days

Kind = Literal["permuted", "bar_flipped"]

KINDS: tuple[Kind, ...] = get_args(Kind)
#: Surrogates at least as good as the real candles that end the drawing: p < 0.05 is out of reach.
ENOUGH = 4

#: Seconds of searching after which others help: a process of theirs takes two to start.
ALONE = 2.0


@dataclass(frozen=True, eq=False)
class SurrogateTest:
    """One kind's outcome: ``top`` holds the statistic of every surrogate, -inf for none.

    ``top`` is float64 of shape (l,) in the order of their numbers (validation rules §5.2).
    """

    p_value: float
    top: Float


@dataclass(frozen=True, eq=False)
class SurrogateSearch:
    """The search that is repeated: everything but the candles' order is that of the run.

    The seed of the settings and a surrogate's number give its candles; ``number`` of the search
    gives the draws of a method that draws, the same on every surrogate.
    """

    candles: Candles
    space: Space
    costs: Costs
    risk: RiskLimits
    settings: SearchSettings
    number: int

    @classmethod
    def of(cls, evaluator: Evaluator, settings: SearchSettings, number: int) -> SurrogateSearch:
        """Repeat the search of an evaluator."""
        return cls(
            evaluator.candles, evaluator.space, evaluator.costs, evaluator.risk, settings, number
        )

    def top(self, kind: Kind, surrogate: int, backend: Backend) -> float:
        """Return the statistic of one surrogate (validation rules §5.2); -inf for none."""
        rng = generator(self.settings.seed, SURROGATES, KINDS.index(kind), surrogate)
        candles = MAKERS[kind](self.candles, rng)
        evaluator = Evaluator(candles, self.space, self.costs, self.risk, backend)
        history = search_whole_history(
            evaluator, whole_days(candles), self.settings, self.number, lambda n: None
        )
        return -np.inf if history.top is None else history.top


def kinds_for(direction: Direction, beta: float | None) -> tuple[Kind, ...]:
    """Choose the kinds that keep what luck may use (validation rules §5.4).

    Without the drift of the real candles, surrogates are no fair comparison for what trades one
    side or rides the market.
    """
    return ("permuted",) if rides_market(beta) or direction != "both" else KINDS


def sequential_p(observed: float, draws: Iterable[float], most: int) -> SurrogateTest:
    """Besag-Clifford p-value of ``observed`` against at most ``most`` of ``draws``.

    ``h / l`` when h = 4 draws of l were at least as large, else ``(1 + #) / (most + 1)``. NaN
    counts as at least as large, and so does -inf: nothing traded enough to say anything.
    """
    top: list[float] = []
    reached = 0
    for value in draws:
        top.append(value)
        reached += not -np.inf < value < observed  # also where one of them is no number
        if reached == ENOUGH:
            return SurrogateTest(ENOUGH / len(top), np.array(top))
        if len(top) == most:
            break
    return SurrogateTest((1 + reached) / (len(top) + 1), np.array(top))


def against_surrogates(
    search: SurrogateSearch,
    observed: float,
    most: int,
    backend: Backend,
    workers: int,
    advance: Advance,
    kinds: Sequence[Kind] = KINDS,
) -> dict[Kind, SurrogateTest]:
    """Test ``observed``, the statistic of the real candles, against surrogates of some kinds.

    After `ALONE` seconds more than one worker search ahead, in processes of their own with one
    thread each; surrogates are judged in the order of their numbers, so the result is the same. The
    processes serve all kinds: the second is begun while the last of the first are searched. After
    a kind whose p is not below 0.05 the next is not drawn: the stage is decided.

    Raises
    ------
    UserError
        When a worker process ended early.
    """
    tests: dict[Kind, SurrogateTest] = {}
    early: dict[_Task, float] = {}  # searched, but not the next to be judged

    def tasks() -> Iterator[_Task]:
        """Yield the surrogates of one kind after the other, each kind until it is decided."""
        for kind in kinds:
            for number in range(most):
                if kind in tests:
                    break
                yield _Task(kind, number)

    def draws(kind: Kind) -> Iterator[float]:
        """Yield the statistic of one surrogate after the other."""
        for number in range(most):
            while (task := _Task(kind, number)) not in early:
                searched, top = next(results)
                early[searched] = top
            advance(1)
            yield early.pop(task)

    with closing(_searched(search, tasks(), backend, workers)) as results:
        for kind in kinds:
            tests[kind] = sequential_p(observed, draws(kind), most)
            advance(most - len(tests[kind].top))
            if not tests[kind].p_value < LEVEL:
                break
    advance(most * (len(kinds) - len(tests)))
    return tests


def _searched(
    search: SurrogateSearch, tasks: Iterator[_Task], backend: Backend, workers: int
) -> Generator[tuple[_Task, float]]:
    """Yield surrogates with their statistic, as they end."""
    began = time.monotonic()
    for task in tasks:
        yield task, search.top(task.kind, task.number, backend)
        if workers > 1 and time.monotonic() - began > ALONE:
            break
    else:
        return
    executor = make_executor(ProcessesExecutor(name="processes", workers=workers, retries=0))
    with closing(executor.run(_search, _Shared(search, backend.name), tasks)) as results:
        for ended in results:
            if ended.result is None:
                raise UserError(
                    f"A surrogate could not be searched: {ended.error} If memory ran out, set"
                    f" backend.threads below {workers}."
                )
            yield ended.task, ended.result


class _Task(NamedTuple):
    """One surrogate to search."""

    kind: Kind
    number: int


@dataclass(frozen=True, eq=False)
class _Shared:
    """What every worker process searches with; ``backend`` is a name."""

    search: SurrogateSearch
    backend: str

    @cached_property
    def one_thread(self) -> Backend:
        """The backend of this process, on one thread."""
        backend = choose(self.backend).backend
        set_threads(backend, 1)
        return backend


def _search(shared: _Shared, task: _Task, advance: Advance) -> float:
    """Search one surrogate in a worker process."""
    return shared.search.top(task.kind, task.number, shared.one_thread)
