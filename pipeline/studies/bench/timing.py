"""Time the engine and the searches, from candles in memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from time import perf_counter
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from gpu_engine import Backend, Batch, Candles, EventBook, Float, Window
from pipeline.config import BayesianConfig, TrainConfig, ValidationConfig, load
from pipeline.search import make_space
from pipeline.search.backends import named_backend
from pipeline.search.loop import SearchSettings
from pipeline.strategies.registry import load_strategy
from pipeline.studies.bench.setting import Setting
from pipeline.studies.bench.side import WARM_UP_BARS, peak_memory
from pipeline.validation.walk_forward import validate
from pipeline.validation.windows import final_window, splits, whole_days


class Training(NamedTuple):
    """A training as the configuration describes it: its grid, its search and its validation."""

    setting: Setting
    search: SearchSettings
    validation: ValidationConfig

    @classmethod
    def default(cls, overrides: Sequence[str] = ()) -> Training:
        """Take what ``scripts/train market=demo optimizer=bayesian`` would."""
        config = load(["market=demo", "optimizer=bayesian", *overrides], TrainConfig, "train")
        assert isinstance(config.optimizer, BayesianConfig), "as the overrides say"
        strategy = load_strategy(config.strategy.name)
        space = make_space(strategy, config.strategy.parameters, continuous=False)
        search = SearchSettings(
            "bayesian",
            config.optimizer.trials,
            config.optimizer.batch,
            config.objective,
            config.selection,
            config.min_trades,
            config.seed,
        )
        setting = Setting(space, config.costs.record(), config.risk.limits())
        return cls(setting, search, config.validation)


class Seconds(NamedTuple):
    """One pass over a grid, by stage.

    ``events`` is all that is not the backend's: event tables, their flattening, decoded indices.
    """

    events: float
    outcomes: float
    walk: float
    total: float


class Stopwatch:
    """A backend that notes how long another one takes to answer (see `Backend`)."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self.name = backend, backend.name
        self.outcomes = self.walk = 0.0

    def load(self, book: EventBook) -> Any:
        """Load the other, on the clock of the outcomes."""
        start = perf_counter()
        loaded = self._backend.load(book)
        self.outcomes += perf_counter() - start
        return loaded

    def evaluate(self, loaded: Any, batch: Batch, windows: tuple[Window, ...]) -> NDArray[Any]:
        """Let the other evaluate, on the clock of the walk."""
        start = perf_counter()
        metrics = self._backend.evaluate(loaded, batch, windows)
        self.walk += perf_counter() - start
        return metrics

    def daily_returns(self, loaded: Any, batch: Batch, window: Window) -> Float:
        """Not timed."""
        return self._backend.daily_returns(loaded, batch, window)

    def trades(self, loaded: Any, batch: Batch, window: Window) -> NDArray[Any]:
        """Not timed."""
        return self._backend.trades(loaded, batch, window)


def time_grid(setting: Setting, candles: Candles, backend: Backend, repeats: int) -> Seconds:
    """From candles in memory to the metrics of every combination: the median of some passes."""
    _one_pass(setting, candles.cut(0, min(WARM_UP_BARS, len(candles))), backend)
    passes = [_one_pass(setting, candles, backend) for _ in range(repeats)]
    return sorted(passes, key=lambda seconds: seconds.total)[repeats // 2]


def _one_pass(setting: Setting, candles: Candles, backend: Backend) -> Seconds:
    watch = Stopwatch(backend)
    start = perf_counter()
    evaluator = setting.evaluator(candles, watch)
    for _ in evaluator.stream((Window(0, len(candles)),)):
        pass
    total = perf_counter() - start
    return Seconds(total - watch.outcomes - watch.walk, watch.outcomes, watch.walk, total)


def time_alone(setting: Setting, candles: Candles, name: str, repeats: int) -> tuple[Seconds, int]:
    """Time the grid in a process of its own, so that its peak memory (bytes) is nobody else's."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_timed_with_memory, setting, candles, name, repeats).result()


def _timed_with_memory(
    setting: Setting, candles: Candles, name: str, repeats: int
) -> tuple[Seconds, int]:
    return time_grid(setting, candles, named_backend(name), repeats), peak_memory()


def time_run(
    training: Training, candles: Candles, backend: Backend, method: Literal["grid", "bayesian"]
) -> tuple[float, int] | None:
    """Seconds and evaluations of a whole walk-forward; None when the history is too short."""
    days = whole_days(candles)
    if training.validation.complaint(days.count):
        return None
    settings = replace(training.search, method=method)
    setting = training.setting
    start = perf_counter()
    result = validate(
        setting.evaluator(candles, backend),
        splits(training.validation, days),
        final_window(training.validation, days),
        settings.resolved(setting.space),
        setting.risk.position_fraction,
        lambda _: None,
    )
    return perf_counter() - start, result.evaluations
