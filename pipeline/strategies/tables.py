"""Hold an event table against its contract before the engine sees it (exits rules §1)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import EventTable
from gpu_engine.book import DTYPES, OWN_COLUMNS
from gpu_engine.exits import LEVELS
from pipeline.strategies.base import Strategy, of_kind


def faults(
    strategy: Strategy, structural: Mapping[str, float], table: Any, bars: int
) -> Iterator[str]:
    """Yield what is wrong with a table, a sentence each, those that make others pointless first.

    Parameters
    ----------
    strategy : Strategy
        Its thresholds are the columns of ``features``; its exits say which levels a row needs.
    structural : mapping of str to float
        The setting that the table is of.
    table : object
        What the strategy returned.
    bars : int
        Number of candles.
    """
    roles = {parameter.exit for parameter in of_kind(strategy, "exit")}
    needed = frozenset(level for role, level in LEVELS.items() if role in roles)
    setting = ", ".join(f"{name}={value:g}" for name, value in structural.items())
    for fault in _faults(table, bars, len(of_kind(strategy, "threshold")), needed):
        yield f"table({setting}) {fault}"


def _faults(table: Any, bars: int, thresholds: int, needed: frozenset[str]) -> Iterator[str]:
    """Yield the same, each to go on after the name of the table."""
    if not isinstance(table, EventTable):
        yield f"must return a gpu_engine.EventTable; given: {type(table).__name__}."
        return
    wrong = list(_column_faults(table, thresholds, needed))
    yield from wrong
    if wrong or not len(table):
        return
    setup, signal = table.setup_bar, table.signal_bar
    first = _first((setup < 0) | (setup > signal) | (signal >= bars))
    if first is not None:
        yield (
            f"must have 0 <= setup_bar <= signal_bar < {bars} (the number of candles); row {first}"
            f" has setup_bar {setup[first]}, signal_bar {signal[first]}."
        )
    first = _first(np.abs(table.side) != 1)
    if first is not None:
        yield f"must have side +1 (long) or -1 (short); row {first} has {table.side[first]}."
    first = _first(~(np.isfinite(table.atr) & (table.atr > 0.0)))
    if first is not None:
        yield (
            f"must have an atr above 0 in every row, without NaN; row {first} (bar"
            f" {signal[first]}) has {table.atr[first]}: leave rows out where ATR is undefined."
        )
    yield from _order_faults(table)
    for name in ("stop_level", "target_level"):
        level = getattr(table, name)
        first = None if level is None else _first(np.isinf(level))
        if first is not None:
            yield f"may have NaN in {name}, not infinity; row {first} has {level[first]}."
    if table.exit_signal_bar is not None:
        out = table.exit_signal_bar
        first = _first((out != -1) & (out <= signal))
        if first is not None:
            yield (
                "must have in exit_signal_bar a bar after signal_bar, or -1 for none; row"
                f" {first} has {out[first]} with signal_bar {signal[first]}."
            )
        first = _first(out >= bars)
        if first is not None:
            yield (
                f"has in exit_signal_bar of row {first} bar {out[first]}, beyond the last candle"
                f" ({bars - 1}): write -1 there. To end a trade after so many bars, declare the"
                " exit holding_bars instead."
            )


def _column_faults(table: EventTable, thresholds: int, needed: frozenset[str]) -> Iterator[str]:
    rows = np.shape(table.signal_bar)
    if len(rows) != 1:
        yield f"must have one signal_bar a row; its shape is {rows}."
        return
    for name, dtype in DTYPES.items():
        column = getattr(table, name)
        if column is None:
            if name in needed or name not in OWN_COLUMNS:
                yield f"must have the column {name}, which its exits need; it is None."
            continue
        shape = (*rows, thresholds) if name == "features" else rows
        expected = f"{np.dtype(dtype).name} of shape {shape}"
        if type(column) is not np.ndarray:  # a masked array or a matrix compares in its own way
            yield (
                f"must have {name} as a plain NumPy array, {expected}; given:"
                f" {type(column).__name__}."
            )
        elif column.shape != shape:
            per = ", one column a threshold parameter," if name == "features" else ""
            yield f"must have {name} of shape {shape}{per} not {column.shape}."
        elif column.dtype != dtype:
            yield (
                f"must have {name} as {expected}, not {column.dtype}: write"
                f" .astype(np.{np.dtype(dtype).name})."
            )


def _order_faults(table: EventTable) -> Iterator[str]:
    """Rows come by signal bar, then setup bar, then long first; no two are equal in all three."""
    keys = (table.signal_bar, table.setup_bar, -table.side.astype(np.int64))
    later = np.zeros(max(len(table) - 1, 0), np.bool_)
    equal = ~later
    for key in keys:
        step = np.diff(key.astype(np.int64))
        later |= equal & (step > 0)
        equal &= step == 0
    first = _first(~later)
    if first is not None:
        rows = [(int(k[first]), int(k[first + 1])) for k in (*keys[:2], table.side)]
        yield (
            "must have its rows in order of signal_bar, then setup_bar, then long first, none"
            f" twice; rows {first} and {first + 1} have signal_bar {rows[0][0]} and {rows[0][1]},"
            f" setup_bar {rows[1][0]} and {rows[1][1]}, side {rows[2][0]} and {rows[2][1]}."
        )


def _first(wrong: NDArray[Any]) -> int | None:
    """Return the number of the first row that is wrong; None where none is."""
    return int(np.argmax(wrong)) if wrong.any() else None
