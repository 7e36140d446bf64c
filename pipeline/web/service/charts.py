"""Read the candles of a configuration at the level of detail of a chart.

Candles of the store are read from its months, a span at a time, and nothing of them is kept. Others
(generated, rearranged, of a file) are whole or nothing: those of one configuration are kept while a
page shows them.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from gpu_engine import Candles
from pipeline.config import CcxtData, SimulationConfig, milliseconds
from pipeline.errors import UserError
from pipeline.market_data.raw import RawCandles, Span
from pipeline.market_data.store.levels import (
    Candlesticks,
    StoredSeries,
    joined,
    level_for,
    level_name,
)
from pipeline.market_data.store.store import candle_path
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.report.loading import load_candles_again
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.review.stored import simulation_config, trained_span


class ChartCandles(NamedTuple):
    """Candles of one length; ``level`` in ms."""

    sticks: Candlesticks
    level: int

    @property
    def level_name(self) -> str:
        """Name their length."""
        return level_name(self.level)


class ChartService:
    """Reads candles of configurations for charts; any thread may ask."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._lock = Lock()
        self._held: tuple[str, Candles] | None = None

    def span(self, configuration: Configuration) -> Span:
        """Return the time of the candles that it was trained on."""
        first, after = trained_span(configuration)
        return milliseconds(first), milliseconds(after)

    def candles(self, configuration: Configuration, span: Span, most: int) -> ChartCandles:
        """Read the candles that touch a span, the shortest of which there are at most ``most``.

        Raises
        ------
        UserError
            When they are gone, or are not those of the training any more.
        ConflictError
            When a month of the store is damaged.
        """
        config = simulation_config(self._repository, configuration)
        first, after = self.span(configuration)
        start, end = max(span[0], first), min(span[1], after)
        step = timeframe_ms(configuration.timeframe)
        level = level_for((start, max(start, end)), step, most)
        whole = (max(start // level * level, first), min(-(-end // level) * level, after))
        stored = _stored(config, whole)
        if stored is None:
            candles = self._whole(configuration)
            rows = slice(*np.searchsorted(candles.timestamp, whole))
            return ChartCandles(joined(_raw(candles, rows), step, level), level)
        series, fine = stored
        if not len(series):
            raise UserError(
                f"The store holds no candles of {config.market.id} in these days any more: fetch"
                " them again with scripts/fetch."
            )
        as_it_is = fine == level
        return ChartCandles(
            series.as_stored(0, len(series)) if as_it_is else series.at(level), level
        )

    def leave(self, configuration_id: str) -> None:
        """Forget the candles of a configuration, which no page shows any more."""
        with self._lock:
            if self._held is not None and self._held[0] == configuration_id:
                self._held = None

    def _whole(self, configuration: Configuration) -> Candles:
        with self._lock:
            if self._held is None or self._held[0] != configuration.id:
                self._held = None  # before others are loaded
                self._held = configuration.id, load_candles_again(self._repository, configuration)
            return self._held[1]


def _stored(config: SimulationConfig, span: Span) -> tuple[StoredSeries, int] | None:
    """Open the months of a span and say how long their candles are; None where none are meant."""
    data, market = config.data, config.market
    if not isinstance(data, CcxtData) or data.surrogate is not None:
        return None
    assert market.exchange.ccxt_id is not None, "refused by the configuration"
    timeframe = data.resample_from or market.timeframe
    folder = candle_path(Path(data.store), market.exchange.ccxt_id, market.pair, timeframe)
    step = timeframe_ms(timeframe)
    return StoredSeries(folder, step, span), step


def _raw(candles: Candles, rows: slice) -> RawCandles:
    """Return the candles that came among some rows; a filled one is none."""
    came = ~candles.filled[rows]
    return RawCandles(*(getattr(candles, name)[rows][came] for name in RawCandles.COLUMNS))
