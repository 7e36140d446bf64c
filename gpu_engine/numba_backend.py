"""The compiled CPU backend: outcomes once per entry and exit setting, then a walk per combination.

Units run in parallel and each is sequential inside, so results do not depend on threads. Fast-math
is off and nothing contracts to FMA: comparisons at a threshold decide as in `reference`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.numba_kernels import outcomes_kernel, walk_kernel
from gpu_engine.outcomes import Outcomes, trades_of_rows
from gpu_engine.records import METRICS, Batch, Float, Int32, Window

name = "numba"


@dataclass(frozen=True)
class Loaded:
    """The book with every outcome computed, and the UTC day of every exit, shaped like them."""

    book: EventBook
    outcomes: Outcomes
    exit_day: Int32


def set_threads(threads: int | None) -> None:
    """Use ``threads`` cores; None means all."""
    numba.set_num_threads(
        min(threads or numba.config.NUMBA_NUM_THREADS, numba.config.NUMBA_NUM_THREADS)
    )


def load(book: EventBook) -> Loaded:
    """Compute the outcome of every distinct entry under every exit setting."""
    outcomes = Outcomes.empty(book)
    candles, entries = book.candles, book.entries
    outcomes_kernel(
        candles.open,
        candles.high,
        candles.low,
        candles.close,
        entries.bar,
        entries.side,
        entries.atr,
        entries.price,
        book.exits.stop_distance,
        book.exits.target_multiple,
        book.costs.fee_rate,
        book.costs.slippage,
        book.risk.max_holding_bars or 0,
        outcomes.exit_bar,
        outcomes.reason,
        outcomes.price,
        outcomes.ret,
    )
    return Loaded(book, outcomes, candles.day[outcomes.exit_bar])


def evaluate(loaded: Loaded, batch: Batch, windows: tuple[Window, ...]) -> NDArray[np.void]:
    """Metrics (`METRICS`) of every combination in every window, shape (W, len(batch))."""
    metrics = np.zeros((len(windows), len(batch)), METRICS)
    _walk(loaded, batch, windows, metrics, np.empty((0, 0)), np.empty(0, np.int32))
    return metrics


def daily_returns(loaded: Loaded, batch: Batch, window: Window) -> Float:
    """Daily equity returns (fills rules §10), float64 of shape (len(batch), D)."""
    day = loaded.book.candles.day
    daily = np.zeros((len(batch), int(day[window.end - 1] - day[window.start]) + 1))
    metrics = np.zeros((1, len(batch)), METRICS)
    _walk(loaded, batch, (window,), metrics, daily, np.empty(0, np.int32))
    return daily


def trades(loaded: Loaded, batch: Batch, window: Window) -> NDArray[np.void]:
    """Trades (`TRADE`) of a batch of one combination, in order of entry."""
    taken = np.empty(len(loaded.book.signal_bar), np.int32)
    metrics = np.zeros((1, 1), METRICS)
    _walk(loaded, batch, (window,), metrics, np.empty((0, 0)), taken)
    rows = taken[: int(metrics["sample_size"][0, 0])]
    return trades_of_rows(loaded.book, loaded.outcomes, rows, int(batch.first_exit[0]), window)


def _walk(
    loaded: Loaded,
    batch: Batch,
    windows: tuple[Window, ...],
    metrics: NDArray[np.void],
    daily: Float,
    taken: Int32,
) -> None:
    book, risk, outcomes = loaded.book, loaded.book.risk, loaded.outcomes
    walk_kernel(
        book.candles.close,
        book.candles.day,
        book.row_start,
        book.sweep_bar,
        book.signal_bar,
        book.features,
        book.entry,
        book.entries.side,
        book.entries.price,
        outcomes.exit_bar,
        loaded.exit_day,
        outcomes.ret,
        batch.table,
        batch.thresholds * book.senses,
        batch.first_exit,
        batch.exits_per_unit,
        np.array([(w.start, w.end) for w in windows], np.int64).reshape(-1, 2),
        book.costs.fee_rate,
        book.costs.slippage,
        risk.position_fraction,
        np.inf if risk.max_daily_loss is None else risk.max_daily_loss,
        risk.consecutive_losses_limit or 0,
        numba.get_num_threads(),
        metrics,
        daily,
        taken,
    )
