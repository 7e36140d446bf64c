"""Evaluate points of a space: load the engine with their events and return their metrics."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from gpu_engine import (
    METRICS,
    Advance,
    Axis,
    Backend,
    Batch,
    Bool,
    Candles,
    Costs,
    Direction,
    EventTable,
    ExitSettings,
    Float,
    Grid,
    Int32,
    Int64,
    RiskLimits,
    Tables,
    Window,
    engine,
    exhaustive,
    marked_returns,
)
from gpu_engine.standing import Combination, Standing, standing_of
from pipeline.errors import UserError
from pipeline.search.space import Space, single_point

#: Most bytes of the outcome of one entry under one exit setting, and the backends whose memory is
#: the machine's; a GPU says itself what it does not hold.
OUTCOME_BYTES, HOLD_HERE = 24, ("numba", "numpy")
#: Points are evaluated with the outcomes of the whole space where those take no more bytes.
HELD_BYTES = 1 << 30
#: Luck of a search that draws is measured on the whole space where its outcomes take no more, on
#: every machine: a verdict must not depend on the memory that is free (validation rules §4.6).
WHOLE_BYTES = 4 << 30

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class GridPass(Protocol[R]):
    """A pass over a whole grid that can be made part by part: however it is cut, one result.

    It travels to other processes: fields pickle.
    """

    @property
    def windows(self) -> tuple[Window, ...]:
        """Windows in which every combination is evaluated."""
        ...

    def over(self, evaluator: Evaluator, part: range, advance: Advance) -> R:
        """Make the pass over a part (`gpu_engine.grid`)."""
        ...

    def join(self, grid: Grid, parts: Iterable[tuple[range, R]]) -> R:
        """Join the results of all parts of ``grid``, which come in any order."""
        ...


class Search(Protocol[R_co]):
    """One search among many that do not depend on each other. It travels as `GridPass` does."""

    def over(self, evaluator: Evaluator, advance: Advance) -> R_co:
        """Make the search; ``advance`` hears of every evaluation."""
        ...


class Evaluator:
    """Metrics of any points of one space on one market.

    A discrete space loads the engine once, with every event table and exit setting; where those are
    too many, points are loaded with the tables and settings that they use. Points of a continuous
    space hardly ever share a table, so each distinct structural setting is loaded as a small market
    of its own when it is asked for.
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
        if candles.funding is not None:
            costs = replace(costs, funding=candles.funding)
        self.costs, self.risk, self.backend = costs, risk, backend
        self.block = block or exhaustive.DEFAULT_BLOCK
        self._structural = space.of_kind("structural")
        self._threshold = space.of_kind("threshold")
        self._exit = space.of_kind("exit")
        self._senses = tuple(space.dimensions[i].parameter.sense for i in self._threshold)
        self._builder = space.strategy.events(candles, space.loosest())

    @cached_property
    def grid(self) -> Grid:
        """The discrete space as the engine decodes it."""
        order = {dimension: k for k, dimension in enumerate(self._threshold)}
        return Grid(
            tuple(
                Axis(d.parameter.kind, self._choices(i), order.get(i, -1))
                for i, d in enumerate(self.space.dimensions)
            )
        )

    def walk(self, grid_pass: GridPass[R], advance: Advance) -> R:
        """Make a pass over the whole discrete space; ``advance`` hears of every evaluation."""
        return grid_pass.over(self, self.grid.whole, advance)

    def each(self, searches: Sequence[Search[R]], advance: Advance) -> list[R]:
        """Make searches that do not depend on each other; return their results in their order."""
        return [search.over(self, advance) for search in searches]

    def stream(
        self,
        windows: Sequence[Window],
        part: range | None = None,
        fields: tuple[str, ...] = METRICS.names or (),
    ) -> Iterator[tuple[Int64, NDArray[Any]]]:
        """Stream a part, or the discrete space: indices of shape (n,) and ``fields`` of (W, n)."""
        yield from exhaustive.stream(self.market, self.grid, windows, self.block, part, fields)

    def points(self, points: Float, windows: Sequence[Window]) -> NDArray[Any]:
        """Metrics (`METRICS`) of some points, shape (W, n)."""
        result = np.zeros((len(windows), len(points)), METRICS)
        for rows, market, batch in self._batches(points):
            result[:, rows] = engine.evaluate(market, batch, windows)
        return result

    def daily_returns(self, point: Float, window: Window) -> Float:
        """Daily equity returns of one point, float64 of shape (D,)."""
        daily: Float = self.daily_of(point[None], window)[0]
        return daily

    def marked_returns(self, trades: NDArray[Any], window: Window) -> Float:
        """Daily equity returns of one point's trades, marked to market, float64 of shape (D,)."""
        fraction = self.risk.exposure
        return marked_returns(self.candles, trades, window, self.costs, fraction)

    def daily_of(self, points: Float, window: Window) -> Float:
        """Daily equity returns of some points, float64 of shape (n, D)."""
        parts = [(r, engine.daily_returns(m, b, window)) for r, m, b in self._batches(points)]
        result = np.empty((len(points), parts[0][1].shape[1] if parts else 0))
        for rows, daily in parts:
            result[rows] = daily
        return result

    def stream_daily(self, window: Window, block: int, mask: Bool) -> Iterator[tuple[Int64, Float]]:
        """Stream daily equity returns over a discrete space: indices (n,) and float64 (n, D).

        Units (all exit settings of one set of signals) without a combination in ``mask``, bool
        of shape (size,), are passed over; of the others all combinations come.
        """
        for index, batch in self.grid.units(max(1, block // self.grid.n_exits)):
            units = mask[index].reshape(-1, batch.exits_per_unit).any(axis=1)
            if units.any():
                some = Batch(
                    batch.table[units],
                    batch.thresholds[units],
                    batch.first_exit[units],
                    batch.exits_per_unit,
                )
                kept = index.reshape(-1, batch.exits_per_unit)[units].ravel()
                yield kept, engine.daily_returns(self.market, some, window)

    def trades(self, point: Float, window: Window) -> NDArray[Any]:
        """Trades (`TRADE`) of one point."""
        _, market, batch = next(self._batches(point[None]))
        return engine.trades(market, batch, window)

    def trades_of(self, points: Float, windows: Sequence[Window]) -> list[tuple[NDArray[Any], ...]]:
        """Trades (`TRADE`) of some points in each window."""
        result: list[tuple[NDArray[Any], ...]] = [()] * len(points)
        for rows, market, batch in self._batches(points):
            for place, row in enumerate(rows.tolist()):
                one = slice(place, place + 1)
                alone = Batch(batch.table[one], batch.thresholds[one], batch.first_exit[one], 1)
                result[row] = tuple(engine.trades(market, alone, window) for window in windows)
        return result

    def standing(self, point: Float, start: int) -> Standing:
        """Tell where one point stands after the last candle, flat at bar ``start``."""
        return standing_of(self.candles, self.combination(point), self.costs, self.risk, start)

    def combination(self, point: Float) -> Combination:
        """Return the signals and exits of one point."""
        return Combination(
            self._table(point[self._structural].tolist()),
            point[self._threshold],
            self._senses,
            self._exits(point[None, self._exit]),
        )

    def alone(
        self, point: Float, backend: Backend, direction: Direction | None = None
    ) -> Evaluator:
        """Return an evaluator of one point on another backend, sharing nothing but the candles.

        It trades ``direction``, or what this one does.
        """
        space = single_point(self.space.strategy, self.space.parameters(point))
        risk = replace(self.risk, direction=direction or self.risk.direction)
        return Evaluator(self.candles, space, self.costs, risk, backend)

    def _batches(self, points: Float) -> Iterator[tuple[Int64, engine.Market, Batch]]:
        """Group points by the market that answers them."""
        if self.space.few_tables:
            yield (np.arange(len(points)), *self._on_grid(points))
            return
        settings, which = np.unique(points[:, self._structural], axis=0, return_inverse=True)
        for group, setting in enumerate(settings):
            rows = np.flatnonzero(which.ravel() == group)
            exits = points[rows][:, self._exit]
            market = self._load((self._table(setting),), self._exits(exits))
            batch = Batch(
                table=np.zeros(len(rows), np.int32),
                thresholds=np.ascontiguousarray(points[rows][:, self._threshold]),
                first_exit=np.arange(len(rows), dtype=np.int32) * bool(self._exit),
                exits_per_unit=1,
            )
            yield rows, market, batch

    def _on_grid(self, points: Float) -> tuple[engine.Market, Batch]:
        """Return the market of a discrete space, or of what some points use, and their batch."""
        table = self._row_major(points, self._structural)
        thresholds = np.ascontiguousarray(points[:, self._threshold])
        if self.outcome_bytes <= HELD_BYTES:
            first_exit = self._row_major(points, self._exit)
            return self.market, Batch(table, thresholds, first_exit, exits_per_unit=1)
        used, which = np.unique(table, return_inverse=True)
        exits, setting = np.unique(points[:, self._exit], axis=0, return_inverse=True)
        market = self._load(tuple(self.tables[k] for k in used), self._exits(exits))
        first = setting.ravel().astype(np.int32)
        return market, Batch(which.astype(np.int32), thresholds, first, exits_per_unit=1)

    @cached_property
    def tables(self) -> tuple[EventTable, ...]:
        """Every event table of a discrete space, row-major in grid order."""
        settings = itertools.product(*(self._choices(i) for i in self._structural))
        return tuple(map(self._table, settings))

    @cached_property
    def market(self) -> engine.Market:
        """The engine with every table and exit setting of a discrete space.

        Errors are those of `require_memory`.
        """
        self.require_memory()
        return self._load(self.tables, self._exit_settings)

    def require_memory(self) -> None:
        """Refuse what does not fit, before anything is allocated.

        Raises
        ------
        UserError
            When the memory that is free does not hold every exit setting of a discrete space.
        """
        if self.shortage is not None:
            draw = "" if self.whole_fits else ", or use optimizer=random, which holds what it draws"
            raise UserError(
                f"{self.shortage} Free some memory, or give fewer values or a coarser range"
                f" (strategy.parameters.NAME=LOW:HIGH:STEP){draw}."
            )

    @property
    def whole_fits(self) -> bool:
        """Whether a search that draws has its luck measured on the whole discrete space."""
        return self.space.few_tables and self.outcome_bytes <= WHOLE_BYTES

    @cached_property
    def outcome_bytes(self) -> int:
        """Bytes that every exit setting of every entry of a discrete space takes."""
        sides = {"both": (-1, 1), "long": (1,), "short": (-1,)}[self.risk.direction]
        bars = (t.signal_bar[t.side == side] for t in self.tables for side in sides)
        signs = (side for _ in self.tables for side in sides)
        keys = [bar.astype(np.int64) * sign for bar, sign in zip(bars, signs, strict=True)]
        entries = len(np.unique(np.concatenate(keys))) if keys else 0
        return entries * self.grid.n_exits * OUTCOME_BYTES

    @cached_property
    def shortage(self) -> str | None:
        """Say that memory does not hold every exit setting of a discrete space, if so."""
        free, settings = psutil.virtual_memory().available, self.grid.n_exits
        if self.backend.name not in HOLD_HERE or self.outcome_bytes <= max(free, HELD_BYTES):
            return None
        return (
            f"The {settings:,} exit settings of this space ({self.space.size:,} combinations) need"
            f" {self.outcome_bytes / 1e9:,.1f} GB of memory on these candles; {free / 1e9:,.1f} GB"
            " are free here."
        )

    @cached_property
    def _exit_settings(self) -> ExitSettings:
        """All exit settings, row-major in grid order."""
        axes = np.meshgrid(*(self._choices(i) for i in self._exit), indexing="ij")
        columns = [axis.ravel() for axis in axes]
        return self._exits(np.column_stack(columns) if columns else np.empty((1, 0)))

    def _exits(self, rows: Float) -> ExitSettings:
        """Make exit settings of values of the exit parameters, shape (E, exit parameters)."""
        names = [self.space.dimensions[i].parameter.exit for i in self._exit]
        columns = np.ascontiguousarray(rows.T)
        return ExitSettings(**dict(zip(names, columns, strict=True)))

    def _table(self, setting: Sequence[float]) -> EventTable:
        names = [self.space.dimensions[i].parameter.name for i in self._structural]
        return self._builder.table(dict(zip(names, setting, strict=True)))

    def _load(self, tables: tuple[EventTable, ...], exits: ExitSettings) -> engine.Market:
        return engine.load(
            self.candles, Tables(tables, self._senses), exits, self.costs, self.risk, self.backend
        )

    def _choices(self, dimension: int) -> Float:
        choices = self.space.dimensions[dimension].choices
        assert choices is not None, "only a discrete space has choices"
        return choices

    def _row_major(self, points: Float, dimensions: list[int]) -> Int32:
        """Return which setting of some dimensions each point has; 0 where there are none."""
        number = np.zeros(len(points), np.int64)
        for choices, values in ((self._choices(i), points[:, i]) for i in dimensions):
            number = number * len(choices) + np.searchsorted(choices, values)
        return number.astype(np.int32)
