"""Train one market from end to end: setup, candles, search, walk-forward, statistics, stage.

Prints nothing and touches no database: `pipeline.training.storing` keeps the result, and
`pipeline.training.summary` shows it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gpu_engine import Backend, Candles, Float, marked_metrics
from pipeline.causality import refuse_look_ahead
from pipeline.cli.console import Progress, no_progress
from pipeline.config import (
    PLATEAU_LIMIT,
    BayesianConfig,
    LocalExecutor,
    ProcessesExecutor,
    RandomConfig,
    TrainConfig,
)
from pipeline.errors import Note
from pipeline.executors import Executor, make_executor
from pipeline.market_data.sources import MarketCandles, bars_expected
from pipeline.search import Evaluator, Space, Surface, make_space, surface_of
from pipeline.search.backends import chosen_backend, workers
from pipeline.search.loop import SearchSettings
from pipeline.search.objective import own_objective
from pipeline.search.split import FEW, SharedEvaluator, SplitEvaluator
from pipeline.strategies.registry import LoadedStrategy
from pipeline.training.assumptions import assumptions
from pipeline.training.candles import load_candles
from pipeline.training.provenance import provenance
from pipeline.validation import out_of_sample
from pipeline.validation.luck import Evidence, LuckPlan, gather
from pipeline.validation.stages import Gate, Stage, awaits_reality_check, awaits_surrogates, judge
from pipeline.validation.surrogates import kinds_for
from pipeline.validation.walk_forward import Validation, check_against_reference, validate
from pipeline.validation.windows import final_window, splits, whole_days

#: Further workers that a search is given to when the one that had it died.
RETRIES = 2


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
class TrainingResult:
    """Everything that one run resulted in.

    ``in_sample``, ``in_sample_daily`` and ``surface`` are of the stored configuration on the days
    it was found on; all None when the final search had no admissible combination, and then
    there is nothing to store. The first two are marked to market (fills rules §10.4), the last is
    of closed trades. ``surface`` is kept for grids up to 10⁷ combinations, and ``axes`` holds its
    values. ``window_parameters`` are the winners of the validation windows.
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


def train(config: TrainConfig, reporter: Reporter) -> TrainingResult:
    """Run the whole procedure of validation rules §1 on one market.

    Raises
    ------
    UserError
        When the configuration asks for what cannot be: a backend that is not here, candles that
        are broken, a history too short; or the strategy looks ahead (docs/look-ahead.md).
    ReferenceDisagreementError
        When a winner's trades are not those of the reference path.
    """
    timings: dict[str, float] = {}
    note, progress = reporter.note, reporter.progress
    setup = set_up(config, note)
    strategy, space, settings = setup.strategy, setup.space, setup.settings
    backend, threads, tests = setup.backend, config.backend.threads, config.validation

    with _timed(timings, "candles"):
        expected = bars_expected(config.market, config.data)
        with progress("candles", expected) as advance:
            market = load_candles(config.market, config.data, strategy, backend, advance, note)
    assumed = tuple(assumptions(config.market, config.costs, market.facts))
    for sentence in (*market.warnings, *assumed):
        note(sentence)
    reporter.candles(market)
    days = whole_days(market.candles)
    parts, final = splits(tests, days), final_window(tests, days)

    evaluator = setup.evaluator(market.candles)
    with _timed(timings, "tables"):
        tables = evaluator.tables if space.few_tables else None
    with _timed(timings, "look_ahead"):
        refuse_look_ahead(space, market.candles, tables, progress=progress)
    if tables is not None and not any(map(len, tables)):
        note(
            f"{strategy.name} has no signal at all on these candles, with any value: there is"
            " nothing to search. Its filters, or what it leaves out by loosest, pass nothing."
        )
    _refuse_or_note(evaluator, settings, note)
    with _timed(timings, "search"):
        fraction = evaluator.risk.exposure
        searches = len(parts) + 1
        with progress("search", settings.evaluations(space) * searches) as advance:
            validation = validate(evaluator, parts, final, settings, fraction, advance)
    point = validation.final.point
    winners = [p for p in (*(w.search.point for w in validation.windows), point) if p is not None]
    if winners:
        with _timed(timings, "look_ahead"):
            trades = validation.trades
            refuse_look_ahead(space, market.candles, tables, winners, trades, progress)
    with _timed(timings, "reference"):
        check_against_reference(evaluator, validation)
    with _timed(timings, "surface"):
        surface = in_sample = in_sample_daily = None
        if point is not None:
            trades = evaluator.trades(point, final)
            in_sample_daily = evaluator.marked_returns(trades, final)
            in_sample = marked_metrics(fraction * trades["ret"], in_sample_daily)
        if point is not None and settings.method == "grid" and space.size <= PLATEAU_LIMIT:
            surface = surface_of(evaluator, final, settings.rule)

    statistics = out_of_sample.statistics(validation, evaluator, settings.seed)
    if not (config.synthetic or config.market.perpetual):  # where shorts need a loan
        longs = out_of_sample.long_alone(validation, evaluator)
        statistics |= {} if longs is None else {"long_alone": longs}
    figures = out_of_sample.judged_figures(validation) | statistics
    with _timed(timings, "luck"):
        full = tests.evidence == "full" or awaits_reality_check(figures)
        kinds = kinds_for(evaluator.risk.direction, statistics.get("beta"))
        luck = LuckPlan(full, kinds if awaits_surrogates(figures) else ())
        evidence = gather(evaluator, days, settings, searches, tests, luck, threads, progress)
    statistics |= evidence.statistics
    stage, gates = judge(figures | evidence.statistics)
    return TrainingResult(
        config=config,
        market=market,
        strategy=strategy.name,
        settings=settings,
        axes=_axes(space),
        validation=validation,
        parameters=_named(space, point),
        window_parameters=[_named(space, w.search.point) for w in validation.windows],
        in_sample=in_sample,
        in_sample_daily=in_sample_daily,
        surface=surface,
        evidence=evidence,
        statistics=statistics,
        spread=out_of_sample.parameter_spread(validation, [p.name for p in strategy.parameters]),
        stage=stage,
        gates=gates,
        provenance=provenance(config, market, backend.name, assumed),
        timings=timings,
    )


