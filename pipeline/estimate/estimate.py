"""Estimate one training run: seconds, memory, and trades to expect.

The work is counted from the configuration: days, combinations, event tables. Its seconds come from
one timed search, its trades from a sample on the candles at hand. Nothing is fetched or stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from pipeline.config import PLATEAU_LIMIT, BayesianConfig, GridConfig, RandomConfig, TrainConfig
from pipeline.estimate.candles import Source, candles_at_hand
from pipeline.estimate.probe import Speed, grid_of, power_note, sample_trades
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.search import SCORES_PER_PASS, SURFACE_METRICS, Space
from pipeline.search.backends import named_backend, workers
from pipeline.search.split import FEW
from pipeline.validation.luck import COPIES, MOST_HELD
from pipeline.validation.surrogates import KINDS
from pipeline.validation.windows import Days, final_window, splits

#: Bytes of a candle, and how often a run holds it: as read, made regular, its indicators.
CANDLE_BYTES, CANDLE_COPIES = 7 * 8, 4


#: Arrays of a window's size that ranking by plateau holds beside the scores.
PLATEAU_COPIES = 5


#: Bytes of a score surface's value, and of all other artifacts of a run.
SURFACE_VALUE_BYTES, OTHER_ARTIFACT_BYTES = 4, 30_000


#: Seconds of TPE's first trial, and what every earlier trial adds (Optuna 5.0, seven parameters:
#: 3 ms a trial in a study of 200, 17 ms in one of 1,000, 54 ms in one of 5,000).
TRIAL, TRIAL_GROWTH = 0.003, 2e-5
#: Seconds of the reality check with 1,000 resamples and of CSCV, for one combination over one day
#: (3.6 s for 201,600 combinations and 365 days on two virtual cores, `scripts/bench statistics`).
LUCK = 5e-8


@dataclass(frozen=True)
class History:
    """Days of a run: in all, of its tests, of all its searches together, of the final search."""

    days: int
    bars: int
    windows: int
    test_days: int
    searched_days: int
    final_days: int

    @classmethod
    def of(cls, config: TrainConfig, days: int) -> History:
        """Cut ``days`` whole days as the run will.

        Raises
        ------
        UserError
            When they are too few.
        """
        all_days = Days(0, timeframe_ms("1d") // timeframe_ms(config.market.timeframe), days)
        parts = splits(config.validation, all_days)
        final = final_window(config.validation, all_days)
        trained = [part.train.end - part.train.start for part in parts]
        tested = [part.test.end - part.test.start for part in parts]
        last = (final.end - final.start) // all_days.per_day
        return cls(
            days=days,
            bars=days * all_days.per_day,
            windows=len(parts),
            test_days=sum(tested) // all_days.per_day,
            searched_days=sum(trained) // all_days.per_day + last,
            final_days=last,
        )

    @property
    def searches(self) -> int:
        """One in every window's train part, and the final one."""
        return self.windows + 1

    @property
    def days_a_search(self) -> float:
        """Mean length of what a search sees."""
        return self.searched_days / self.searches


