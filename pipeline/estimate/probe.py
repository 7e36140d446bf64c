"""Time a search on invented candles, and sample how often combinations trade on those at hand."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from gpu_engine import Backend, Candles, Float
from pipeline.config import MOST_DRAWN, PLATEAU_LIMIT, GridConfig, TrainConfig
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.search import Evaluator, Space, make_space
from pipeline.search.backends import chosen_backend
from pipeline.search.loop import SearchSettings, search
from pipeline.search.objective import own_objective
from pipeline.training.provenance import peak_memory
from pipeline.validation.stages import MOST_TRADES_NEEDED, Gate, judge, least_trades_needed
from pipeline.validation.windows import whole_days
from pipeline.validation.wording import plural

#: The probe: invented candles, few event tables, so many combinations.
DAYS, TIMEFRAME, TABLES, COMBINATIONS = 90, "5m", 6, 30_000


#: The shortest of so many repeats counts: what else runs here can only add.
REPEATS = 3

#: Combinations whose trades are counted, and event tables built for them.
SAMPLE, SAMPLE_TABLES, SEED = 2000, 35, 0
#: Values of an axis that are thinned one by one: the most steps of a range.
LONGEST = 10_001
#: The busy end of the admissible: what nine of ten do not reach is called out of reach.
BUSY = 0.9
_FEW = "only for the 10 % of combinations that trade most"
_WORDS = {">": "more than", ">=": "at least"}


@dataclass(frozen=True)
class Speed:
    """Seconds that this machine takes for the two pieces of work that a training consists of.

    Attributes
    ----------
    backend : str
        The backend that was timed.
    table : float
        One bar of one event table.
    search : float
        One combination over one day, evaluated and ranked.
    resident : int
        Bytes that the process held at most meanwhile: interpreter, packages, backend.
    """

    backend: str
    table: float
    search: float
    resident: int


def measure_speed(config: TrainConfig) -> Speed:
    """Time the strategy and backend of ``config``, in about a second once they are compiled.

    Raises
    ------
    UserError
        When the backend or the strategy is not here.
    """
    grid, draw = grid_of(config), np.random.default_rng(0)
    few = thin(grid, grid.of_kind("structural"), TABLES, draw)
    space = thin(few, range(len(few.dimensions)), COMBINATIONS, draw)
    backend = chosen_backend(config.backend, lambda _: None, space.size)
    rows = synthetic_candles(DAYS, TIMEFRAME, seed=0)
    candles = make_regular(rows, TIMEFRAME, "probe")[0]
    costs, limits = config.costs.record(), config.risk.limits()
    evaluator = Evaluator(candles, space, costs, limits, backend)
    rank = config.selection != "peak" and grid.size <= PLATEAU_LIMIT
    settings = SearchSettings(
        method="grid",
        budget=0,
        batch=0,
        objective=config.objective,
        selection="plateau" if rank else "peak",
        min_trades=config.min_trades,
        seed=0,
        scorer=own_objective(config),
    )
    whole = (whole_days(candles).whole,)

    def search_once() -> None:
        search(evaluator, whole, settings, lambda _: None)

    search_once()  # compiles
    structural = [space.shape[i] for i in space.of_kind("structural")]
    return Speed(
        backend=backend.name,
        table=_shortest(lambda: Evaluator(candles, space, costs, limits, backend).market)
        / (len(candles) * math.prod(structural)),
        search=_shortest(search_once) / (space.size * DAYS),
        resident=peak_memory(),
    )


def grid_of(config: TrainConfig) -> Space:
    """Return the discrete space of ``config``, also where its search draws from ranges.

    Raises
    ------
    UserError
        When the strategy is unknown or lacks a parameter.
    """
    return make_space(config.strategy.load(), config.strategy.parameters, continuous=False)


def thin(space: Space, axes: Sequence[int], most: int, generator: np.random.Generator) -> Space:
    """Return a discrete ``space`` with at most ``most`` settings of ``axes``, all else as it is.

    The longest of the axes loses a value, drawn at random, until they are few enough. An axis of
    more than `LONGEST` values loses every second, third and so on before.
    """
    choices = [axis.choices for axis in space.dimensions if axis.choices is not None]
    choices = [values[:: -(-len(values) // LONGEST)] for values in choices]
    while math.prod(len(choices[i]) for i in axes) > most:
        longest = max(axes, key=lambda i: len(choices[i]))
        choices[longest] = np.delete(choices[longest], generator.integers(len(choices[longest])))
    kept = zip(space.dimensions, choices, strict=True)
    return Space(space.strategy, tuple(replace(axis, choices=values) for axis, values in kept))


def draw_points(space: Space, count: int, generator: np.random.Generator) -> Float:
    """Return ``count`` different points of a discrete space, or all, float64 of shape (n, P)."""
    if space.size > MOST_DRAWN:
        return np.column_stack([d.draw(count, generator) for d in space.dimensions])
    index = generator.choice(space.size, size=min(count, space.size), replace=False)
    return space.points(index)


def _shortest(work: Callable[[], object]) -> float:
    """Seconds of the shortest of `REPEATS`."""
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        work()
        seconds.append(perf_counter() - start)
    return min(seconds)


@dataclass(frozen=True)
class TradeFrequency:
    """Trades a day of a sample of combinations.

    Attributes
    ----------
    admissible_share : float
        Of them that trade often enough (``min_trades``) to win a search.
    active_share : float
        Of them that do so over the whole history: those that are held against luck.
    typical, busy : float
        Median and upper decile of the admissible; 0 where none is.
    outcome_bytes : int
        Of all exit settings at the entries of the sampled tables.
    """

    admissible_share: float
    active_share: float
    typical: float
    busy: float
    outcome_bytes: int = 0


def sample_trades(
    config: TrainConfig, space: Space, candles: Candles, backend: Backend, days: float, whole: float
) -> TradeFrequency:
    """Evaluate a seeded sample of the grid's combinations once over all whole days.

    Admissible is what trades ``min_trades`` times in the ``days`` of a search at its rate, active
    what does in the ``whole`` days of the history.
    """
    rng, at_hand = np.random.default_rng(SEED), whole_days(candles)
    if not at_hand.count:
        raise UserError(f"{config.market.id}: the candles hold no whole UTC day.")
    few = thin(space, space.of_kind("structural"), SAMPLE_TABLES, rng)
    evaluator = Evaluator(candles, few, config.costs.record(), config.risk.limits(), backend)
    if isinstance(config.optimizer, GridConfig):
        evaluator.require_memory()
    metrics = evaluator.points(draw_points(few, SAMPLE, rng), (at_hand.whole,))[0]
    a_day = metrics["sample_size"] / at_hand.count
    admissible = a_day * days >= config.min_trades
    typical, busy = np.quantile(a_day[admissible], (0.5, BUSY)) if admissible.any() else (0.0, 0.0)
    active = a_day * whole >= config.min_trades
    shares = float(admissible.mean()), float(active.mean())
    return TradeFrequency(*shares, float(typical), float(busy), evaluator.outcome_bytes)


def power_note(traded: TradeFrequency, test_days: float, all_test_days: float, step_ms: int) -> str:
    """Say how many trades to expect, and which stages that many cannot reach.

    ``step_ms`` is the length of a candle: of long ones MATURE asks for as many trades as the record
    needs (validation rules §6.10), which nobody knows before, so the least that it may ask for
    counts.
    """
    if not traded.admissible_share:
        return "no combination sampled trades often enough to win a search (min_trades)"
    window, total = round(traded.typical * test_days), round(traded.typical * all_test_days)
    busy = round(traded.busy * all_test_days)
    needed = least_trades_needed(step_ms)
    clauses = list(_clauses(total, busy, needed)) or ["enough for every stage"]
    if needed <= total < MOST_TRADES_NEEDED:
        clauses.append(f"MATURE may ask for up to {MOST_TRADES_NEEDED}, as the record needs")
    return f"about {plural(window, 'trade')} a window, {total:,} in all: {'; '.join(clauses)}"


def _clauses(total: int, busy: int, needed: int) -> Iterator[str]:
    """Stages that ``total`` trades do not reach, lowest first; ``busy`` trades may."""
    for gate, at_best in zip(_gates(total, needed), _gates(busy, needed), strict=True):
        if gate.passed:
            continue
        # Failing a gate of DISCOVERY holds a configuration there; those of MATURE lift it there.
        beyond = gate.stage if gate.stage == "MATURE" else f"more than {gate.stage}"
        outcome = _FEW if at_best.passed else "out of reach"
        asked = f"{_WORDS[gate.comparison]} {gate.threshold:g}"
        if gate.stage == "MATURE" and needed < MOST_TRADES_NEEDED:
            asked += f", up to {MOST_TRADES_NEEDED} as the record needs"
        yield f"{beyond} ({asked}) is {outcome}"


def _gates(trades: int, needed: int) -> list[Gate]:
    figures = {"sample_size": trades, "trades_needed": needed}
    return [gate for gate in judge(figures)[1] if gate.name == "sample_size"]
