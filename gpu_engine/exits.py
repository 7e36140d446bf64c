"""Define exit settings: every way in which a strategy lets an entry end (exits rules §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from gpu_engine.records import Bool, Float, Int32, Int64, Tables

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

    def has_any_of(self, names: Sequence[str]) -> Bool:
        """Say which settings have one of some columns, bool of shape (E,)."""
        has: Bool = _present(self.columns(), names, len(self)) > 0
        return has

    @property
    def moving(self) -> bool:
        """Whether some setting's stop moves during a trade."""
        return self.break_even_trigger is not None or self.trail_distance is not None

    def holding(self, most: int | None) -> Int32:
        """Return the longest holding time of every setting under a limit, bars; 0 for none."""
        limit = np.inf if most is None else float(most)
        bars = np.fmin(self.column("holding_bars"), limit)
        longest = np.iinfo(np.int32).max  # longer than any history
        return np.where(np.isfinite(bars), np.minimum(bars, longest), 0).astype(np.int32)

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
        has_stop = self.has_any_of(STOPS)
        for name in ("target_multiple", "break_even_trigger"):
            if np.any(~np.isnan(self.column(name)) & ~has_stop):
                raise ValueError(f"{name} is in stop distances: such a setting needs a stop")
        if np.any(_present(columns, TRAIL, len(self)) == 1):
            raise ValueError("trail_activation and trail_distance come together or not at all")
        for name, level in LEVELS.items():
            lacking = any(getattr(table, level) is None for table in tables.tables)
            if name in columns and lacking and not np.isnan(columns[name]).all():
                raise ValueError(f"{name} needs the column {level} in every event table")


def _present(columns: dict[str, Float], names: Sequence[str], count: int) -> Int64:
    """Count how many of some columns every setting has."""
    present = np.zeros(count, np.int64)
    for name in names:
        if name in columns:
            present += ~np.isnan(columns[name])
    return present


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
