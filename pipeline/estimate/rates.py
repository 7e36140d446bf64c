"""Rates of this machine, measured by doing a little of each kind of work on invented candles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from gpu_engine.backend import Backend, choose
from gpu_engine.records import Candles, Float, Window
from pipeline.config import BayesianConfig, TrainConfig
from pipeline.config.search import PLATEAU_LIMIT
from pipeline.config.validation import LuckTests
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.search.backends import chosen_backend
from pipeline.search.evaluator import Evaluator
from pipeline.search.ranking import plateau
from pipeline.search.space import Space, make_space
from pipeline.strategies.registry import load_strategy
from pipeline.training.provenance import peak_memory
from pipeline.validation.luck import CSCV_BLOCKS, MOST_HELD
from pipeline.validation.overfitting import BlockSums
from pipeline.validation.reality_check import MaxSharpe
from pipeline.validation.whole_history import WholeHistory
from pipeline.validation.windows import Days, whole_days


def grid_of(config: TrainConfig) -> Space:
    """Return the discrete space of ``config``, also where its search draws from ranges.

    Raises
    ------
    UserError
        When the strategy is unknown or lacks a parameter.
    """
    strategy = load_strategy(config.strategy.name)
    try:
        return make_space(strategy, config.strategy.parameters, continuous=False)
    except KeyError as missing:
        raise UserError(
            f"strategy.parameters must be those of {strategy.name}; {missing.args[0]} is missing."
        ) from None


def few_tables(space: Space, most: int, generator: np.random.Generator) -> Space:
    """Return a discrete ``space`` with at most ``most`` structural settings, all else as it is.

    The longest structural axis loses a value, drawn at random, until they are few enough.
    """
    dimensions = list(space.dimensions)

    def length(i: int) -> int:
        choices = dimensions[i].choices
        assert choices is not None, "a discrete space has choices"
        return len(choices)

    structural = space.of_kind("structural")
    while math.prod(map(length, structural)) > most:
        longest = max(structural, key=length)
        choices = dimensions[longest].choices
        assert choices is not None, "as above"
        kept = np.delete(choices, generator.integers(len(choices)))
        dimensions[longest] = replace(dimensions[longest], choices=kept)
    return Space(space.strategy, tuple(dimensions))


def drawn(space: Space, count: int, generator: np.random.Generator) -> Float:
    """Return ``count`` different points of a discrete space, or all, float64 of shape (n, P)."""
    index = generator.choice(space.size, size=min(count, space.size), replace=False)
    return space.points(index)


#: The probe: invented candles, few event tables, so many combinations.
PROBE_DAYS, PROBE_TIMEFRAME, PROBE_TABLES, PROBE_COMBINATIONS = 90, "5m", 6, 30_000


#: Days of its short windows, points drawn, trials of TPE, and how often what is short is repeated.
PROBE_WINDOW, PROBE_POINTS, PROBE_TRIALS, REPEATS = 10, 1000, 60, 5


#: Trials that TPE draws at random before it models anything.
RANDOM_TRIALS = 10


@dataclass(frozen=True)
class Rates:
    """What each piece of the work takes here, in seconds; the fastest of some repeats.

    Attributes
    ----------
    backend : str
        The backend that was measured.
    prepare, table : float
        A bar of what all event tables share; a bar of one table.
    combination, trade : float
        One combination of a grid in one window before its first trade, and each of its trades.
    point : float
        One combination of a method that draws, likewise; it shares its filtering with no other.
    rank : float
        One combination ranked with its neighbours (`selection=plateau`) in one window.
    reference : float
        A bar on the reference path: events and trades of one combination.
    trial, trial_growth : float
        What TPE takes to propose its first trial, and what every earlier trial adds to that.
    luck : float
        A day of an admissible combination's returns through the reality check and CSCV.
    resident : int
        Bytes that the process held at most while it measured: interpreter, packages, backend.
    """

    backend: str
    prepare: float
    table: float
    combination: float
    trade: float
    point: float
    rank: float
    reference: float
    trial: float
    trial_growth: float
    luck: float
    resident: int


def measured_rates(config: TrainConfig) -> Rates:
    """Measure this machine with the strategy, backend, threads and tests of ``config``.

    TPE is measured where ``config`` asks for it, else its rates are 0. Takes about two seconds in
    a process that has compiled the backend.

    Raises
    ------
    UserError
        When the backend or the strategy is not here.
    """
    space = grid_of(config)
    backend = chosen_backend(config.backend, lambda _: None, space.size)
    rows = synthetic_candles(PROBE_DAYS, PROBE_TIMEFRAME, seed=0)
    candles = make_regular(rows, PROBE_TIMEFRAME, "probe")[0]
    probe = _Probe(config, candles, few_tables(space, PROBE_TABLES, np.random.default_rng(0)))
    evaluator = probe.evaluator(backend)
    evaluator.market  # noqa: B018 - Numba loads what it compiled, a device wakes
    prepare, table = probe.events(backend)
    combination, trade, point = _walk(evaluator, whole_days(candles))
    trial, growth = _trials(config, space)
    luck = _luck(evaluator, whole_days(candles), config.validation, config.backend.threads)
    return Rates(
        backend=backend.name,
        prepare=prepare,
        table=table,
        combination=combination,
        trade=trade,
        point=point,
        rank=_rank(probe.space),
        reference=probe.reference(evaluator),
        trial=trial,
        trial_growth=growth,
        luck=luck,
        resident=peak_memory(),
    )


@dataclass(frozen=True, eq=False)
class _Probe:
    config: TrainConfig
    candles: Candles
    space: Space

    def evaluator(self, backend: Backend) -> Evaluator:
        costs, limits = self.config.costs.record(), self.config.risk.limits()
        return Evaluator(self.candles, self.space, costs, limits, backend)

    def events(self, backend: Backend) -> tuple[float, float]:
        """Rates of what tables share and of one table."""
        bars, tables = len(self.candles), _tables(self.space)
        prepare = _fastest(lambda: self.evaluator(backend))
        both = _fastest(lambda: self.evaluator(backend).market)
        return prepare / bars, max(0.0, both - prepare) / (bars * tables)

    def reference(self, evaluator: Evaluator) -> float:
        """Rate of the reference path on one combination."""
        bars, reference = len(self.candles), choose("reference").backend
        (point,) = drawn(self.space, 1, np.random.default_rng(0))
        whole = Window(0, bars)
        return _fastest(lambda: evaluator.alone(point, reference).trades(point, whole)) / bars


def _tables(space: Space) -> int:
    return int(np.prod([space.shape[i] for i in space.of_kind("structural")], dtype=np.int64))


def _walk(evaluator: Evaluator, days: Days) -> tuple[float, float, float]:
    """Rates of a combination, of a trade and of a drawn point.

    The first two solve the times of a pass over one long window and of a pass over many short ones,
    which hold about the same trades for many times the combinations.
    """
    first_days = range(0, days.count - PROBE_WINDOW, PROBE_WINDOW)
    short = [days.window(d, d + PROBE_WINDOW) for d in first_days]
    passes = [_pass(evaluator, windows) for windows in ([days.whole], short)]
    work = np.array([(evaluated, traded) for _, evaluated, traded in passes], np.float64)
    seconds = np.array([taken for taken, _, _ in passes])
    combination, trade = np.maximum(np.linalg.lstsq(work, seconds)[0], 0.0).tolist()
    points = drawn(evaluator.space, PROBE_POINTS, np.random.default_rng(0))
    taken = _fastest(lambda: evaluator.points(points, short[:1]))
    traded = int(evaluator.points(points, short[:1])["sample_size"].sum())
    return combination, trade, max(0.0, taken - traded * trade) / len(points)


def _pass(evaluator: Evaluator, windows: list[Window]) -> tuple[float, int, int]:
    """Seconds, evaluations and trades of the first `PROBE_COMBINATIONS` in some windows."""

    def first_block() -> tuple[int, int]:
        evaluated = traded = 0
        for index, metrics in evaluator.stream(windows):
            evaluated += metrics.size
            traded += int(metrics["sample_size"].sum())
            if index[-1] >= PROBE_COMBINATIONS:
                break
        return evaluated, traded

    evaluated, traded = first_block()
    return _fastest(first_block), evaluated, traded


def _rank(space: Space) -> float:
    if space.size > PLATEAU_LIMIT:
        return 0.0  # not ranked so
    scores = np.random.default_rng(0).standard_normal(space.size)
    return _fastest(lambda: plateau(scores, space.shape)) / space.size


def _trials(config: TrainConfig, space: Space) -> tuple[float, float]:
    """TPE's rates from the halves of one study; 0 where no TPE is asked for."""
    if not isinstance(config.optimizer, BayesianConfig):
        return 0.0, 0.0
    from pipeline.search.bayesian import BayesianSearch  # Optuna takes a quarter second to import

    study = BayesianSearch(space, PROBE_TRIALS, 1, np.random.SeedSequence(0))
    scores, moments = np.random.default_rng(0), [perf_counter()]
    while len(points := study.ask()):
        study.tell(points, scores.standard_normal(len(points)))
        moments.append(perf_counter())
    modelled = np.diff(moments)[RANDOM_TRIALS:]
    growth, first = np.polyfit(np.arange(RANDOM_TRIALS, PROBE_TRIALS), modelled, 1).tolist()
    return (first, growth) if growth > 0.0 else (float(modelled.mean()), 0.0)


