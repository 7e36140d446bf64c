"""Flatten the event tables of one market into the arrays that every backend scans.

Rows that no combination can trade are dropped here once (fills rules §6.3: the entry bar is filled,
does not exist, or its direction is switched off). Rows of different tables that enter at the same
bar, side and ATR are one *entry*, and its outcomes are shared by every combination.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import (
    Candles,
    Costs,
    Direction,
    ExitSettings,
    Float,
    Int32,
    Int64,
    RiskLimits,
    Tables,
)


class Entries(NamedTuple):
    """Distinct entries, sorted by bar: ``bar`` is ``e = r + 1``; shape (N,) each.

    ``price`` is the fill, slippage included (fills rules §6.2); ``atr`` that of the signal bar.
    """

    bar: Int32
    side: NDArray[np.int8]
    atr: Float
    price: Float


@dataclass(frozen=True, eq=False)
class EventBook:
    """All rows of all tables, table after table, in signal order within each.

    Attributes
    ----------
    row_start : int64 array of shape (T + 1,)
        Rows of table ``k`` are ``row_start[k] .. row_start[k + 1] - 1``.
    sweep_bar, signal_bar : int32 arrays of shape (M,)
    features : float64 array of shape (K, M)
        Multiplied by the sense, so that every comparison is ``>=``; NaN fails.
    entry : int32 array of shape (M,)
        Index into ``entries``.
    senses : float64 array of shape (K,)
    """

    candles: Candles
    row_start: Int64
    sweep_bar: Int32
    signal_bar: Int32
    features: Float
    entry: Int32
    senses: Float
    entries: Entries
    exits: ExitSettings
    costs: Costs
    risk: RiskLimits


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
    kept = [_tradable(candles, t.signal_bar, t.side, risk.direction) for t in tables.tables]
    pairs = list(zip(tables.tables, kept, strict=True))
    signal = np.concatenate([t.signal_bar[k] for t, k in pairs], dtype=np.int32)
    side = np.concatenate([t.side[k] for t, k in pairs], dtype=np.int8)
    atr = np.concatenate([t.atr[k] for t, k in pairs], dtype=np.float64)
    senses = np.array(tables.senses, np.float64)
    features = np.concatenate([t.features[k] for t, k in pairs], dtype=np.float64) * senses
    distinct, entry = _distinct(signal, side, atr)
    bar = signal[distinct] + np.int32(1)
    entry_side = side[distinct]
    return EventBook(
        candles=candles,
        row_start=np.concatenate(([0], np.cumsum([len(k) for k in kept]))).astype(np.int64),
        sweep_bar=np.concatenate([t.sweep_bar[k] for t, k in pairs], dtype=np.int32),
        signal_bar=signal,
        features=np.ascontiguousarray(features.T),
        entry=entry,
        senses=senses,
        entries=Entries(
            bar=bar,
            side=entry_side,
            atr=atr[distinct],
            price=candles.open[bar] * (1.0 + entry_side * costs.slippage),
        ),
        exits=ExitSettings(
            np.asarray(exits.stop_distance, np.float64),
            np.asarray(exits.target_multiple, np.float64),
        ),
        costs=costs,
        risk=risk,
    )


def _tradable(
    candles: Candles, signal_bar: Int32, side: NDArray[np.int8], direction: Direction
) -> Int64:
    """Find the rows that may be entered: the bar exists, is not filled, its side is on (§6.3)."""
    entry_bar = np.minimum(signal_bar + 1, len(candles) - 1)
    kept = (signal_bar + 1 < len(candles)) & ~candles.filled[entry_bar]
    if direction != "both":
        kept &= side == (1 if direction == "long" else -1)
    return np.flatnonzero(kept)


def _distinct(signal: Int32, side: NDArray[np.int8], atr: Float) -> tuple[Int64, Int32]:
    """Find the first row of every distinct (signal, side, ATR), and each row's entry index."""
    order = np.lexsort((atr, side, signal))
    changed = np.ones(len(order), np.bool_)
    for column in (signal[order], side[order], atr[order]):
        changed[1:] &= column[1:] == column[:-1]
    changed[1:] = ~changed[1:]
    entry = np.empty(len(order), np.int32)
    entry[order] = np.cumsum(changed) - 1
    return order[changed], entry
