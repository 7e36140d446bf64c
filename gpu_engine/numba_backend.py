"""The compiled CPU backend: outcomes once per entry and exit setting, then a walk per combination.

Units run in parallel and each is sequential inside, so results do not depend on threads. Fast-math
is off and nothing contracts to FMA: comparisons at a threshold decide as in `reference`.
"""

import importlib
import os
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from gpu_engine import numba_cache
from gpu_engine import numba_kernels as kernels
from gpu_engine import numba_walk as walks
from gpu_engine.book import EventBook, build_book
from gpu_engine.exits import ExitSettings
from gpu_engine.layouts import window_rows
from gpu_engine.metrics import Needs
from gpu_engine.numba_lanes import LANES
from gpu_engine.outcomes import DROPPED, Outcomes, trades_of_rows
from gpu_engine.records import (
    DAY_MS,
    METRICS,
    Batch,
    Bool,
    Candles,
    Costs,
    EventTable,
    Float,
    Int32,
    Int64,
    RiskLimits,
    Tables,
    Window,
)

name = "numba"

#: Exit settings of a unit from which eight are walked at a time.
FEW = 3
#: Bytes of masks made at once; a batch that needs more is walked in parts.
MASK_BYTES = 1 << 25
#: Outcomes of one call of the kernel: a part of a second.
PIECE = 1 << 19


@dataclass(frozen=True)
class Loaded:
    """The book with every outcome computed, and what the kernels read of both.

    ``padded`` are the features, float64 of shape (K, words * 64), every table from a whole word of
    64 rows on and NaN between; ``occupied`` says where rows lie, ``first_word`` of shape (T + 1,)
    from which word on.
    """

    book: EventBook
    bars: kernels.Bars
    long: kernels.Prices
    short: kernels.Prices
    entries: kernels.Entries
    exits: kernels.Exits
    rules: kernels.Rules
    outcomes: Float
    rows: walks.Rows
    market: walks.Market
    padded: Float
    occupied: Bool
    first_word: Int64


def prepare() -> None:
    """Compile the kernels, or load them compiled; raise whatever Numba raises where it cannot."""
    # OpenMP's threads spin while they wait, on cores that others have work for; they may sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    numba.get_num_threads()  # starts them: where that fails, nothing need be compiled to know
    try:
        _compile()
    except Exception:
        if not numba_cache.KEEPS:
            raise
        numba_cache.KEEPS = False  # what is on disk may be damaged, or the disk full
        importlib.reload(kernels)
        importlib.reload(walks)
        _compile()


def _compile() -> None:
    """Call every kernel once: two bars, one signal, one combination."""
    price, bar, number = np.ones(2), np.zeros(1, np.int32), np.ones(1)
    filled = np.zeros(2, np.bool_)
    candles = Candles(np.array([0, DAY_MS]), price, price, price, price, price, filled, DAY_MS)
    table = EventTable(bar, bar, np.ones(1, np.int8), number, number[:, None])
    exits = ExitSettings(stop_distance=number, target_multiple=number)
    book = build_book(candles, Tables((table,), (1,)), exits, Costs(), RiskLimits())
    evaluate(load(book), Batch(bar, number[:, None], bar, 1), (Window(0, 2),), METRICS.names or ())


def set_threads(threads: int | None) -> None:
    """Use ``threads`` cores; None means all."""
    most = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(min(threads or most, most))


