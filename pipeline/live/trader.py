"""Prepare a stored configuration so that it can be followed through live candles.

Its series is the one that monitoring looks at (validation rules §6): indicators begin with the
first candle of its training, and it is flat at the first bar of the first UTC day after its record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import DAY_MS, Candles, Float, Window, marked_returns
from gpu_engine import backend as backends
from gpu_engine.standing import Standing
from pipeline.config import (
    CcxtData,
    FileData,
    SimulationConfig,
    StorageConfig,
    SyntheticData,
    milliseconds,
)
from pipeline.errors import UserError
from pipeline.market_data.timeframe import utc
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.review import stored
from pipeline.review.monitoring import last_day, new_days
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import Space, single_point


class NothingLiveError(UserError):
    """A configuration has no candles after those of its training."""

    status = 1


class Series(NamedTuple):
    """Candles of a trader from its first trained one on, and the bar at which it is flat.

    ``start`` may be the number of the candles: none of its days has begun.
    """

    candles: Candles
    start: int


@dataclass(frozen=True, eq=False)
class Trader:
    """One configuration on its way through live candles.

    Attributes
    ----------
    configuration : Configuration
        Its row, as it agrees with its audit trail.
    simulation : SimulationConfig
        Market, candles, costs and risk of its training.
    first_ms : int
        Open of its first trained candle, milliseconds since the epoch.
    first_day : int
        First UTC day after its record, days since the epoch.
    """

    configuration: Configuration
    simulation: SimulationConfig
    space: Space
    point: Float
    first_ms: int
    first_day: int
    backend: backends.Backend

    @property
    def data(self) -> CcxtData | FileData:
        """Where its candles come from."""
        data = self.simulation.data
        assert not isinstance(data, SyntheticData), "refused by `trader_of`"
        return data

    @property
    def id(self) -> str:
        """The configuration's id."""
        return self.configuration.id

    def series(self, candles: Candles, start_ms: int | None = None) -> Series:
        """Cut the trader's series out of candles of its market that begin no later than it does.

        Parameters
        ----------
        start_ms : int or None
            Where its account begins; None: where monitoring's days do, or the next day does.

        Raises
        ------
        NothingLiveError
            When the candles end before its first trained one, or begin after it.
        """
        first = int(np.searchsorted(candles.timestamp, self.first_ms))
        if first == len(candles) or int(candles.timestamp[first]) != self.first_ms:
            raise NothingLiveError(
                f"The candles of {self.id} begin {utc(self.first_ms)}, and these are from"
                f" {utc(int(candles.timestamp[0]))} to {utc(int(candles.timestamp[-1]))}: its"
                " indicators need all of them. Fetch them, or name the file that holds them."
            )
        cut = candles.cut(first, len(candles))
        if start_ms is None:
            return Series(cut, self._start(cut))
        start = (start_ms - int(cut.timestamp[0])) // cut.step_ms
        return Series(cut, min(max(start, 0), len(cut)))

    def _start(self, candles: Candles) -> int:
        window = new_days(candles, self.first_day - 1)
        if window is not None:
            return window.start
        return int(np.searchsorted(candles.timestamp, self.first_day * DAY_MS))

    def evaluator(self, candles: Candles) -> Evaluator:
        """Evaluate its one combination on candles of its series, on the reference path."""
        costs, risk = self.simulation.costs.record(), self.simulation.risk.limits()
        return Evaluator(candles, self.space, costs, risk, self.backend)

    def marked_returns(self, candles: Candles, trades: NDArray[Any], window: Window) -> Float:
        """Mark trades of its series to market, by day: no event table is needed for it."""
        costs = replace(self.simulation.costs.record(), funding=candles.funding)
        return marked_returns(candles, trades, window, costs, self.simulation.risk.exposure)

    def standing(self, series: Series) -> Standing:
        """Tell where it stands after the last candle of its series."""
        return self.evaluator(series.candles).standing(self.point, series.start)


def trader_of(
    repository: Repository, storage: StorageConfig, configuration: Configuration
) -> Trader:
    """Prepare a configuration that agrees with its audit trail and its artifacts.

    Raises
    ------
    UserError
        When its candles were generated, its artifacts are gone or damaged, or its strategy cannot
        be loaded.
    EditedError, FailedCheckError
        When it is not what was stored, or its newest verification found a difference.
    """
    agreeing = repository.checks.agreeing(configuration.id, verified=True)
    simulation = stored.simulation_config(repository, agreeing)
    if simulation.synthetic or agreeing.synthetic:
        raise NothingLiveError(f"{agreeing.id}: generated candles: nothing comes after them.")
    record = stored.read_record(storage, agreeing, searched=False)
    space = single_point(simulation.strategy.load(), agreeing.parameters)
    first, _ = stored.trained_span(agreeing)
    return Trader(
        configuration=agreeing,
        simulation=simulation,
        space=space,
        point=space.point(agreeing.parameters),
        first_ms=milliseconds(first),
        first_day=last_day(record) + 1,
        backend=backends.choose("reference").backend,
    )
