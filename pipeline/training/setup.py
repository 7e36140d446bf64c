"""Make the setup of a run from its configuration: space, settings, backend, evaluator."""

from dataclasses import dataclass

from gpu_engine import Backend, Candles
from pipeline.config import (
    BayesianConfig,
    LocalExecutor,
    ProcessesExecutor,
    RandomConfig,
    TrainConfig,
)
from pipeline.errors import Note
from pipeline.executors import Executor, make_executor
from pipeline.search import Evaluator, Space, make_space
from pipeline.search.backends import chosen_backend, workers
from pipeline.search.loop import SearchSettings
from pipeline.search.objective import own_objective
from pipeline.search.split import FEW, SharedEvaluator, SplitEvaluator
from pipeline.strategies.registry import LoadedStrategy

#: Further workers that a search is given to when the one that had it died.
RETRIES = 2


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
