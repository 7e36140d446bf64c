"""Outcomes: how every distinct entry ends under every exit setting, and trades made from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.records import END, TRADE, Float, Int32, Int64, Window


class Outcomes(NamedTuple):
    """Arrays of shape (E, N): exit setting by entry; scanned to the end of the history.

    ``exit_bar`` and ``reason`` as in `TRADE`; ``price`` the fill; ``ret`` net, on notional.
    A window that ends at or before ``exit_bar`` closes the trade itself (fills rules §8).
    """

    exit_bar: Int32
    reason: NDArray[np.int8]
    price: Float
    ret: Float

    @classmethod
    def empty(cls, book: EventBook) -> Outcomes:
        """Make room for all outcomes of ``book``."""
        shape = (len(book.exits), len(book.entries.bar))
        return cls(
            np.empty(shape, np.int32),
            np.empty(shape, np.int8),
            np.empty(shape),
            np.empty(shape),
        )


def trades_of_rows(
    book: EventBook, outcomes: Outcomes, rows: Int32 | Int64, setting: int, window: Window
) -> NDArray[np.void]:
    """Make the trades (`TRADE`) of ``rows`` under one exit setting, closed at the window's end."""
    entry = book.entry[rows]
    result = np.zeros(len(rows), TRADE)
    result["side"] = book.entries.side[entry]
    result["sweep_bar"] = book.sweep_bar[rows]
    result["signal_bar"] = book.signal_bar[rows]
    result["entry_bar"] = book.entries.bar[entry]
    result["entry"] = book.entries.price[entry]
    cut = outcomes.exit_bar[setting, entry] >= window.end  # §8
    at_end = book.candles.close[window.end - 1] * (1.0 - result["side"] * book.costs.slippage)
    result["exit_bar"] = np.where(cut, window.end - 1, outcomes.exit_bar[setting, entry])
    result["reason"] = np.where(cut, END, outcomes.reason[setting, entry])
    result["exit"] = np.where(cut, at_end, outcomes.price[setting, entry])
    result["ret"] = net_return(result["side"], result["entry"], result["exit"], book.costs.fee_rate)
    return result


def net_return(side: NDArray[np.int8], entry: Float, price: Float, fee_rate: float) -> Float:
    """Return the net return on notional (fills rules §7.8), elementwise."""
    return side * (price - entry) / entry - fee_rate * (1.0 + price / entry)
