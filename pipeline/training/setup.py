"""Make the setup of a run from its configuration: space, settings, backend, evaluator."""

from dataclasses import dataclass

from gpu_engine import Backend, Candles
from pipeline.cli.console import Note
from pipeline.config import BayesianConfig, RandomConfig, TrainConfig
from pipeline.errors import UserError
from pipeline.executors import Executor, make_executor
from pipeline.search import Evaluator, Space, make_space
from pipeline.search.backends import chosen_backend
from pipeline.search.loop import SearchSettings
from pipeline.search.split import SplitEvaluator
from pipeline.strategies.base import Strategy
from pipeline.strategies.registry import load_strategy


@dataclass(frozen=True, eq=False)
class Setup:
    """What a run searches, how, and with what; ``executor`` is None where one process does."""

    config: TrainConfig
    strategy: Strategy
    space: Space
    settings: SearchSettings
    backend: Backend
    executor: Executor | None

    def evaluator(self, candles: Candles) -> Evaluator:
        """Return what evaluates points of the space on some candles."""
        costs, limits = self.config.costs.record(), self.config.risk.limits()
        block, threads = self.config.backend.block, self.config.backend.threads
        space, backend = self.space, self.backend
        if self.executor is None:
            return Evaluator(candles, space, costs, limits, backend, block)
        return SplitEvaluator(candles, space, costs, limits, backend, block, threads, self.executor)


def set_up(config: TrainConfig, note: Note) -> Setup:
    """Make the setup of a run; ``note`` takes what was chosen instead of what is configured.

    Raises
    ------
    UserError
        When the strategy has other parameters, or the backend is not here.
    """
    strategy = load_strategy(config.strategy.name)
    space = _space(strategy, config)
    settings = _settings(config, space, note)
    backend = chosen_backend(config.backend, note, settings.evaluations(space))
    return Setup(config, strategy, space, settings, backend, _executor(config, settings, note))


def _space(strategy: Strategy, config: TrainConfig) -> Space:
    declared = {p.name for p in strategy.parameters}
    configured = config.strategy.parameters
    if declared != configured.keys():
        missing = ", ".join(sorted(declared - configured.keys())) or "none"
        unknown = ", ".join(sorted(configured.keys() - declared)) or "none"
        raise UserError(
            f"strategy.parameters must be those of {strategy.name}; missing: {missing}, unknown:"
            f" {unknown}."
        )
    return make_space(strategy, configured, continuous=config.space == "continuous")


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
    )
    settings = configured.resolved(space)
    if settings.method != configured.method:
        note(
            f"optimizer={configured.method}: a budget of {budget:,} covers all {space.size:,}"
            " combinations, so the whole grid is searched instead"
        )
    return settings


def _executor(config: TrainConfig, settings: SearchSettings, note: Note) -> Executor | None:
    """Return what a grid is split over; None where the search stays in this process."""
    name = config.executor.name
    if name == "local":
        return None
    if settings.method != "grid":
        note(f"executor={name} splits a grid; optimizer={settings.method} runs in this process")
        return None
    return make_executor(config.executor)
