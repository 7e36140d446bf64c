"""The work of one run, counted: how often each piece of it is done, and what it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from gpu_engine.records import DAY_MS
from pipeline.config import BayesianConfig, GridConfig, RandomConfig, TrainConfig
from pipeline.config.search import PLATEAU_LIMIT
from pipeline.estimate.power import Traded
from pipeline.estimate.rates import Rates
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.search.grid import SCORES_PER_PASS, SURFACE_METRICS
from pipeline.search.space import Space
from pipeline.validation.luck import COPIES, MOST_HELD
from pipeline.validation.surrogates import KINDS
from pipeline.validation.windows import Days, final_window, splits

#: Bytes of a candle, and how often a run holds it: as read, made regular, its indicators.
CANDLE_BYTES, CANDLE_COPIES = 7 * 8, 4
#: Arrays of a window's size that ranking by plateau holds beside the scores.
PLATEAU_COPIES = 5
#: Bytes of a score surface's value, and of all other artifacts of a run.
SURFACE_VALUE_BYTES, OTHER_ARTIFACT_BYTES = 4, 30_000


@dataclass(frozen=True)
class History:
    """The days of a run: how many, those of its tests, those of all its searches together."""

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
        all_days = Days(0, DAY_MS // timeframe_ms(config.market.timeframe), days)
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
    """One run over a ``grid`` of combinations that trade as the sample did.

    ``grid`` is the discrete space, also where the search draws from the ranges around it.
    """

    config: TrainConfig
    grid: Space
    history: History
    traded: Traded

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

    def seconds(self, rates: Rates) -> float:
        """From candles in memory to the verdict.

        With ``evidence=deciding`` the tests against luck are left out: they are made only for
        what would be MATURE if they passed.
        """
        total = self._events(rates) + self._walk(rates, self.evaluations, self._days_evaluated)
        total += self._proposals(rates)
        if self._ranks_plateaus:
            total += self.evaluations * rates.rank
        total += self.history.searches * self.history.bars * rates.reference
        if self._has_surface:
            total += self._walk(rates, self.grid.size, self.grid.size * self.history.final_days)
        if self._has_evidence:
            total += self._luck(rates)
        return total

    def memory_bytes(self, rates: Rates) -> int:
        """Most that the process holds at a time: candles, scores, daily returns."""
        held = self.history.bars * CANDLE_BYTES * CANDLE_COPIES
        size = self.grid.size
        if self._has_surface:
            at_once = min(self.history.searches, max(1, SCORES_PER_PASS // size))
            held += 8 * size * (at_once + PLATEAU_COPIES)
        if self._has_evidence:
            daily = min(MOST_HELD * self.history.days * 8 * COPIES, self._memory_allowed)
            held += 8 * self._lucky + daily
        return rates.resident + held

    def artifact_bytes(self) -> int:
        """Count what the run leaves in its folder of the object store."""
        surface = (1 + len(SURFACE_METRICS)) * SURFACE_VALUE_BYTES * self.grid.size
        return OTHER_ARTIFACT_BYTES + (surface if self._has_surface else 0)

    @property
    def _days_evaluated(self) -> float:
        return self.budget * self.history.searched_days

    @property
    def _ranks_plateaus(self) -> bool:
        return self._has_surface and self.config.selection != "peak"

    @property
    def _has_surface(self) -> bool:
        return self.whole_grid and self.grid.size <= PLATEAU_LIMIT

    @property
    def _has_evidence(self) -> bool:
        asked = self.config.validation.evidence == "full"
        return asked and (self.continuous or self.grid.size <= PLATEAU_LIMIT)

    @property
    def _lucky(self) -> int:
        """Combinations whose whole history is held against luck: the grid where there is one."""
        return self.budget if self.continuous else self.grid.size

    @property
    def _memory_allowed(self) -> int:
        return int(self.config.validation.memory_gb * 2**30)

    def _events(self, rates: Rates) -> float:
        """Event tables: those of the grid once, or one for every drawn point."""
        structural = [self.grid.shape[i] for i in self.grid.of_kind("structural")]
        tables = self.evaluations if self.continuous else math.prod(structural)
        return self.history.bars * (rates.prepare + tables * rates.table)

    def _walk(self, rates: Rates, evaluations: float, days_evaluated: float) -> float:
        each = rates.combination if self.whole_grid else rates.point
        return evaluations * each + days_evaluated * self.traded.mean * rates.trade

    def _proposals(self, rates: Rates) -> float:
        """TPE looks back at all trials of its search before each proposal."""
        if self.whole_grid or not isinstance(self.config.optimizer, BayesianConfig):
            return 0.0
        trials = self.budget
        earlier = trials * (trials - 1) / 2
        return self.history.searches * (trials * rates.trial + earlier * rates.trial_growth)

    def _luck(self, rates: Rates) -> float:
        """One pass over the whole history, its returns against luck, and surrogates of the pass."""
        days = self.history.days
        one_pass = self._walk_whole(rates)
        tested = self._lucky * self.traded.whole_share * days * rates.luck
        if not self.config.validation.surrogates:
            return one_pass + tested
        drawn = len(KINDS) * self.config.validation.surrogate_count
        return one_pass + tested + drawn * (one_pass + self._events(rates))

    def _walk_whole(self, rates: Rates) -> float:
        each = rates.point if self.continuous else rates.combination
        traded = self.history.days * self.traded.mean * rates.trade
        return self._lucky * (each + traded)


def _budget(config: TrainConfig) -> int:
    optimizer = config.optimizer
    if isinstance(optimizer, RandomConfig):
        return optimizer.samples
    return optimizer.trials if isinstance(optimizer, BayesianConfig) else 0