def _refuse_or_note(evaluator: Evaluator, settings: SearchSettings, note: Note) -> None:
    """Refuse a grid that memory does not hold; say what a search that draws leaves out."""
    if not evaluator.space.discrete:
        return
    if settings.method == "grid" or evaluator.whole_fits:
        evaluator.require_memory()
    else:
        note(
            "The reality check and the surrogates are left out: they need every combination of the"
            " grid, which are too many here. VALIDATION is out of reach (validation rules §4.6)."
            " With space=continuous they need only what the search draws."
        )


def _named(space: Space, point: Float | None) -> dict[str, Any] | None:
    return None if point is None else space.parameters(point)


def _axes(space: Space) -> dict[str, list[Any]]:
    """Values of every discrete parameter as a person writes them."""
    axes: dict[str, list[Any]] = {}
    for dimension in space.dimensions:
        if dimension.choices is not None:
            parameter = dimension.parameter
            axes[parameter.name] = [parameter.written(v) for v in dimension.choices.tolist()]
    return axes


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = round(timings.get(stage, 0.0) + time.perf_counter() - start, 3)


@dataclass(frozen=True, eq=False)
class Setup:
    """What a run searches, how, and with what; ``executor`` is None where one process does."""

    config: TrainConfig
    strategy: LoadedStrategy
    space: Space
    settings: SearchSettings
    backend: Backend
    executor: Executor | None

    def evaluator(self, candles: Candles) -> Evaluator:
        """Return what evaluates points of the space on some candles."""
        costs, limits = self.config.costs.record(), self.config.risk.limits()
        block, local = self.config.backend.block, isinstance(self.config.executor, LocalExecutor)
        threads = 1 if local else self.config.backend.threads  # of a worker
        space, backend = self.space, self.backend
        if self.executor is None:
            return Evaluator(candles, space, costs, limits, backend, block)
        kind = SplitEvaluator if self.settings.method == "grid" else SharedEvaluator
        return kind(candles, space, costs, limits, backend, block, threads, self.executor)


def set_up(config: TrainConfig, note: Note) -> Setup:
    """Make the setup of a run; ``note`` takes what was chosen instead of what is configured.

    Raises
    ------
    UserError
        When the strategy is broken or has other parameters, or the backend is not here.
    """
    strategy = config.strategy.load()
    space = make_space(
        strategy, config.strategy.parameters, continuous=config.space == "continuous"
    )
    if config.space == "continuous" and space.discrete:
        note(
            f"space=continuous: no parameter of {strategy.name} has a range (low and high), so all"
            " keep the values of their grids"
        )
    settings = _settings(config, space, note)
    backend = chosen_backend(config.backend, note, settings.at_once(space))
    executor = _executor(config, space, settings, backend, note)
    return Setup(config, strategy, space, settings, backend, executor)


def _settings(config: TrainConfig, space: Space, note: Note) -> SearchSettings:
    optimizer = config.optimizer
    budget, batch = 0, 1
    if isinstance(optimizer, RandomConfig):
        budget = optimizer.samples
    elif isinstance(optimizer, BayesianConfig):
        budget, batch = optimizer.trials, optimizer.batch
    configured = SearchSettings(
        method=optimizer.name,
        budget=budget,
        batch=batch,
        objective=config.objective,
        selection=config.selection,
        min_trades=config.min_trades,
        seed=config.seed,
        scorer=own_objective(config),
    )
    settings = configured.resolved(space)
    if settings.method != configured.method:
        note(
            f"optimizer={configured.method}: a budget of {budget:,} covers all {space.size:,}"
            " combinations, so the whole grid is searched instead"
        )
    return settings


def _executor(
    config: TrainConfig, space: Space, settings: SearchSettings, backend: Backend, note: Note
) -> Executor | None:
    """Return what shares a grid, or searches that take their time; None where one process does.

    TPE is Python and event tables are built on one core, so searches that draw by the one, or from
    ranges, are shared among processes of this machine unless another executor is named.
    """
    name, drawn = config.executor.name, settings.method != "grid"
    slow = settings.method == "bayesian" or not space.discrete
    if drawn and not slow:
        if name != "local":
            note(f"executor={name} splits a grid; optimizer={settings.method} runs in this process")
        return None
    if not isinstance(config.executor, LocalExecutor):
        return make_executor(config.executor)
    at_once = workers(backend.name, config.backend.threads)
    if not drawn or settings.budget < FEW or at_once == 1:
        return None
    return make_executor(ProcessesExecutor(name="processes", workers=at_once, retries=RETRIES))
