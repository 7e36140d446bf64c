"""Compare two computations of a backtest, with one set of tolerances for all who compare.

Trades: as many, with the same sides, bars and reasons; prices to 1e-12 relative, returns to 1e-12
absolute. Metrics: to 1e-9, relative, or absolute below 1; NaN agrees with NaN alone, an infinity
with itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import REASONS

PRICE_TOLERANCE = 1e-12
RETURN_TOLERANCE = 1e-12
METRIC_TOLERANCE = 1e-9


class Disagreement(NamedTuple):
    """One figure that should have been another."""

    field: str
    expected: object
    got: object

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, got {self.got}"


def compare_trades(expected: NDArray[Any], got: NDArray[Any]) -> list[Disagreement]:
    """List every field of every trade that differs: of ``expected``, some fields of `TRADE`.

    When one list is longer, trades after the first difference no longer belong to each other:
    then the count is reported, and that first trade.
    """
    shared = min(len(expected), len(got))
    differing = sorted(_differing(expected[:shared], got[:shared]))
    if len(expected) == len(got):
        return [_of_trade(row, name, expected, got) for row, name in differing]
    first = [(row, name) for row, name in differing if row == differing[0][0]]
    count = Disagreement("number of trades", len(expected), len(got))
    return [count, *(_of_trade(row, name, expected, got) for row, name in first)]


def _differing(expected: NDArray[Any], got: NDArray[Any]) -> Iterator[tuple[int, str]]:
    """Yield row and name of every differing field of trades of equal number."""
    names = expected.dtype.names or ()
    prices = ("entry", "exit", "stop", "target")
    tolerance = {n: PRICE_TOLERANCE * np.abs(expected[n]) for n in prices if n in names}
    tolerance["ret"] = np.full(len(expected), RETURN_TOLERANCE)
    for name in names:
        if name in tolerance:
            same = np.abs(got[name] - expected[name]) <= tolerance[name]
            same |= np.isnan(got[name]) & np.isnan(expected[name])
        else:
            same = got[name] == expected[name]
        yield from ((int(row), name) for row in np.flatnonzero(~same))


def _of_trade(row: int, name: str, expected: NDArray[Any], got: NDArray[Any]) -> Disagreement:
    values = [column[name][row].item() for column in (expected, got)]
    if name == "reason":
        values = [REASONS[value] for value in values]
    return Disagreement(f"trades[{row}].{name}", *values)


def compare_metrics(expected: Mapping[str, float], got: Any) -> list[Disagreement]:
    """List every expected metric that differs from that of ``got``, a `METRICS` record."""
    disagreements = []
    for name, value in expected.items():
        measured = float(got[name])
        if measured == value or (np.isnan(value) and np.isnan(measured)):
            continue
        if not abs(measured - value) <= METRIC_TOLERANCE * max(1.0, abs(value)):
            disagreements.append(Disagreement(f"metrics.{name}", value, measured))
    return disagreements
