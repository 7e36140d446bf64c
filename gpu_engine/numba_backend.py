"""The compiled CPU backend: outcomes once per entry and exit setting, then a walk per combination.

Units run in parallel and each is sequential inside, so results do not depend on threads. Fast-math
is off and nothing contracts to FMA: comparisons at a threshold decide as in `reference`.
"""

import importlib
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from gpu_engine import numba_kernels as kernels
from gpu_engine.book import EventBook, build_book
from gpu_engine.layouts import window_rows
from gpu_engine.outcomes import Outcomes, trades_of_rows
from gpu_engine.records import (
    DAY_MS,
    METRICS,
    Batch,
    Candles,
    Costs,
    EventTable,
    ExitSettings,
    Float,
    Int32,
    RiskLimits,
    Tables,
    Window,
)

name = "numba"


@dataclass(frozen=True)
class Loaded:
    """The book with every outcome computed, and what the kernels read of both."""

    book: EventBook
    outcomes: Outcomes
    events: kernels.Events
    rules: kernels.Rules
    entry_outcomes: kernels.EntryOutcomes


def prepare() -> None:
    """Compile the kernels, or load them compiled; raise whatever Numba raises where it cannot."""
    numba.get_num_threads()  # starts them: where that fails, nothing need be compiled to know
    try:
        _compile()
    except Exception:
        if not kernels.CACHE:
            raise
        kernels.CACHE = False  # what is on disk may be damaged, or the disk full
        importlib.reload(kernels)
        _compile()


def _compile() -> None:
    """Call every kernel once: two bars, one signal, one combination."""
    price, bar, number = np.ones(2), np.zeros(1, np.int32), np.ones(1)
    filled = np.zeros(2, np.bool_)
    candles = Candles(np.array([0, DAY_MS]), price, price, price, price, price, filled, DAY_MS)
    table = EventTable(bar, bar, np.ones(1, np.int8), number, number[:, None])
    exits = ExitSettings(number, number)
    book = build_book(candles, Tables((table,), (1,)), exits, Costs(), RiskLimits())
    evaluate(load(book), Batch(bar, number[:, None], bar, 1), (Window(0, 2),))


def set_threads(threads: int | None) -> None:
    """Use ``threads`` cores; None means all."""
    most = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(min(threads or most, most))


def load(book: EventBook) -> Loaded:
    """Compute the outcome of every distinct entry under every exit setting."""
    candles, entries, risk = book.candles, book.entries, book.risk
    rules = kernels.Rules(
        book.costs.fee_rate,
        book.costs.slippage,
        risk.position_fraction,
        np.inf if risk.max_daily_loss is None else risk.max_daily_loss,
        risk.consecutive_losses_limit or 0,
        risk.max_holding_bars or 0,
    )
    prices = kernels.Prices(candles.open, candles.high, candles.low, candles.close)
    exits = kernels.Exits(book.exits.stop_distance, book.exits.target_multiple)
    outcomes = Outcomes.empty(book)
    kernels.outcomes_kernel(prices, entries, exits, rules, outcomes)
    bar = entries.bar[book.entry]
    events = kernels.Events(
        book.row_start, book.sweep_bar, bar, candles.day[bar], book.entry, book.features
    )
    exit_bar = outcomes.exit_bar
    entry_outcomes = kernels.EntryOutcomes(
        entries.side, entries.price, exit_bar, candles.day[exit_bar], outcomes.ret
    )
    return Loaded(book, outcomes, events, rules, entry_outcomes)


def evaluate(loaded: Loaded, batch: Batch, windows: tuple[Window, ...]) -> NDArray[np.void]:
    """Compute metrics (`METRICS`) of all combinations in all windows, shape (W, len(batch))."""
    return _walk(loaded, batch, windows).metrics


def daily_returns(loaded: Loaded, batch: Batch, window: Window) -> Float:
    """Compute daily equity returns (fills rules §10), float64 of shape (len(batch), D)."""
    daily = np.zeros((len(batch), loaded.book.candles.days_of(window)))
    return _walk(loaded, batch, (window,), daily=daily).daily


def trades(loaded: Loaded, batch: Batch, window: Window) -> NDArray[np.void]:
    """List the trades (`TRADE`) of a batch of one combination, in order of entry."""
    taken = np.empty(len(loaded.book.signal_bar), np.int32)
    metrics = _walk(loaded, batch, (window,), taken=taken).metrics
    rows = taken[: int(metrics["sample_size"][0, 0])]
    return trades_of_rows(loaded.book, loaded.outcomes, rows, int(batch.first_exit[0]), window)


def _walk(
    loaded: Loaded,
    batch: Batch,
    windows: tuple[Window, ...],
    daily: Float | None = None,
    taken: Int32 | None = None,
) -> kernels.Output:
    """Run the walk; it fills ``daily`` and ``taken`` unless they are None (see `Output`)."""
    output = kernels.Output(
        np.zeros((len(windows), len(batch)), METRICS),
        np.empty((0, 0)) if daily is None else daily,
        np.empty(0, np.int32) if taken is None else taken,
    )
    thresholds = batch.thresholds * loaded.book.senses
    units = kernels.Units(batch.table, thresholds, batch.first_exit, batch.exits_per_unit)
    rows = window_rows(loaded.book.candles, windows)
    threads = numba.get_num_threads()
    kernels.walk_kernel(
        loaded.events, loaded.entry_outcomes, loaded.rules, units, rows, threads, output
    )
    return output
