"""Hold an event table against its contract before the engine sees it (exits rules §1)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import EventTable

#: Of every column its type; the last three may be None.
DTYPES = {
    "setup_bar": np.int32,
    "signal_bar": np.int32,
    "side": np.int8,
    "atr": np.float64,
    "features": np.float64,
    "stop_level": np.float64,
    "target_level": np.float64,
    "exit_signal_bar": np.int32,
}
OPTIONAL = ("stop_level", "target_level", "exit_signal_bar")


def faults(table: Any, bars: int, thresholds: int, optional: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with a table, a sentence each, those that make others pointless first.

    Parameters
    ----------
    table : object
        What a strategy returned.
    bars : int
        Number of candles.
    thresholds : int
        Number of threshold parameters: K, the columns of ``features``.
    optional : frozenset of str
        The columns of `OPTIONAL` that its exits need.
    """
    if not isinstance(table, EventTable):
        yield f"must return a gpu_engine.EventTable; given: {type(table).__name__}."
        return
    wrong = list(_column_faults(table, thresholds, optional))
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
        first = _first((out != -1) & ((out <= signal) | (out >= bars)))
        if first is not None:
            yield (
                "must have in exit_signal_bar a bar after signal_bar, or -1 for none; row"
                f" {first} has {out[first]} with signal_bar {signal[first]}."
            )


def _column_faults(table: EventTable, thresholds: int, optional: frozenset[str]) -> Iterator[str]:
    rows = np.shape(table.signal_bar)
    if len(rows) != 1:
        yield f"must have one signal_bar a row; its shape is {rows}."
        return
    for name, dtype in DTYPES.items():
        column = getattr(table, name)
        if column is None:
            if name in optional or name not in OPTIONAL:
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
