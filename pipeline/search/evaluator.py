"""Points of a space in, metrics out: the bridge from a search to the engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import engine
from gpu_engine.backend import Backend
from gpu_engine.records import (
    METRICS,
    Batch,
    Candles,
    Costs,
    ExitSettings,
    Float,
    Int64,
    RiskLimits,
    Tables,
    Window,
)
from pipeline.search.space import Space, single_point
from pipeline.strategies.base import EXIT_PARAMETERS

#: Combinations evaluated in one engine call; bounds the memory of their metrics.
DEFAULT_BLOCK = 1 << 16


class Evaluator:
    """Metrics of any points of one space on one market.

    A discrete space loads the engine once, with every event table and exit setting. Points of a
    continuous space hardly ever share a table, so each distinct structural setting is loaded as a
    small market of its own when it is asked for.
    """

    def __init__(
        self,
        candles: Candles,
        space: Space,
        costs: Costs,
        risk: RiskLimits,
        backend: Backend,
        block: int | None = None,
    ) -> None:
        self.candles, self.space = candles, space
        self._costs, self._risk, self._backend = costs, risk, backend
        self._block = block or DEFAULT_BLOCK
        self._structural = space.of_kind("structural")
        self._threshold = space.of_kind("threshold")
        exits = {space.dimensions[i].parameter.name: i for i in space.of_kind("exit")}
        self._exit = [exits[name] for name in EXIT_PARAMETERS]
        self._builder = space.strategy.events(candles, space.loosest())

    def grid(self, windows: Sequence[Window]) -> Iterator[tuple[Int64, NDArray[Any]]]:
        """Stream the whole discrete space: indices of shape (n,) and metrics of (W, n)."""
        space = self.space
        filters = sorted(self._structural + self._threshold)
        n_exits = len(self._exit_settings)
        exit_offset = self._offsets(sorted(self._exit))
        unit_shape = tuple(space.shape[i] for i in filters)
        n_units = int(np.prod(unit_shape))
        units_per_block = max(1, self._block // (n_exits * len(windows)))
        for first in range(0, n_units, units_per_block):
            unit = np.arange(first, min(first + units_per_block, n_units))
            coordinates = dict(zip(filters, np.unravel_index(unit, unit_shape), strict=True))
            batch = Batch(
                table=self._row_major(coordinates, self._structural).astype(np.int32),
                thresholds=self._threshold_values(coordinates),
                first_exit=np.zeros(len(unit), np.int32),
                exits_per_unit=n_exits,
            )
            base = sum(coordinates[i] * self._stride(i) for i in filters)
            index = (np.asarray(base)[:, None] + exit_offset).ravel()
            yield index, engine.evaluate(self._market, batch, windows)

    def points(self, points: Float, windows: Sequence[Window]) -> NDArray[Any]:
        """Metrics (`METRICS`) of some points, shape (W, n)."""
        result = np.zeros((len(windows), len(points)), METRICS)
        for rows, market, batch in self._batches(points):
            result[:, rows] = engine.evaluate(market, batch, windows)
        return result

    def daily_returns(self, point: Float, window: Window) -> Float:
        """Daily equity returns of one point, float64 of shape (D,)."""
        _, market, batch = next(self._batches(point[None]))
        daily: Float = engine.daily_returns(market, batch, window)[0]
        return daily

    def trades(self, point: Float, window: Window) -> NDArray[Any]:
        """Trades (`TRADE`) of one point."""
        _, market, batch = next(self._batches(point[None]))
        return engine.trades(market, batch, window)

    def alone(self, point: Float, backend: Backend) -> Evaluator:
        """Return an evaluator of one point on another backend, sharing nothing but the candles."""
        space = single_point(self.space.strategy, self.space.parameters(point))
        return Evaluator(self.candles, space, self._costs, self._risk, backend)

    def _batches(self, points: Float) -> Iterator[tuple[Int64, engine.Market, Batch]]:
        """Group points by the market that answers them."""
        if self.space.discrete:
            yield np.arange(len(points)), self._market, self._batch_on_grid(points)
            return
        settings, which = np.unique(points[:, self._structural], axis=0, return_inverse=True)
        for group, setting in enumerate(settings):
            rows = np.flatnonzero(which.ravel() == group)
            exits = points[rows][:, self._exit]
            market = self._load([setting], ExitSettings(*np.ascontiguousarray(exits.T)))
            batch = Batch(
                table=np.zeros(len(rows), np.int32),
                thresholds=np.ascontiguousarray(points[rows][:, self._threshold]),
                first_exit=np.arange(len(rows), dtype=np.int32),
                exits_per_unit=1,
            )
            yield rows, market, batch

    def _batch_on_grid(self, points: Float) -> Batch:
        found = {
            i: np.searchsorted(self._choices(i), points[:, i])
            for i in self._structural + self._exit
        }
        return Batch(
            table=self._row_major(found, self._structural).astype(np.int32),
            thresholds=np.ascontiguousarray(points[:, self._threshold]),
            first_exit=self._row_major(found, sorted(self._exit)).astype(np.int32),
            exits_per_unit=1,
        )

    @cached_property
    def _market(self) -> engine.Market:
        """The engine with every table and exit setting of a discrete space."""
        settings = itertools.product(*(self._choices(i) for i in self._structural))
        return self._load(list(settings), self._exit_settings)

    @cached_property
    def _exit_settings(self) -> ExitSettings:
        """All exit settings, row-major in grid order."""
        order = sorted(self._exit)
        rows = np.array(list(itertools.product(*(self._choices(i) for i in order))))
        columns = [np.ascontiguousarray(rows[:, order.index(i)]) for i in self._exit]
        return ExitSettings(*columns)

    def _load(self, settings: Sequence[Sequence[float]], exits: ExitSettings) -> engine.Market:
        dimensions = self.space.dimensions
        names = [dimensions[i].parameter.name for i in self._structural]
        tables = tuple(
            self._builder.table(dict(zip(names, setting, strict=True))) for setting in settings
        )
        senses = tuple(dimensions[i].parameter.sense for i in self._threshold)
        return engine.load(
            self.candles, Tables(tables, senses), exits, self._costs, self._risk, self._backend
        )

    def _choices(self, dimension: int) -> Float:
        choices = self.space.dimensions[dimension].choices
        assert choices is not None, "only a discrete space has choices"
        return choices

    def _threshold_values(self, coordinates: dict[int, NDArray[Any]]) -> Float:
        columns = [self._choices(i)[coordinates[i]] for i in self._threshold]
        return np.column_stack(columns)

    def _row_major(self, coordinates: dict[int, NDArray[Any]], dimensions: list[int]) -> Int64:
        shape = tuple(self.space.shape[i] for i in dimensions)
        return np.ravel_multi_index(tuple(coordinates[i] for i in dimensions), shape)

    def _stride(self, dimension: int) -> int:
        return int(np.prod(self.space.shape[dimension + 1 :], dtype=np.int64))

    def _offsets(self, dimensions: list[int]) -> Int64:
        """Index offset of every combination of some dimensions, row-major among them."""
        result = np.zeros(1, np.int64)
        for i in dimensions:
            steps = np.arange(self.space.shape[i]) * self._stride(i)
            result = (result[:, None] + steps).ravel()
        return result
