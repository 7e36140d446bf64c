"""Define exit settings and the levels that they set for an entry (exits rules §2 to §4).

Levels are *signed* prices, ``side * price``: up is good for a long and for a short alike, so every
rule is written once. Multiplying by ±1 is exact, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpu_engine.records import Bool, Float, Int32, Int64, Tables

if TYPE_CHECKING:
    from gpu_engine.book import EventBook

STOPS = ("stop_distance", "stop_fraction", "stop_offset")
TARGETS = ("target_multiple", "target_distance", "target_fraction", "target_reach")
TRAIL = ("trail_activation", "trail_distance")
#: The columns that may be 0; all others are > 0.
ZERO_ALLOWED = ("stop_offset", "trail_activation")
#: The column of an event table that a column of a setting measures from.
LEVELS = {"stop_offset": "stop_level", "target_reach": "target_level"}


@dataclass(frozen=True, eq=False, kw_only=True)
class ExitSettings:
    """Every way an entry may end, as parallel columns, float64 of shape (E,) (exits rules §2).

    A column is None where no setting has it, and NaN where this setting has it not. No column at
    all is one setting, in which only a signal, a limit or the end of the window closes a trade.

    Attributes
    ----------
    stop_distance, stop_fraction, stop_offset
        The stop, in ATR, as a fraction of the entry, or in ATR beyond the row's ``stop_level``.
    target_multiple, target_distance, target_fraction, target_reach
        The target, in stop distances, in ATR, as a fraction of the entry, or as a part of the way
        to the row's ``target_level``.
    break_even_trigger
        Gain that moves the stop to the entry, in stop distances.
    trail_activation, trail_distance
        Gain from which the stop trails, and how far behind the best price, in ATR.
    holding_bars
        Longest holding time, a whole number of bars.
    """

    stop_distance: Float | None = None
    stop_fraction: Float | None = None
    stop_offset: Float | None = None
    target_multiple: Float | None = None
    target_distance: Float | None = None
    target_fraction: Float | None = None
    target_reach: Float | None = None
    break_even_trigger: Float | None = None
    trail_activation: Float | None = None
    trail_distance: Float | None = None
    holding_bars: Float | None = None

    def __len__(self) -> int:
        return next((len(column) for column in self.columns().values()), 1)

    def columns(self) -> dict[str, Float]:
        """Return the columns that some setting has, float64, by name."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {n: np.asarray(c, np.float64) for n, c in named if c is not None}

    def column(self, name: str) -> Float:
        """Return a column, all NaN where no setting has it."""
        values = getattr(self, name)
        return np.full(len(self), np.nan) if values is None else np.asarray(values, np.float64)

    @property
    def moving(self) -> bool:
        """Whether some setting's stop moves during a trade."""
        return self.break_even_trigger is not None or self.trail_distance is not None

    def holding(self, most: int | None) -> Int32:
        """Return the longest holding time of every setting under a limit, bars; 0 for none."""
        limit = np.inf if most is None else float(most)
        bars = np.fmin(self.column("holding_bars"), limit)
        return np.where(np.isfinite(bars), bars, 0).astype(np.int32)

    def check(self, tables: Tables) -> None:
        """Refuse settings that the rules do not allow, or that need a column which tables lack.

        Raises
        ------
        ValueError
            The message names the column, what is allowed and what was given.
        """
        columns = self.columns()
        for name, values in columns.items():
            _check_values(name, values, len(self))
        for names in (STOPS, TARGETS):
            _check_one_of(columns, names, len(self))
        has_stop = _present(columns, STOPS, len(self)) > 0
        for name in ("target_multiple", "break_even_trigger"):
            if np.any(~np.isnan(self.column(name)) & ~has_stop):
                raise ValueError(f"{name} is in stop distances: such a setting needs a stop")
        if np.any(_present(columns, TRAIL, len(self)) == 1):
            raise ValueError("trail_activation and trail_distance come together or not at all")
        for name, level in LEVELS.items():
            lacking = any(getattr(table, level) is None for table in tables.tables)
            if name in columns and lacking and not np.isnan(columns[name]).all():
                raise ValueError(f"{name} needs the column {level} in every event table")


class Levels(NamedTuple):
    """Levels of entries under exit settings, arrays of one shape; signed prices.

    ``stop`` is -inf and ``target`` +inf where there is none. ``break_even`` and ``trail`` are the
    best prices that move the stop to the entry and let it trail, +inf for never, and
    ``trail_distance`` is in the quote currency. A ``dropped`` row is not in the table (§3).
    """

    stop: Float
    target: Float
    break_even: Float
    trail: Float
    trail_distance: Float
    dropped: Bool

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
    has_stop, has_target = (_any_of(exits, names)[setting] for names in (STOPS, TARGETS))
    void = ~np.isnan(of("stop_offset")) & ~(side * book.candles.open[entries.bar[entry]] > stop)
    passed = ~np.isnan(of("target_reach")) & ~(reach > price)
    dropped = (has_stop & ~(distance > 0.0)) | void | passed
    break_even = price + of("break_even_trigger") * distance
    trail = price + of("trail_activation") * atr
    return Levels(
        stop=np.where(has_stop, stop, -np.inf),
        target=np.where(has_target, target, np.inf),
        break_even=np.where(np.isnan(break_even), np.inf, break_even),
        trail=np.where(np.isnan(trail), np.inf, trail),
        trail_distance=np.nan_to_num(of("trail_distance")) * atr,
        dropped=dropped,
    )


def _first(*values: Any) -> Any:
    """Return the first of some values that is not NaN, elementwise."""
    result = values[-1]
    for other in reversed(values[:-1]):
        result = np.where(np.isnan(other), result, other)
    return result


def _present(columns: dict[str, Float], names: Sequence[str], count: int) -> Int64:
    """Count how many of some columns every setting has."""
    present = np.zeros(count, np.int64)
    for name in names:
        if name in columns:
            present += ~np.isnan(columns[name])
    return present


def _any_of(exits: ExitSettings, names: Sequence[str]) -> Bool:
    has: Bool = _present(exits.columns(), names, len(exits)) > 0
    return has


def _check_values(name: str, values: Float, count: int) -> None:
    if values.shape != (count,):
        raise ValueError(f"{name} must have shape {(count,)}, like the others; got {values.shape}")
    least = "at least 0" if name in ZERO_ALLOWED else "above 0"
    numbers = values[~np.isnan(values)]
    low = numbers < 0.0 if name in ZERO_ALLOWED else numbers <= 0.0
    bad = numbers[low | ~np.isfinite(numbers)]
    if name == "holding_bars" and not len(bad):
        least, bad = "a whole number of at least 1", numbers[numbers != np.rint(numbers)]
    if len(bad):
        raise ValueError(f"{name} must be {least} and finite; got {bad[0]}")


def _check_one_of(columns: dict[str, Float], names: Sequence[str], count: int) -> None:
    twice = np.flatnonzero(_present(columns, names, count) > 1)
    if len(twice):
        both = [n for n in names if n in columns and not np.isnan(columns[n][twice[0]])]
        raise ValueError(f"a setting has at most one of {', '.join(names)}; got {', '.join(both)}")
