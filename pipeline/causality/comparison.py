"""Compare two event tables of one setting, up to the bar where what they know parts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Bool, EventTable

#: Relative difference of two floats that candles of another length may round to: a product of
#: matrices rounds by the length of its arrays (measured: 7e-16 of the value in float64, 2e-7 in two
#: layers of float32, docs/look-ahead.md). On candles of one length nothing is tolerated.
ROUNDING = 1e-6

#: Columns that are floats; all others are compared exactly.
FLOATS = ("atr", "stop_level", "target_level")


#: Columns that say which signal a row is.
KEYS = ("signal_bar", "setup_bar", "side")


@dataclass(frozen=True)
class Difference:
    """The first place where two tables part.

    ``column`` is a column of the table, ``features[k]``, or ``row`` where only one has the row;
    ``first`` and ``second`` are the values, None where there is none.
    """

    column: str
    bar: int
    side: int
    first: float | None
    second: float | None


def first_difference(
    first: EventTable, second: EventTable, end: int, exact: bool
) -> Difference | None:
    """Find the earliest row before bar ``end`` in which two tables differ; None where none does.

    Parameters
    ----------
    first, second : EventTable
        Made of candles that agree before bar ``end``.
    end : int
        Rows at or after it are not compared, nor are exit signals there (exits rules §1.2).
    exact : bool
        Floats must agree to the last bit; otherwise within ``ROUNDING``. Rows must, always.
    """
    m, n = (int(np.searchsorted(t.signal_bar, end)) for t in (first, second))
    same = min(m, n)
    parted = _parted(first, second, same)
    if parted < max(m, n):
        return _missing(first, second, parted, m, n)
    found = [d for d in _columns(first, second, same, end, exact) if d is not None]
    return min(found, key=lambda difference: difference.bar, default=None)


def _parted(first: EventTable, second: EventTable, same: int) -> int:
    """Return the first row that is not the same signal; ``same`` where the shorter one ends."""
    equal = np.ones(same, np.bool_)
    for key in KEYS:
        a, b = getattr(first, key)[:same], getattr(second, key)[:same]
        if a.tobytes() != b.tobytes():  # faster than to compare them, and mostly enough
            equal &= a == b
    return same if equal.all() else int(np.argmin(equal))


def _missing(first: EventTable, second: EventTable, row: int, m: int, n: int) -> Difference:
    """Say which of the two lacks the row that comes first in the order of exits rules §1.1."""
    keys = [
        (int(t.signal_bar[row]), int(t.setup_bar[row]), -int(t.side[row])) if row < length else None
        for t, length in ((first, m), (second, n))
    ]
    mine, other = keys
    in_first = other is None or (mine is not None and mine < other)
    key = mine if in_first else other
    assert key is not None
    bar, setup, short = key
    values = (float(setup), None) if in_first else (None, float(setup))
    return Difference("row", bar, -short, *values)


def _columns(
    first: EventTable, second: EventTable, same: int, end: int, exact: bool
) -> list[Difference | None]:
    bars, sides = first.signal_bar, first.side

    def different(column: str, a: NDArray[Any], b: NDArray[Any]) -> Difference | None:
        if a.tobytes() == b.tobytes() or not (differs := _differ(a, b, exact)).any():
            return None
        row = int(np.argmax(differs))
        return Difference(column, int(bars[row]), int(sides[row]), float(a[row]), float(b[row]))

    found: list[Difference | None] = []
    for name in FLOATS:
        a, b = getattr(first, name), getattr(second, name)
        if a is not None and b is not None:
            found.append(different(name, a[:same], b[:same]))
        elif (a is None) != (b is None) and same:
            found.append(Difference(name, int(bars[0]), int(sides[0]), None, None))
    a, b = first.features[:same], second.features[:same]
    if a.tobytes() != b.tobytes():
        found += [different(f"features[{k}]", a[:, k], b[:, k]) for k in range(a.shape[1])]
    a, b = first.exit_signal_bar, second.exit_signal_bar
    if a is not None and b is not None:
        a, b = (np.where(x[:same] < end, x[:same], -1) for x in (a, b))
        found.append(different("exit_signal_bar", a, b))
    elif (a is None) != (b is None) and same:
        found.append(Difference("exit_signal_bar", int(bars[0]), int(sides[0]), None, None))
    return found


def _differ(a: NDArray[Any], b: NDArray[Any], exact: bool) -> Bool:
    """Mark what differs; NaN equals NaN, and nothing else."""
    differs: Bool = a != b
    if not differs.any():
        return differs
    differs &= ~(np.isnan(a) & np.isnan(b))
    if not exact and differs.any():
        with np.errstate(invalid="ignore"):
            near = np.abs(a - b) <= ROUNDING * np.maximum(np.abs(a), np.abs(b))
        differs &= ~(near & np.isfinite(a) & np.isfinite(b))
    return differs