@dataclass(frozen=True, eq=False)
class Work:
    """One run over ``grid``, the discrete space, also where the search draws from its ranges.

    ``active_share`` of its combinations trade often enough to be held against luck. The outcomes of
    its entries take ``outcome_bytes`` at least.
    """

    config: TrainConfig
    grid: Space
    history: History
    active_share: float
    outcome_bytes: int = 0

    @cached_property
    def budget(self) -> int:
        """Combinations of one search; a budget that covers the grid searches it whole."""
        if self.whole_grid:
            return self.grid.size
        return _budget(self.config)

    @cached_property
    def whole_grid(self) -> bool:
        """Whether every combination is evaluated."""
        if self.continuous:
            return False
        optimizer = self.config.optimizer
        return isinstance(optimizer, GridConfig) or _budget(self.config) >= self.grid.size

    @property
    def continuous(self) -> bool:
        """Whether points come from ranges: each has an event table of its own."""
        return self.config.space == "continuous"

    @property
    def evaluations(self) -> int:
        """Of all searches; the luck tests come on top."""
        return self.budget * self.history.searches

    def seconds(self, speed: Speed) -> float:
        """Seconds from candles in memory to the verdict, to within a small factor.

        With ``evidence=deciding`` the reality check is left out: it is made only for what would be
        MATURE if it passed. So are surrogates, which are made only where all other gates of
        VALIDATION hold.
        """
        searched = self.budget * self.history.searched_days
        at_once = self._at_once(speed)
        tables = self._tables / (at_once if self.continuous else 1)
        if self._has_surface:
            searched += self.grid.size * self.history.final_days
        if self._has_evidence:
            searched += self._candidates * self.history.days
        seconds = searched * speed.search + tables * self.history.bars * speed.table
        return seconds + self.history.searches * self._proposals() / at_once + self._luck()

    def surrogate_seconds(self, speed: Speed) -> float:
        """Seconds of all surrogates of both kinds: of a market where none ends the drawing."""
        count = len(KINDS) * self.config.validation.most_surrogates
        tables = self._candidates if self.continuous else self._tables
        each = self._candidates * self.history.days * speed.search
        return count * (each + tables * self.history.bars * speed.table)

    def memory_bytes(self, speed: Speed) -> int:
        """Count the most that the process holds at a time: candles, scores, daily returns."""
        held = self.history.bars * CANDLE_BYTES * CANDLE_COPIES
        if self.whole_grid:
            held += self.outcome_bytes
        if self._has_surface:
            at_once = min(self.history.searches, max(1, SCORES_PER_PASS // self.grid.size))
            held += 8 * self.grid.size * (at_once + PLATEAU_COPIES)
        if self._has_evidence:
            allowed = int(self.config.validation.memory_gb * 2**30)
            held += 8 * self._candidates + min(MOST_HELD * self.history.days * 8 * COPIES, allowed)
        at_once = self._at_once(speed)
        apart = at_once * (speed.resident + self.history.bars * CANDLE_BYTES) if at_once > 1 else 0
        return speed.resident + held + apart

    def artifact_bytes(self) -> int:
        """Count what the run leaves in its folder of the object store."""
        surface = (1 + len(SURFACE_METRICS)) * SURFACE_VALUE_BYTES * self.grid.size
        return OTHER_ARTIFACT_BYTES + (surface if self._has_surface else 0)

    @property
    def _has_surface(self) -> bool:
        return self.whole_grid and self.grid.size <= PLATEAU_LIMIT

    @property
    def _has_evidence(self) -> bool:
        full = self.config.validation.evidence == "full"
        return full and (self.continuous or self.grid.size <= PLATEAU_LIMIT)

    @property
    def _candidates(self) -> int:
        """Combinations whose whole history is held against luck: the grid where there is one."""
        return self.budget if self.continuous else self.grid.size

    @property
    def _tables(self) -> int:
        """Event tables: those of the grid once, or one for every point drawn from ranges."""
        if self.continuous:
            return self.evaluations
        return math.prod(self.grid.shape[i] for i in self.grid.of_kind("structural"))

    def _at_once(self, speed: Speed) -> int:
        """Count the searches made at a time, each in its process (docs/optimizers.md)."""
        slow = self.continuous or isinstance(self.config.optimizer, BayesianConfig)
        alone = self.whole_grid or self.budget < FEW or self.config.executor.name != "local"
        if alone or not slow:
            return 1
        threads = self.config.backend.threads
        return min(workers(speed.backend, threads), self.history.searches)

    def _luck(self) -> float:
        """Seconds of the reality check and of CSCV over the whole history."""
        if not self._has_evidence:
            return 0.0
        resamples = self.config.validation.resamples / 1000
        return self.active_share * self._candidates * self.history.days * resamples * LUCK

    def _proposals(self) -> float:
        """Seconds in which TPE proposes the trials of one search."""
        if self.whole_grid or not isinstance(self.config.optimizer, BayesianConfig):
            return 0.0
        return self.budget * (TRIAL + self.budget / 2 * TRIAL_GROWTH)


def _budget(config: TrainConfig) -> int:
    optimizer = config.optimizer
    if isinstance(optimizer, RandomConfig):
        return optimizer.samples
    return optimizer.trials if isinstance(optimizer, BayesianConfig) else 0


@dataclass(frozen=True)
class Estimate:
    """What one market's run would take and bring.

    Attributes
    ----------
    market : str
        Such as ``binance:BTC/USDT:5m``.
    combinations : int
        Of one search: the grid, or the budget.
    windows : int
        Tests; there is one search more, the final one.
    evaluations : int
        Combinations times searches.
    bars : int
        Of the history.
    memory_bytes : int
        Most that the process will hold.
    seconds : float
        From candles in memory to the verdict, without surrogates.
    surrogate_seconds : float
        Of all surrogates, which are searched where every other gate of VALIDATION holds.
    trades_per_window : float
        Of the median admissible combination in one test part.
    expected_trades : float
        Likewise, in all test parts.
    power_note : str
        What so many trades can reach, in words.
    candles : {"stored", "file", "generated", "synthetic stand-in"}
        What the trades were counted on; after a stand-in fetching comes on top of ``seconds``.
        Their ``quality`` is ``ok``, or the figures above the limits of the run.
    artifact_bytes : int
        What the run leaves in the object store.
    """

    market: str
    combinations: int
    windows: int
    evaluations: int
    bars: int
    memory_bytes: int
    seconds: float
    surrogate_seconds: float
    trades_per_window: float
    expected_trades: float
    power_note: str
    candles: Source
    artifact_bytes: int
    quality: str = "ok"


def estimate(config: TrainConfig, speed: Speed) -> Estimate:
    """Estimate one training run; the same for the same candles and ``speed``.

    Raises
    ------
    UserError
        When the run would be refused: too little history, a broken file. It says what to do.
    """
    grid = grid_of(config)
    at_hand = candles_at_hand(config)
    history = History.of(config, at_hand.days)
    backend = named_backend(speed.backend)
    traded = sample_trades(
        config, grid, at_hand.candles, backend, history.days_a_search, history.days
    )
    work = Work(config, grid, history, traded.active_share, traded.outcome_bytes)
    test_days = history.test_days / history.windows
    return Estimate(
        market=config.market.id,
        combinations=work.budget,
        windows=history.windows,
        evaluations=work.evaluations,
        bars=history.bars,
        memory_bytes=work.memory_bytes(speed),
        seconds=work.seconds(speed),
        surrogate_seconds=work.surrogate_seconds(speed),
        trades_per_window=traded.typical * test_days,
        expected_trades=traded.typical * history.test_days,
        power_note=power_note(traded, test_days, history.test_days, at_hand.candles.step_ms),
        candles=at_hand.source,
        artifact_bytes=work.artifact_bytes(),
        quality=at_hand.quality,
    )
