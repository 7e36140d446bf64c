"""Read the candles of a configuration at the level of detail of a chart.

Candles of the store are read from its months, a span at a time, and nothing of them is kept. Others
(generated, rearranged, of a file) are whole or nothing: those of one configuration are kept while a
page shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from gpu_engine import DAY_MS, Candles, Float, backend
from gpu_engine.standing import TradeLevels, levels_of
from pipeline.config import CcxtData, SimulationConfig, milliseconds
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import RawCandles, Span
from pipeline.market_data.resample import resampled
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
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import single_point
from pipeline.strategies.warm_up import warm_up_bars


class ChartCandles(NamedTuple):
    """Candles of one length; ``level`` in ms."""

    sticks: Candlesticks
    level: int

    @property
    def level_name(self) -> str:
        """Name their length."""
        return level_name(self.level)


class Levels(NamedTuple):
    """Levels of a trade, quote currency.

    ``stop``, float64 of shape (bars,), in each bar from the entry to the exit, NaN for none;
    ``about`` holds by name what the setup is about: the level that was swept.
    """

    stop: Float
    about: dict[str, float]


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

    def levels(
        self,
        configuration: Configuration,
        windows: Sequence[Mapping[str, Any]],
        trade: np.void,
    ) -> Levels | None:
        """Tell the levels of an out-of-sample trade, from the signal that it took.

        Parameters
        ----------
        windows : sequence of mapping
            As in `pipeline.results.artifacts.ArtifactSet`: what each was traded with.
        trade : TRADE
            One of the record; its bars count from the first trained candle.

        Returns
        -------
        Levels or None
            None where a short part of the candles does not bring the very trade again: an
            indicator of an own strategy may look back further than `warm_up_bars` says.

        Raises
        ------
        UserError, ConflictError
            As `candles`.
        """
        config = simulation_config(self._repository, configuration)
        step = timeframe_ms(configuration.timeframe)
        opens, _ = self.span(configuration)
        day = (opens + int(trade["entry_bar"]) * step) // DAY_MS
        parameters = _parameters(windows, day)
        if parameters is None:
            return None
        strategy = config.strategy.load()
        warm_up = warm_up_bars(strategy.parameters, parameters, step)
        first = max(int(trade["setup_bar"]) - warm_up, 0)
        span = (opens + first * step, opens + (int(trade["exit_bar"]) + 1) * step)
        candles = self._regular(config, configuration, span)
        space = single_point(strategy, parameters)
        costs, risk = config.costs.record(), config.risk.limits()
        evaluator = Evaluator(candles, space, costs, risk, backend.choose("numpy").backend)
        moved = trade.copy()
        for name in ("setup_bar", "signal_bar", "entry_bar", "exit_bar"):
            moved[name] -= (int(candles.timestamp[0]) - opens) // step
        combination = evaluator.combination(space.point(parameters))
        made = levels_of(candles, combination, costs, risk, moved)
        if made is None or not _agree(made, trade):
            return None
        level = strategy.level(candles, made.row)
        about = {"swept level": level, "stop level": made.row.stop_level}
        about |= {"target level": made.row.target_level}
        return Levels(
            made.stop, {name: float(one[0]) for name, one in about.items() if one is not None}
        )

    def _regular(
        self, config: SimulationConfig, configuration: Configuration, span: Span
    ) -> Candles:
        """Read the candles of a short span on their grid."""
        stored = _stored(config, span)
        if stored is None:
            candles = self._whole(configuration)
            return candles.cut(*np.searchsorted(candles.timestamp, span))
        series, fine = stored
        raw = series.as_stored(0, len(series)).candles
        raw = resampled(raw, fine, timeframe_ms(configuration.timeframe))
        return make_regular(raw, configuration.timeframe, config.market.id)[0]

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


def _parameters(windows: Sequence[Mapping[str, Any]], day: int) -> dict[str, Any] | None:
    """Return what the window that tested a day traded with; None where none did."""
    date = str(np.datetime64(day, "D"))
    for window in windows:
        first, last = window["test"]
        if first <= date <= last:
            return window["parameters"]
    return None


def _agree(made: TradeLevels, trade: np.void) -> bool:
    """Tell whether the trade of the record is the one that was made again."""
    pairs = [(made.entry, trade["entry"])]
    if "stop" in (trade.dtype.names or ()):
        pairs += [(made.stop[0], trade["stop"]), (made.target, trade["target"])]
    return all(np.isclose(one, other, rtol=1e-9, atol=0.0, equal_nan=True) for one, other in pairs)


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
