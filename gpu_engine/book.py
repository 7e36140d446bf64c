"""Flatten the event tables of one market into the arrays that every backend scans.

Rows that no combination can trade are dropped here once (fills rules §6.3: the entry bar is filled,
does not exist, or its direction is switched off). Rows of different tables that enter at the same
bar with the same side, ATR and levels are one *entry*, and its outcomes are shared by every
combination.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.exits import LEVELS, ExitSettings
from gpu_engine.records import (
    Bool,
    Candles,
    Costs,
    Direction,
    EventTable,
    Float,
    Int32,
    Int64,
    RiskLimits,
    Tables,
)

#: Columns of a table that only some strategies have (exits rules §1).
OWN_COLUMNS = ("stop_level", "target_level", "exit_signal_bar")


class Entries(NamedTuple):
    """Distinct entries, sorted by bar: ``bar`` is ``e = r + 1``; shape (N,) each.

    ``price`` is the fill, slippage included (fills rules §6.2); ``atr`` that of the signal bar. The
    last three are None where no exit setting or no table has them (`EventTable`).
    """

    bar: Int32
    side: NDArray[np.int8]
    atr: Float
    price: Float
    stop_level: Float | None
    target_level: Float | None
    exit_signal_bar: Int32 | None


@dataclass(frozen=True, eq=False)
class EventBook:
    """All rows of all tables, table after table, in signal order within each.

    Attributes
    ----------
    row_start : int64 array of shape (T + 1,)
        Rows of table ``k`` are ``row_start[k] .. row_start[k + 1] - 1``.
    setup_bar, signal_bar : int32 arrays of shape (M,)
    features : float64 array of shape (K, M)
        Multiplied by the sense, so that every comparison is ``>=``; NaN fails.
    entry : int32 array of shape (M,)
        Index into ``entries``.
    senses : float64 array of shape (K,)
    funding : float64 array of shape (n,), or None
        Sum of the funding rates up to every bar's open (`Funding.sums`).
    """

    candles: Candles
    row_start: Int64
    setup_bar: Int32
    signal_bar: Int32
    features: Float
    entry: Int32
    senses: Float
    entries: Entries
    exits: ExitSettings
    costs: Costs
    risk: RiskLimits
    funding: Float | None


def build_book(
    candles: Candles, tables: Tables, exits: ExitSettings, costs: Costs, risk: RiskLimits
) -> EventBook:
    """Flatten ``tables`` and find the distinct entries; columns take the dtypes of the records."""
    candles = replace(
        candles,
        open=np.asarray(candles.open, np.float64),
        high=np.asarray(candles.high, np.float64),
        low=np.asarray(candles.low, np.float64),
        close=np.asarray(candles.close, np.float64),
    )
    kept = [_tradable(candles, t, risk.direction) for t in tables.tables]

    def stacked(name: str, dtype: type) -> NDArray[Any]:
        columns = [getattr(t, name)[k] for t, k in zip(tables.tables, kept, strict=True)]
        return np.concatenate(columns, dtype=dtype)

    signal, side = stacked("signal_bar", np.int32), stacked("side", np.int8)
    senses = np.array(tables.senses, np.float64)
    columns = {"signal": signal, "side": side, "atr": stacked("atr", np.float64)}
    columns |= {n: stacked(n, np.float64) for c, n in LEVELS.items() if c in exits.columns()}
    if all(table.exit_signal_bar is not None for table in tables.tables):
        columns["exit_signal_bar"] = stacked("exit_signal_bar", np.int32)
    distinct, entry = _distinct(list(columns.values()))
    bar, entry_side = signal[distinct] + np.int32(1), side[distinct]
    own = {name: columns[name][distinct] if name in columns else None for name in OWN_COLUMNS}
    return EventBook(
        candles=candles,
        row_start=np.concatenate(([0], np.cumsum([len(k) for k in kept]))).astype(np.int64),
        setup_bar=stacked("setup_bar", np.int32),
        signal_bar=signal,
        features=np.ascontiguousarray((stacked("features", np.float64) * senses).T),
        entry=entry,
        senses=senses,
        entries=Entries(
            bar=bar,
            side=entry_side,
            atr=columns["atr"][distinct],
            price=candles.open[bar] * (1.0 + entry_side * costs.slippage),
            **own,
        ),
        exits=exits,
        costs=costs,
        risk=risk,
        funding=None if costs.funding is None else costs.funding.sums(candles),
    )


def _tradable(candles: Candles, table: EventTable, direction: Direction) -> Int64:
    """Find the rows that may be entered: the bar exists, is not filled, its side is on (§6.3)."""
    entry_bar = np.minimum(table.signal_bar + 1, len(candles) - 1)
    kept = (table.signal_bar + 1 < len(candles)) & ~candles.filled[entry_bar]
    if direction != "both":
        kept &= table.side == (1 if direction == "long" else -1)
    return np.flatnonzero(kept)


def _distinct(columns: Sequence[NDArray[Any]]) -> tuple[Int64, Int32]:
    """Find the first row of every distinct tuple of columns, and each row's entry index.

    Columns are signal bar, side and others. Rows of one bar and side agree in the others as a rule:
    then the sort by two columns is enough.
    """
    order = np.argsort(columns[0] * np.int64(2) + (columns[1] > 0), kind="stable")
    same = _same_as_before(columns[:2], order)
    if not _same_as_before(columns[2:], order)[same].all():
        order = np.lexsort(columns[::-1])
        same = _same_as_before(columns, order)
    changed = np.concatenate((np.ones(min(len(order), 1), np.bool_), ~same))
    entry = np.empty(len(order), np.int32)
    entry[order] = np.cumsum(changed) - 1
    return order[changed], entry


def _same_as_before(columns: Sequence[NDArray[Any]], order: Int64) -> Bool:
    """Say which rows, in some order, equal the one before them; NaN equals NaN."""
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for column in columns:
        values = column[order]
        both_nan = (values[1:] != values[1:]) & (values[:-1] != values[:-1])
        same &= (values[1:] == values[:-1]) | both_nan
    return same
