"""Read the candles of a configuration at the level of detail of a chart.

Candles of the store are read from its months, a span at a time, and nothing of them is kept. Others
(generated, rearranged, of a file) are whole or nothing: those of one configuration are kept, and
many of them only while a page shows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from gpu_engine import Candles
from pipeline.config import CcxtData, SimulationConfig, milliseconds
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import RawCandles, Span, came
from pipeline.market_data.resample import resampled
from pipeline.market_data.store.levels import Candlesticks, StoredSeries, joined, level_for
from pipeline.market_data.store.store import candle_path
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.report.loading import load_candles_again
from pipeline.report.performance import Excursions, Trades, excursions
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.review.stored import simulation_config, trained_span
from pipeline.review.trade_levels import Levels, trade_levels

#: Candles that are read at a time.
CHUNK = 100_000
#: Candles that are kept where no page shows them (12 MB): two years of 5m take a second.
KEPT = 250_000


class ChartCandles(NamedTuple):
    """Candles of one length; ``level`` in ms."""

    sticks: Candlesticks
    level: int


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
            return ChartCandles(joined(came(candles, rows), step, level), level)
        series, fine = stored
        as_it_is = fine == level
        return ChartCandles(
            series.as_stored(0, len(series)) if as_it_is else series.at(level), level
        )

    def levels(
        self, configuration: Configuration, windows: Sequence[Mapping[str, Any]], trade: np.void
    ) -> Levels | None:
        """Tell the levels of an out-of-sample trade, from the signal that it took.

        See `pipeline.review.trade_levels.trade_levels`.

        Raises
        ------
        UserError, ConflictError
            As `candles`.
        """
        config = simulation_config(self._repository, configuration)
        step, (opens, _) = timeframe_ms(configuration.timeframe), self.span(configuration)

        def read(first: int, after: int) -> Candles:
            span = (opens + first * step, opens + after * step)
            rows = self._rows(config, configuration, span)
            return make_regular(rows, configuration.timeframe, config.market.id)[0]

        return trade_levels(config, windows, trade, opens, read)

    def excursions(self, configuration: Configuration, trades: Trades) -> Excursions:
        """Reckon the excursions of out-of-sample trades, some `CHUNK` candles at a time.

        Raises
        ------
        UserError
            When the candles are gone, or a trade was not entered at the open of its bar: they are
            not those of the training any more.
        ConflictError
            When a month of the store is damaged.
        """
        config = simulation_config(self._repository, configuration)
        step, (opens, _) = timeframe_ms(configuration.timeframe), self.span(configuration)
        parts = [Excursions(np.empty(0), np.empty(0))]
        for some in _chunks(trades):
            bars = int(some["entry_bar"][0]), int(some["exit_bar"][-1]) + 1
            span = (opens + bars[0] * step, opens + bars[1] * step)
            rows = self._rows(config, configuration, span)
            _check_entries(configuration, config.costs.slippage, rows, some, opens)
            parts.append(excursions(rows, some, opens, step))
        return Excursions(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _rows(
        self, config: SimulationConfig, configuration: Configuration, span: Span
    ) -> RawCandles:
        """Read the candles of a span as they came."""
        stored = _stored(config, span)
        if stored is None:
            candles = self._whole(configuration)
            return came(candles, slice(*np.searchsorted(candles.timestamp, span)))
        series, fine = stored
        raw = series.as_stored(0, len(series)).candles
        return resampled(raw, fine, timeframe_ms(configuration.timeframe))

    def whole(self, configuration: Configuration) -> Candles:
        """Load all that it was trained on, as `load_candles_again`; what is kept is not again."""
        if _in_store(simulation_config(self._repository, configuration).data):
            return load_candles_again(self._repository, configuration)
        return self._whole(configuration)

    def leave(self, configuration_id: str) -> None:
        """Forget the candles of a configuration that no page shows, where they are many."""
        with self._lock:
            held, candles = self._held or ("", ())
            if held == configuration_id and len(candles) > KEPT:
                self._held = None

    def _whole(self, configuration: Configuration) -> Candles:
        with self._lock:
            if self._held is None or self._held[0] != configuration.id:
                self._held = None  # before others are loaded
                self._held = configuration.id, load_candles_again(self._repository, configuration)
            return self._held[1]


def _chunks(trades: Trades) -> Iterator[Trades]:
    """Cut trades, which follow each other, where they take more than `CHUNK` bars."""
    first = 0
    while first < len(trades):
        most = int(trades["entry_bar"][first]) + CHUNK
        after = max(int(np.searchsorted(trades["exit_bar"], most)), first + 1)
        yield trades[first:after]
        first = after


def _check_entries(
    configuration: Configuration, slippage: float, rows: RawCandles, trades: Trades, opens: int
) -> None:
    """Refuse candles at whose opens trades were not entered (fills rules §6.2)."""
    moments = opens + trades["entry_bar"].astype(np.int64) * timeframe_ms(configuration.timeframe)
    at = np.searchsorted(rows.timestamp, moments)
    price = np.append(rows.open, np.nan)[at] * (1.0 + trades["side"] * slippage)
    if not np.allclose(price, trades["entry"], rtol=1e-9, atol=0.0):
        raise UserError(
            f"The candles of {configuration.id} are not those that it was trained on: trades were"
            " entered at other prices. Fetch or name the right ones."
        )


def _in_store(data: Any) -> TypeGuard[CcxtData]:
    return isinstance(data, CcxtData) and data.surrogate is None


def _stored(config: SimulationConfig, span: Span) -> tuple[StoredSeries, int] | None:
    """Open the months of a span and say how long their candles are; None where none are meant.

    Raises `UserError` where none of them are there.
    """
    data, market = config.data, config.market
    if not _in_store(data):
        return None
    timeframe = data.resample_from or market.timeframe
    folder = candle_path(Path(data.store), market.ccxt_id, market.pair, timeframe)
    step = timeframe_ms(timeframe)
    series = StoredSeries(folder, step, span)
    if not len(series):
        raise UserError(
            f"The store holds no candles of {market.id} in these days any more: fetch them again"
            " with scripts/fetch."
        )
    return series, step
