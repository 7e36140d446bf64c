"""One market, end to end: candles, search, walk-forward, statistics, stage. Prints nothing.

The database is not touched here either: what comes out is one frozen record, which
`pipeline.training.storing` keeps and `pipeline.training.summary` shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_engine.backend import Backend
from gpu_engine.records import Candles, Float
from pipeline.cli.console import Note, Progress, no_progress
from pipeline.config import BayesianConfig, RandomConfig, TrainConfig
from pipeline.config.search import PLATEAU_LIMIT
from pipeline.errors import UserError
from pipeline.executors import Executor, make_executor
from pipeline.market_data.sources import MarketCandles, bars_expected
from pipeline.search.backends import chosen_backend
from pipeline.search.evaluator import Evaluator
from pipeline.search.grid import Surface, surface_of
from pipeline.search.loop import SearchSettings
from pipeline.search.space import Space, make_space
from pipeline.search.split import SplitEvaluator
from pipeline.strategies.base import Strategy
from pipeline.strategies.registry import load_strategy
from pipeline.training.candles import load_candles
from pipeline.training.provenance import provenance
from pipeline.validation.agreement import check_against_reference
from pipeline.validation.ambiguity import ambiguity
from pipeline.validation.bootstrap import zero_drift_bands
from pipeline.validation.luck import Evidence, gather
from pipeline.validation.seeds import BANDS, generator
from pipeline.validation.stages import Gate, Stage, judge
from pipeline.validation.statistics import sharpe_test
from pipeline.validation.walk_forward import (
    Validation,
    is_overfit,
    parameter_spread,
    validate,
    walk_forward_efficiency,
)
from pipeline.validation.windows import final_window, splits, whole_days


@dataclass(frozen=True)
class Reporter:
    """Tell whoever waits for a run how it goes; unless it is given callbacks, tell nobody.

    ``progress`` starts a stage of work, ``note`` takes what a person should know, ``candles`` is
    called once with the candles, before the search.
    """

    progress: Progress = no_progress
    note: Note = lambda text: None
    candles: Callable[[MarketCandles], None] = lambda market: None


@dataclass(frozen=True, eq=False)
class Trained:
    """Everything one run found out.

    ``in_sample``, ``in_sample_daily`` and ``surface`` are of the stored configuration on the days
    it was found on; all None when the final search had no admissible combination, and then
    there is nothing to store. ``surface`` is kept for grids up to 10⁷ combinations, and ``axes``
    holds its values. ``window_parameters`` are the winners of the validation windows.
    ``evidence`` is what the whole history says about luck; empty where ``validation.evidence`` left
    it out. ``timings`` are seconds a stage of work.
    """

    config: TrainConfig
    market: MarketCandles
    strategy: str
    settings: SearchSettings
    axes: dict[str, list[Any]]
    validation: Validation
    parameters: dict[str, Any] | None
    window_parameters: list[dict[str, Any] | None]
    in_sample: Any
    in_sample_daily: Float | None
    surface: Surface | None
    evidence: Evidence
    statistics: dict[str, Any]
    spread: dict[str, dict[str, float | None]]
    stage: Stage
    gates: list[Gate]
    provenance: dict[str, Any]
    timings: dict[str, float]


def train(config: TrainConfig, reporter: Reporter) -> Trained:
    """Run the whole procedure of validation rules §1 on one market.

    Raises
    ------
    UserError
        When the configuration asks for what cannot be: a backend that is not here, candles that
        are broken, a history too short.
    ReferenceDisagreementError
        When a winner's trades are not those of the reference path.
    """
    timings: dict[str, float] = {}
    note, progress = reporter.note, reporter.progress
    strategy = load_strategy(config.strategy.name)
    space = _space(strategy, config)
    settings = _settings(config, space, note)
    backend = chosen_backend(config.backend, note, settings.evaluations(space))
    executor = _executor(config, settings, note)

    with _timed(timings, "candles"):
        expected = bars_expected(config.market, config.data)
        with progress("candles", expected) as advance:
            market = load_candles(config.market, config.data, strategy, backend, advance, note)
    for warning in market.warnings:
        note(warning)
    reporter.candles(market)
    days = whole_days(market.candles)
    parts = splits(config.validation, days)

    with _timed(timings, "search"):
        evaluator = _evaluator(config, market.candles, space, backend, executor)
        total = settings.evaluations(space) * (len(parts) + 1)
        fraction = evaluator.risk.position_fraction
        with progress("search", total) as advance:
            final = final_window(config.validation, days)
            found = validate(evaluator, parts, final, settings, fraction, advance)
    with _timed(timings, "reference"):
        check_against_reference(evaluator, found)
    point = found.final.point
    with _timed(timings, "surface"):
        surface = None
        if point is not None and settings.method == "grid" and space.size <= PLATEAU_LIMIT:
            surface = surface_of(evaluator, final, settings.rule)

    statistics = _statistics(found, evaluator, settings.seed)
    with _timed(timings, "luck"):
        evidence = Evidence()
        if config.validation.evidence == "full" or _luck_decides(found, statistics):
            searches, luck = len(parts) + 1, config.validation
            threads = config.backend.threads
            evidence = gather(evaluator, days, settings, searches, luck, threads, progress)
    statistics |= evidence.statistics
    stage, gates = judge(_figures(found) | statistics)
    return Trained(
        config=config,
        market=market,
        strategy=strategy.name,
        settings=settings,
        axes=_axes(space),
        validation=found,
        parameters=_named(space, point),
        window_parameters=[_named(space, w.found.point) for w in found.windows],
        in_sample=None if point is None else evaluator.points(point[None], (final,))[0, 0],
        in_sample_daily=None if point is None else evaluator.daily_returns(point, final),
        surface=surface,
        evidence=evidence,
        statistics=statistics,
        spread=parameter_spread(found, [p.name for p in strategy.parameters]),
        stage=stage,
        gates=gates,
        provenance=provenance(config, market, backend.name),
        timings=timings,
    )


def _named(space: Space, point: Float | None) -> dict[str, Any] | None:
    return None if point is None else space.parameters(point)


def _space(strategy: Strategy, config: TrainConfig) -> Space:
    declared = {p.name for p in strategy.parameters}
    given = config.strategy.parameters
    if declared != given.keys():
        missing = ", ".join(sorted(declared - given.keys())) or "none"
        unknown = ", ".join(sorted(given.keys() - declared)) or "none"
        raise UserError(
            f"strategy.parameters must be those of {strategy.name}; missing: {missing}, unknown:"
            f" {unknown}."
        )
    return make_space(strategy, given, continuous=config.space == "continuous")


def _settings(config: TrainConfig, space: Space, note: Note) -> SearchSettings:
    optimizer = config.optimizer
    budget, batch = 0, 1
    if isinstance(optimizer, RandomConfig):
        budget = optimizer.samples
    elif isinstance(optimizer, BayesianConfig):
        budget, batch = optimizer.trials, optimizer.batch
    asked = SearchSettings(
        method=optimizer.name,
        budget=budget,
        batch=batch,
        objective=config.objective,
        selection=config.selection,
        min_trades=config.min_trades,
        seed=config.seed,
    )
    settled = asked.resolved(space)
    if settled.method != asked.method:
        note(
            f"optimizer={asked.method}: a budget of {budget:,} covers all {space.size:,}"
            " combinations, so the whole grid is searched instead"
        )
    return settled


def _executor(config: TrainConfig, settings: SearchSettings, note: Note) -> Executor | None:
    """Return what a grid is split over; None where the search stays in this process."""
    name = config.executor.name
    if name == "local":
        return None
    if settings.method != "grid":
        note(f"executor={name} splits a grid; optimizer={settings.method} runs in this process")
        return None
    return make_executor(config.executor)


def _evaluator(
    config: TrainConfig,
    candles: Candles,
    space: Space,
    backend: Backend,
    executor: Executor | None,
) -> Evaluator:
    """Return what evaluates points of the space, in this process or split over an executor."""
    costs, limits, block = config.costs.record(), config.risk.limits(), config.backend.block
    if executor is None:
        return Evaluator(candles, space, costs, limits, backend, block)
    threads = config.backend.threads
    return SplitEvaluator(candles, space, costs, limits, backend, block, threads, executor)


def _axes(space: Space) -> dict[str, list[Any]]:
    """Values of every discrete parameter as a person writes them."""
    axes: dict[str, list[Any]] = {}
    for dimension in space.dimensions:
        if dimension.choices is not None:
            parameter = dimension.parameter
            axes[parameter.name] = [parameter.written(v) for v in dimension.choices.tolist()]
    return axes


def _figures(found: Validation) -> dict[str, float]:
    """Out-of-sample metrics that gates judge (validation rules §6)."""
    return {n: float(found.metrics[n]) for n in ("net_profit", "sharpe_ratio", "sample_size")}


def _luck_decides(found: Validation, statistics: dict[str, Any]) -> bool:
    """Whether the stage depends on tests not made yet: it would be MATURE if they passed."""
    return judge(_figures(found) | statistics | {"reality_check_p": 0.0})[0] == "MATURE"


def _statistics(found: Validation, evaluator: Evaluator, seed: int) -> dict[str, Any]:
    """Statistics of validation rules §3 that the out-of-sample series and its trades give."""
    test = sharpe_test(found.daily)
    bands = zero_drift_bands(found.daily, generator(seed, BANDS))
    exits = ambiguity(
        evaluator.candles,
        found.trades,
        _target_multiples(found, evaluator),
        evaluator.costs,
        evaluator.risk.position_fraction,
    )
    return {
        "p_value": test.p_value,
        "z_score": test.z_score,
        "is_overfit": is_overfit(found),
        "walk_forward_efficiency": walk_forward_efficiency(found),
        "stability_score": found.final.stability_score,
        "monte_carlo_var": bands.value_at_risk,
        "monte_carlo_drawdown": bands.drawdown,
        "ambiguous_exit_share": exits.exit_share,
        "net_profit_target_first": exits.net_profit_target_first,
    }


def _target_multiples(found: Validation, evaluator: Evaluator) -> Float:
    """Target multiple of every out-of-sample trade: that of its window's winner."""
    names = [dimension.parameter.name for dimension in evaluator.space.dimensions]
    position = names.index("target_multiple")
    result = np.full(len(found.trades), np.nan)
    for window in found.windows:
        test, entry = window.split.test, found.trades["entry_bar"]
        if window.found.point is not None:
            result[(entry >= test.start) & (entry < test.end)] = window.found.point[position]
    return result


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = round(time.perf_counter() - start, 3)
