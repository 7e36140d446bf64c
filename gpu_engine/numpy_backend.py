"""The portable fallback: outcomes of all entries, then a walk of all combinations, NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.metrics import Needs
from gpu_engine.numpy_outcomes import Passages
from gpu_engine.numpy_walk import NEVER, RUIN, Ends, Paths, Rules, Walk, walks
from gpu_engine.outcomes import DROPPED, net_returns, trades_of_rows
from gpu_engine.records import END, METRICS, Batch, Bool, Float, Int32, Int64, Window

name = "numpy"

#: Positions whose outcomes are found at once.
POSITIONS_PER_BLOCK = 1 << 18
#: Rows times units times windows that are held against the thresholds at once.
CELLS_PER_PART = 1 << 22


@dataclass(frozen=True)
class Loaded:
    """The book with every outcome computed, of shape (N, E) for N entries, E exit settings.

    ``last_exit``, int32 of shape (N,), is the last exit bar of any setting.
    """

    book: EventBook
    passages: Passages
    ends: Ends
    last_exit: Int32
    rules: Rules


def load(book: EventBook) -> Loaded:
    """Compute the outcome of every distinct entry under every exit setting."""
    shape = n_entries, n_exits = len(book.entries.bar), len(book.exits)
    ends = Ends(np.empty(shape, np.int32), np.empty(shape, np.int32), np.empty(shape))
    day, setting = book.candles.day - book.candles.day[0], np.arange(n_exits)
    passages, block = Passages(book), max(1, POSITIONS_PER_BLOCK // n_exits)
    for first in range(0, n_entries, block):
        entry = np.arange(first, min(first + block, n_entries))
        outcomes = passages.of(np.tile(setting, len(entry)), np.repeat(entry, n_exits))
        kept, part = outcomes.exit_bar != DROPPED, slice(first, first + len(entry))
        ret = np.where(kept, outcomes.ret * book.risk.exposure, 0.0)
        ends.exit_bar[part] = np.where(kept, outcomes.exit_bar, NEVER).reshape(-1, n_exits)
        ends.exit_day[part] = np.where(kept, day[outcomes.exit_bar], NEVER).reshape(-1, n_exits)
        ends.ret[part] = ret.reshape(-1, n_exits)
    last_bar = np.searchsorted(day, np.arange(day[-1] + 1), "right") - 1
    loss = book.risk.max_daily_loss
    rules = Rules(
        max_daily_loss=np.inf if loss is None else loss,
        losses_limit=book.risk.consecutive_losses_limit or RUIN,
        last_bar=last_bar.astype(np.int32),
        drops=bool((ends.exit_bar == NEVER).any()),
    )
    return Loaded(book, passages, ends, ends.exit_bar.max(axis=1, initial=NEVER), rules)


def evaluate(
    loaded: Loaded, batch: Batch, windows: tuple[Window, ...], fields: tuple[str, ...]
) -> NDArray[Any]:
    """Compute ``fields`` of `METRICS` of all combinations in all windows, shape (W, len(batch))."""
    metrics = np.zeros((len(windows), len(batch)), METRICS)
    together = max(1, CELLS_PER_PART // max(1, loaded.ends.ret.size))
    for first in range(0, len(windows), together):
        part = slice(first, first + together)
        for walk in _walks(loaded, batch, windows[part], Needs.of(fields)):
            while walk.step():
                pass
            shape = (len(windows[part]), -1, walk.width)
            metrics[part].reshape(shape)[walk.window, walk.unit] = walk.metrics()
    return metrics


def daily_returns(loaded: Loaded, batch: Batch, window: Window) -> Float:
    """Compute daily equity returns (fills rules §10), float64 of shape (len(batch), D)."""
    candles = loaded.book.candles
    first = candles.day[window.start] - candles.day[0]
    daily = np.zeros((len(batch), candles.days_of(window)))
    for walk in _walks(loaded, batch, (window,), Needs.of(())):
        combination = (walk.unit[:, None] * walk.width + np.arange(walk.width)).ravel()
        while walk.step():
            taken = np.flatnonzero(walk.ends.exit_day != NEVER)
            daily[combination[taken], walk.state.day[taken] - first] = walk.state.day_return[taken]
    return daily


def trades(loaded: Loaded, batch: Batch, window: Window) -> NDArray[Any]:
    """List the trades (`TRADE`) of a batch of one combination, in order of entry."""
    rows: list[int] = []
    for walk in _walks(loaded, batch, (window,), Needs.of(())):
        while walk.step():
            rows.extend(walk.row[walk.ends.exit_day != NEVER])
    taken, setting = np.array(rows, np.int64), int(batch.first_exit[0])
    outcomes = loaded.passages.of(np.full(len(taken), setting), loaded.book.entry[taken])
    return trades_of_rows(loaded.book, taken, outcomes, setting, window)


def _walks(
    loaded: Loaded, batch: Batch, windows: tuple[Window, ...], needs: Needs
) -> Iterator[Walk]:
    """Yield walks, together the whole batch in all windows."""
    width, n_exits = batch.exits_per_unit, len(loaded.book.exits)
    if n_exits % width or np.any(batch.first_exit % width):  # not side by side: one a unit
        setting = np.add.outer(batch.first_exit, np.arange(width, dtype=np.int32)).reshape(-1)
        table, thresholds = np.repeat(batch.table, width), np.repeat(batch.thresholds, width, 0)
        batch, width = Batch(table, thresholds, setting, 1), 1
    cells, ends = _cut_by_windows(loaded, windows)
    columns: list[Any] = [column.reshape(-1, width) for column in ends]
    rows = np.diff(loaded.book.row_start)[batch.table] * len(windows)
    part = np.cumsum(rows) // CELLS_PER_PART
    for units in np.split(np.arange(len(part)), np.flatnonzero(np.diff(part)) + 1):
        if len(units):
            paths = _paths(loaded.book, batch, units, windows, cells)
            yield from walks(paths, Ends(*columns), loaded.rules, needs)


def _cut_by_windows(loaded: Loaded, windows: tuple[Window, ...]) -> tuple[Int64, Ends]:
    """Close what outlasts a window at its end (exits rules §7).

    Returns the cell of every entry in every window, shape (W, N), and outcomes of all cells: those
    of `load`, then those that a window changes.
    """
    book, n_entries = loaded.book, len(loaded.last_exit)
    cells = np.tile(np.arange(n_entries), (len(windows), 1))
    n_cells, late = n_entries, []
    for w, window in enumerate(windows):
        first, after = np.searchsorted(book.entries.bar, (window.start + 1, window.end))
        late.append(first + np.flatnonzero(loaded.last_exit[first:after] >= window.end))
        cells[w, late[-1]] = n_cells + np.arange(len(late[-1]))
        n_cells += len(late[-1])
    if n_cells == n_entries:
        return cells, loaded.ends
    entry = np.concatenate(late)
    last = np.repeat([window.end - 1 for window in windows], [len(some) for some in late])
    price = book.candles.close[last] * (1.0 - book.entries.side[entry] * book.costs.slippage)
    ret = net_returns(book, entry, last, np.full(len(last), END, np.int8), price)
    cut = loaded.ends.exit_bar[entry] > last[:, None]

    def cut_at(column: NDArray[Any], at_end: NDArray[Any]) -> NDArray[Any]:
        changed = np.where(cut, at_end[:, None], column[entry])
        return np.concatenate((column, changed), dtype=column.dtype)

    exit_bar, exit_day, of_equity = loaded.ends
    return cells, Ends(
        cut_at(exit_bar, last),
        cut_at(exit_day, book.candles.day[last] - book.candles.day[0]),
        cut_at(of_equity, ret * book.risk.exposure),
    )


def _paths(
    book: EventBook, batch: Batch, units: Int64, windows: tuple[Window, ...], cells: Int64
) -> Paths:
    """List the rows of some units in every window (fills rules §6, §8)."""
    width, parts = batch.exits_per_unit, []
    blocks, tables = len(book.exits) // width, batch.table[units]
    for table in np.unique(tables):
        own, rows = units[tables == table], slice(*book.row_start[table : table + 2])
        passes = _passing(book.features[:, rows], batch.thresholds[own] * book.senses)
        bar, setup = book.signal_bar[rows] + np.int32(1), book.setup_bar[rows]
        block = batch.first_exit[own] // width
        for w, window in enumerate(windows):
            lo, hi = np.searchsorted(bar, (window.start + 1, window.end))
            unit, row = (passes[:, lo:hi] & (setup[lo:hi] >= window.start)).nonzero()
            row += lo
            cell = cells[w, book.entry[rows]] * blocks
            length = np.bincount(unit, minlength=len(own))
            number = np.full(len(own), w)
            parts.append((number, own, length, row + rows.start, bar[row], cell[row] + block[unit]))
    window_, unit_, length, row, bar, cell = map(np.concatenate, zip(*parts, strict=True))
    days = np.array([book.candles.days_of(window) for window in windows])
    start = np.cumsum(length) - length
    return Paths(window_, unit_, start, length, days[window_], row, bar, cell)


def _passing(features: Float, thresholds: Float) -> Bool:
    """Say which rows pass the thresholds of units, bool of shape (units, rows)."""
    passes: Bool = np.ones((len(thresholds), features.shape[1]), np.bool_)
    for column, of_units in zip(features, thresholds.T, strict=True):
        values, which = np.unique(of_units, return_inverse=True)
        passes &= (column >= values[:, None])[which.ravel()]  # NaN fails
    return passes