def _luck(evaluator: Evaluator, days: Days, luck: LuckTests, threads: int | None) -> float:
    """Rate of returns, reality check and CSCV together, as a run has them."""
    if evaluator.space.size > PLATEAU_LIMIT:
        return 0.0  # not gathered for such a grid
    sharpe = np.full(evaluator.space.size, np.nan)
    for index, metrics in evaluator.stream((days.whole,)):
        traded = metrics["sample_size"][0] > 0
        sharpe[index[traded]] = 0.0
        if index[-1] >= PROBE_COMBINATIONS:
            break
    evaluator.daily_of(drawn(evaluator.space, 1, np.random.default_rng(0)), days.whole)  # compiled
    found = WholeHistory(evaluator, days.whole, days.count, None, sharpe)
    start = perf_counter()
    cscv = BlockSums(days.count, CSCV_BLOCKS)
    with MaxSharpe(days.count, luck.resamples, 1.0, np.random.default_rng(0), threads) as check:
        for columns in found.columns(MOST_HELD, lambda _: None):
            check.add(columns)
            cscv.add(columns)
        check.result()
    cscv.result()
    return (perf_counter() - start) / (days.count * max(1, found.admissible))


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of `REPEATS`: what else runs here can only add."""
    taken = []
    for _ in range(REPEATS):
        start = perf_counter()
        work()
        taken.append(perf_counter() - start)
    return min(taken)
