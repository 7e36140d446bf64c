"""Say how entries end under exit settings, and make trades of the rows that were taken."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.levels import levels
from gpu_engine.records import END, TARGET, TARGET_GAP, TRADE, Float, Int32, Int64, Window

#: Exit bar of a row that its setting drops (exits rules §3).
DROPPED = -1


class Outcomes(NamedTuple):
    """How entries end under exit settings, scanned to the end of the history; arrays of one shape.

    ``exit_bar`` is `DROPPED` where the setting drops the row; ``reason`` as in `TRADE`; ``price``
    the fill; ``ret`` net, on notional. A window that ends at or before ``exit_bar`` closes the
    trade itself (exits rules §7).
    """

    exit_bar: Int32
    reason: NDArray[np.int8]
    price: Float
    ret: Float


def trades_of_rows(
    book: EventBook, rows: Int32 | Int64, outcomes: Outcomes, setting: int, window: Window
) -> NDArray[np.void]:
    """Make trades (`TRADE`) of ``rows`` and their ``outcomes``, both of shape (m,), of one setting.

    What is open at the window's end is closed there.
    """
    entry = book.entry[rows]
    result = np.zeros(len(rows), TRADE)
    result["side"] = side = book.entries.side[entry]
    result["setup_bar"] = book.setup_bar[rows]
    result["signal_bar"] = book.signal_bar[rows]
    result["entry_bar"] = book.entries.bar[entry]
    result["entry"] = book.entries.price[entry]
    cut = outcomes.exit_bar >= window.end  # exits rules §7
    at_end = book.candles.close[window.end - 1] * (1.0 - side * book.costs.slippage)
    result["exit_bar"] = np.where(cut, window.end - 1, outcomes.exit_bar)
    result["reason"] = np.where(cut, END, outcomes.reason)
    result["exit"] = np.where(cut, at_end, outcomes.price)
    result["ret"] = net_returns(book, entry, result["exit_bar"], result["reason"], result["exit"])
    at_entry = levels(book, np.full(len(rows), setting), entry)
    for name, level in (("stop", at_entry.stop), ("target", at_entry.target)):
        result[name] = np.where(np.isfinite(level), side * level, np.nan)
    return result


def net_returns(
    book: EventBook,
    entry: Int32 | Int64,
    exit_bar: Int32 | Int64,
    reason: NDArray[np.int8],
    price: Float,
) -> Float:
    """Compute net returns on notional (exits rules §6); index arrays that broadcast."""
    costs, entries = book.costs, book.entries
    side, paid = entries.side[entry], entries.price[entry]
    at_target = (reason == TARGET) | (reason == TARGET_GAP)
    fee = np.where(at_target, costs.target_fee, costs.fee_rate)
    result = side * (price - paid) / paid - (costs.fee_rate + fee * price / paid)
    if book.funding is not None:
        result = result - side * (book.funding[exit_bar] - book.funding[entries.bar[entry]])
    borrow = costs.borrow(book.candles.step_ms)
    if borrow:
        result = result - np.where(side < 0, borrow * (exit_bar + 1 - entries.bar[entry]), 0.0)
    net: Float = result
    return net
