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
    Float,
    Int32,
    Int64,
    RiskLimits,
    Tables,
)

#: Columns of a table that only some strategies have (exits rules §1).
OWN_COLUMNS = ("stop_level", "target_level", "exit_signal_bar")
DTYPES: dict[str, type] = {
    "setup_bar": np.int32,
    "signal_bar": np.int32,
    "side": np.int8,
    "atr": np.float64,
    "features": np.float64,
    "stop_level": np.float64,
    "target_level": np.float64,
    "exit_signal_bar": np.int32,
}


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

    def leave(self, never: int) -> Int32:
        """Return the first bar at whose open a signal closes each position (exits rules §5.3).

        ``never``, an int32 after every bar, where none does.
        """
        if self.exit_signal_bar is None:
            return np.full(len(self.bar), never, np.int32)
        signal = self.exit_signal_bar
        return np.where((signal >= 0) & (signal < never), signal + 1, never).astype(np.int32)


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
    """Flatten ``tables`` and find the distinct entries; columns take the dtypes of the records.

    Raises
    ------
    ValueError
        When a row is not what `EventTable` says.
    """
    rows = _all_rows(tables)
    _check_rows(rows, tables)
    kept = _tradable(candles, rows["signal_bar"], rows["side"], risk.direction)
    rows = {name: column[kept] for name, column in rows.items()}
    senses = np.array(tables.senses, np.float64)
    levels = [name for column, name in LEVELS.items() if exits.has_any_of([column]).any()]
    names = ["signal_bar", "side", "atr", *levels, "exit_signal_bar"]
    distinct, entry = _distinct([rows[name] for name in names if name in rows])
    side, bar = rows["side"][distinct], rows["signal_bar"][distinct] + np.int32(1)
    candles = _as_kernels_read(candles)
    own = {n: rows[n][distinct] if n in names and n in rows else None for n in OWN_COLUMNS}
    after = np.cumsum([0, *(len(table) for table in tables.tables)])
    return EventBook(
        candles=candles,
        row_start=np.concatenate(([0], np.cumsum(kept)))[after].astype(np.int64),
        setup_bar=rows["setup_bar"],
        signal_bar=rows["signal_bar"],
        features=np.ascontiguousarray((rows["features"] * senses).T),
        entry=entry,
        senses=senses,
        entries=Entries(
            bar=bar,
            side=side,
            atr=rows["atr"][distinct],
            price=candles.open[bar] * (1.0 + side * costs.slippage),
            **own,
        ),
        exits=exits,
        costs=costs,
        risk=risk,
        funding=None if costs.funding is None else costs.funding.sums(candles),
    )


def _as_kernels_read(candles: Candles) -> Candles:
    """Return candles of the dtypes that kernels read: themselves when they have them."""
    names = ("open", "high", "low", "close")
    columns: dict[str, Any] = {n: np.asarray(getattr(candles, n), np.float64) for n in names}
    columns["filled"] = np.asarray(candles.filled, np.bool_)
    if all(column is getattr(candles, name) for name, column in columns.items()):
        return candles
    return replace(candles, **columns)


def _all_rows(tables: Tables) -> dict[str, NDArray[Any]]:
    """Put the columns that all tables have one after another, in the dtypes of the records."""
    present = set.intersection(*(set(table.columns()) for table in tables.tables))
    return {
        name: np.concatenate([getattr(t, name) for t in tables.tables], dtype=dtype)
        for name, dtype in DTYPES.items()
        if name in present
    }


def _check_rows(rows: dict[str, NDArray[Any]], tables: Tables) -> None:
    """Refuse rows that the kernels would misread: bars, sides, or an order that is none."""
    signal, setup, side = (
        rows[name].astype(np.int64) for name in ("signal_bar", "setup_bar", "side")
    )
    table = np.repeat(np.arange(len(tables.tables)), [len(t) for t in tables.tables])
    bad = (setup < 0) | (setup > signal) | (abs(side) != 1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"event table {table[row]}: a row needs 0 <= setup_bar <= signal_bar and a side of 1 or"
            f" -1; got {setup[row]}, {signal[row]} and {side[row]}"
        )
    wants_out = rows["exit_signal_bar"] if "exit_signal_bar" in rows else signal + 1
    bad = (wants_out != -1) & (wants_out <= signal)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"event table {table[row]}: exit_signal_bar must be -1 or after signal_bar"
            f" {signal[row]}; got {wants_out[row]}"
        )
    key = (signal << 32) + (setup << 1) + (side < 0)
    unsorted = (np.diff(key) < 0) & (np.diff(table) == 0)
    if unsorted.any():
        raise ValueError(
            f"event table {table[1:][unsorted][0]}: rows must be sorted by signal_bar, then"
            " setup_bar, then long first"
        )


def _tradable(
    candles: Candles, signal: Int32, side: NDArray[np.int8], direction: Direction
) -> Bool:
    """Say which rows may be entered: the bar exists, is not filled, its side is on (§6.3)."""
    entry_bar = np.minimum(signal + 1, len(candles) - 1)
    kept: Bool = (signal + 1 < len(candles)) & ~candles.filled[entry_bar]
    if direction != "both":
        kept &= side == (1 if direction == "long" else -1)
    return kept


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
