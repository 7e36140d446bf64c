"""Compute the levels that exit settings set for entries (exits rules §2 to §4).

Levels are *signed* prices, ``side * price``: up is good for a long and for a short alike, so every
rule is written once. Multiplying by ±1 is exact, so nothing is lost.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpu_engine.book import EventBook
from gpu_engine.exits import STOPS, TARGETS
from gpu_engine.records import Bool, Float, Int32, Int64


class Levels(NamedTuple):
    """Levels of entries under exit settings, arrays of one shape; signed prices.

    ``stop`` is -inf and ``target`` +inf where there is none. ``break_even`` and ``trail`` are the
    best prices that move the stop to the entry and let it trail, +inf for never, and
    ``trail_distance`` is in the quote currency. A ``dropped`` row is not in the table (§3).
    ``liquidation`` is -inf without leverage; ``stop`` is never beyond it (§8).
    """

    stop: Float
    target: Float
    break_even: Float
    trail: Float
    trail_distance: Float
    dropped: Bool
    liquidation: Float

    def at(self, index: Int64) -> Levels:
        """Return some of them, of a flat shape."""
        columns: list[Any] = [column[index] for column in self]
        return Levels(*columns)


def levels(book: EventBook, setting: Int64 | int, entry: Int64 | Int32) -> Levels:
    """Compute the levels of entries under settings, index arrays that broadcast (§2 to §4)."""
    exits, entries = book.exits, book.entries
    side = entries.side[entry].astype(np.float64)
    atr, unsigned = entries.atr[entry], entries.price[entry]
    price = side * unsigned

    def of(name: str) -> Any:
        return exits.column(name)[setting]

    def level(name: str, values: Float | None) -> Any:
        return np.nan if values is None or name not in exits.columns() else side * values[entry]

    beyond = level("stop_offset", entries.stop_level) - of("stop_offset") * atr
    distance = _first(of("stop_distance") * atr, of("stop_fraction") * unsigned, price - beyond)
    stop = _first(price - of("stop_distance") * atr, price - of("stop_fraction") * unsigned, beyond)
    reach = level("target_reach", entries.target_level)
    target = _first(
        price + of("target_multiple") * distance,
        price + of("target_distance") * atr,
        price + of("target_fraction") * unsigned,
        price + of("target_reach") * (reach - price),
    )
    has_stop, has_target = (exits.has_any_of(names)[setting] for names in (STOPS, TARGETS))
    void = ~np.isnan(of("stop_offset")) & ~(side * book.candles.open[entries.bar[entry]] > stop)
    passed = ~np.isnan(of("target_reach")) & ~(reach > price)
    dropped = (has_stop & ~(distance > 0.0)) | void | passed
    break_even = price + of("break_even_trigger") * distance
    trail = price + of("trail_activation") * atr
    liquidation = price * np.where(side > 0, *map(book.risk.liquidation, (1, -1)))
    return Levels(
        stop=np.maximum(np.where(has_stop, stop, -np.inf), liquidation),
        target=np.where(has_target, target, np.inf),
        break_even=np.where(np.isnan(break_even), np.inf, break_even),
        trail=np.where(np.isnan(trail), np.inf, trail),
        trail_distance=np.nan_to_num(of("trail_distance")) * atr,
        dropped=dropped,
        liquidation=liquidation,
    )


def _first(*values: Any) -> Any:
    """Return the first of some values that is not NaN, elementwise."""
    result = values[-1]
    for other in reversed(values[:-1]):
        result = np.where(np.isnan(other), result, other)
    return result