def load(book: EventBook) -> Loaded:
    """Compute the outcome of every distinct entry under every exit setting."""
    candles, entries = book.candles, book.entries
    bars, long, short = _prices(book)
    known, exits, rules = _entries(book), _exits(book), _rules(book)
    blocks = -(-len(book.exits) // LANES)
    outcomes = np.empty((len(entries.bar), blocks, 3, LANES))
    last = np.empty(len(entries.bar), np.int32)
    each = max(PIECE // max(1, blocks * LANES), numba.get_num_threads())
    for first in range(0, len(last), each):  # between calls a signal can end the process
        part = slice(first, first + each)
        outcomes[part] = float(DROPPED)
        columns: list[Any] = [column[part] for column in known]
        some = kernels.Entries(*columns)
        kernels.outcomes_kernel(bars, long, short, some, exits, rules, outcomes[part], last[part])
    bar, row = entries.bar[book.entry], np.arange(len(book.entry), dtype=np.int32)
    rows = walks.Rows(
        row,
        book.setup_bar,
        bar.astype(np.float64),
        candles.day[bar].astype(np.float64),
        last[book.entry],
        book.entry.astype(np.int64) * outcomes[:1].size,
    )
    n_rows = np.diff(book.row_start)
    first_word = np.concatenate(([0], np.cumsum(-(-n_rows // 64)))).astype(np.int64)
    padded = np.full((len(book.features), int(first_word[-1]) * 64), np.nan)
    occupied = np.zeros(int(first_word[-1]) * 64, np.bool_)
    occupied[row + np.repeat(first_word[:-1] * 64 - book.row_start[:-1], n_rows)] = True
    padded[:, occupied] = book.features
    market = walks.Market(book.entry, known.side, entries.price, entries.bar, bars.funding)
    return Loaded(
        book=book,
        bars=bars,
        long=long,
        short=short,
        entries=known,
        exits=exits,
        rules=rules,
        outcomes=outcomes.ravel(),
        rows=rows,
        market=market,
        padded=padded,
        occupied=occupied,
        first_word=first_word,
    )


def evaluate(
    loaded: Loaded, batch: Batch, windows: tuple[Window, ...], fields: tuple[str, ...]
) -> NDArray[np.void]:
    """Compute ``fields`` of `METRICS` of all combinations in all windows, shape (W, len(batch))."""
    metrics = np.empty((len(windows), len(batch)), METRICS)
    needs = Needs.of(fields)
    _walk(loaded, batch, windows, needs, metrics, np.empty((0, 0)), np.empty(0, np.int32))
    return metrics


def daily_returns(loaded: Loaded, batch: Batch, window: Window) -> Float:
    """Compute daily equity returns (fills rules §10), float64 of shape (len(batch), D)."""
    daily = np.zeros((len(batch), loaded.book.candles.days_of(window)))
    metrics = np.empty((1, len(batch)), METRICS)
    needs = Needs.of(("sharpe_ratio",))  # whose days they are
    _walk(loaded, batch, (window,), needs, metrics, daily, np.empty(0, np.int32))
    return daily


def trades(loaded: Loaded, batch: Batch, window: Window) -> NDArray[np.void]:
    """List the trades (`TRADE`) of a batch of one combination, in order of entry."""
    taken = np.empty(len(loaded.book.signal_bar), np.int32)
    metrics = np.empty((1, 1), METRICS)
    _walk(loaded, batch, (window,), Needs.of(()), metrics, np.empty((0, 0)), taken)
    rows, setting = taken[: int(metrics["sample_size"][0, 0])], int(batch.first_exit[0])
    outcomes = Outcomes(*(np.empty(len(rows), k) for k in (np.int32, np.int8, float, float)))
    kernels.outcomes_of_rows(
        loaded.bars,
        loaded.long,
        loaded.short,
        loaded.entries,
        loaded.exits,
        loaded.rules,
        setting,
        loaded.book.entry[rows],
        outcomes.exit_bar,
        outcomes.reason,
        outcomes.price,
    )
    return trades_of_rows(loaded.book, rows, outcomes, setting, window)


def _walk(
    loaded: Loaded,
    batch: Batch,
    windows: tuple[Window, ...],
    needs: Needs,
    metrics: NDArray[np.void],
    daily: Float,
    taken: Int32,
) -> None:
    """Run the walk over all units; fill what is not empty (`gpu_engine.numba_walk.Output`)."""
    n_units, per_unit = len(batch.table), batch.exits_per_unit
    thresholds = batch.thresholds * loaded.book.senses
    windows_ = window_rows(loaded.book.candles, windows)
    wide = per_unit >= FEW and not np.any(batch.first_exit % LANES)
    words = int(loaded.first_word[-1])
    most = max(1, MASK_BYTES // (8 * max(1, words) * max(1, thresholds.shape[1])))
    for first in range(0, n_units, most):
        part = slice(first, min(first + most, n_units))
        masks, number = _masks(loaded, thresholds[part])
        units = walks.Units(batch.table[part], number, batch.first_exit[part], per_unit, wide)
        own = slice(part.start * per_unit, part.stop * per_unit)
        output = walks.Output(metrics[:, own], daily[own] if len(daily) else daily, taken)
        walks.walk_kernel(
            loaded.outcomes,
            loaded.market,
            loaded.rules,
            loaded.rows,
            masks,
            units,
            windows_,
            numba.get_num_threads(),
            needs,
            output,
        )


def _masks(loaded: Loaded, thresholds: Float) -> tuple[walks.Masks, Int32]:
    """Make one bit a row for every distinct threshold value, and number the values of each unit."""
    n_units, n_thresholds = thresholds.shape
    number = np.zeros((n_units, max(1, n_thresholds)), np.int32)
    words: list[NDArray[np.uint64]] = []
    for k in range(n_thresholds):
        values, which = np.unique(thresholds[:, k], return_inverse=True)
        number[:, k] = which.ravel() + len(words)
        words += [_packed(loaded.padded[k] >= value) for value in values]  # NaN fails
    if not n_thresholds:
        words = [_packed(loaded.occupied)]
    return walks.Masks(np.stack(words), loaded.first_word, loaded.book.row_start), number


def _packed(bits: Bool) -> NDArray[np.uint64]:
    """Pack bits into words, the first one lowest."""
    return np.packbits(bits, bitorder="little").view(np.uint64)


def _prices(book: EventBook) -> tuple[kernels.Bars, kernels.Prices, kernels.Prices]:
    """Return the candles as the kernels read them: what has no side, for longs and for shorts."""
    candles = book.candles
    opening, high, low = candles.open, candles.high, candles.low
    least, most = low, high
    if not ((low <= opening) & (opening <= high)).all():
        least, most = np.minimum(low, opening), np.maximum(high, opening)
    funding = np.zeros(len(candles)) if book.funding is None else book.funding
    bars = kernels.Bars(opening, candles.close, candles.filled, candles.day, funding)
    long = kernels.Prices(opening, low, high, least, most)
    return bars, long, kernels.Prices(opening, high, low, most, least)


def _entries(book: EventBook) -> kernels.Entries:
    entries = book.entries
    none = np.full(len(entries.bar), np.nan)
    return kernels.Entries(
        entries.bar,
        entries.side.astype(np.float64),
        entries.atr,
        entries.price,
        none if entries.stop_level is None else entries.stop_level,
        none if entries.target_level is None else entries.target_level,
        entries.leave(len(book.candles)),
    )


def _exits(book: EventBook) -> kernels.Exits:
    columns: dict[str, Any] = {n: book.exits.column(n) for n in kernels.Exits._fields[:-1]}
    return kernels.Exits(**columns, holding=book.exits.holding(book.risk.max_holding_bars))


def _rules(book: EventBook) -> kernels.Rules:
    costs, risk = book.costs, book.risk
    rules = (
        *(costs.fee_rate, costs.target_fee, costs.slippage, risk.exposure),
        np.inf if risk.max_daily_loss is None else risk.max_daily_loss,
        risk.consecutive_losses_limit or np.inf,
        costs.borrow(book.candles.step_ms),
        *(risk.liquidation(1), risk.liquidation(-1), risk.bankruptcy(1), risk.bankruptcy(-1)),
    )
    return kernels.Rules(*map(float, rules))  # for an int all kernels would compile anew
