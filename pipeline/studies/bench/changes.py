"""Count what differs between the results of two trees: metrics of a whole grid, trades of a part.

Both sides of a comparison save them (`pipeline.studies.bench.side`). Where two trees follow
different rules their figures differ rightly; how many do is said before any time is.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Relative difference below which two metrics are the same: another order of the same sums.
SAME = 1e-9
#: What two lists of trades are joined by.
KEY = ("of", "entry_bar", "side")

Columns = Mapping[str, NDArray[Any]]


class MetricChange(NamedTuple):
    """One metric over all combinations: how many differ, or are defined on one side alone."""

    metric: str
    differing: int
    only_there: int
    only_here: int
    largest: float


class TradeChanges(NamedTuple):
    """Trades of the same combinations: how many both trees make, and which of them end otherwise.

    ``changed`` counts them by the exit reason in this tree, apart where the entry bar ends them.
    """

    combinations: int
    shared: int
    changed: dict[str, int]
    only_there: int
    only_here: int


class Changes(NamedTuple):
    """All that differs, and each tree's best combination by net profit: index and profit."""

    combinations: int
    metrics: list[MetricChange]
    trades: TradeChanges
    best_there: tuple[int, float]
    best_here: tuple[int, float]

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        plain = self._asdict()
        plain["metrics"] = [change._asdict() for change in self.metrics]
        plain["trades"] = self.trades._asdict()
        return plain


def changes_between(there: Path, here: Path) -> Changes:
    """Compare what two sides saved in their folders."""
    old, new = np.load(there / "metrics.npy"), np.load(here / "metrics.npy")
    with np.load(there / "trades.npz") as first, np.load(here / "trades.npz") as second:
        trades = compare_trades(dict(first), dict(second))
    return Changes(len(new), compare_metrics(old, new), trades, _best(old), _best(new))


def compare_metrics(there: NDArray[Any], here: NDArray[Any]) -> list[MetricChange]:
    """Compare two arrays of metrics, one record a combination, field by field."""
    result = []
    for name in here.dtype.names or ():
        old, new = there[name].astype(np.float64), here[name].astype(np.float64)
        both = ~np.isnan(old) & ~np.isnan(new)
        unequal = both & (old != new)
        with np.errstate(invalid="ignore"):  # infinite on both sides, with opposite signs
            apart = np.abs(new - old) / np.maximum(np.abs(old), np.abs(new))
        apart = np.where(unequal, np.where(np.isnan(apart), np.inf, apart), 0.0)
        result.append(
            MetricChange(
                name,
                int(np.count_nonzero(apart > SAME)),
                int(np.count_nonzero(np.isnan(new) & ~np.isnan(old))),
                int(np.count_nonzero(np.isnan(old) & ~np.isnan(new))),
                float(apart.max(initial=0.0)),
            )
        )
    return result


def compare_trades(there: Columns, here: Columns) -> TradeChanges:
    """Compare trades, columns by name; ``of`` is the combination, ``reason`` the exit's name."""
    old, new = _by_key(there), _by_key(here)
    changed: Counter[str] = Counter()
    for key in old.keys() & new.keys():
        i, j = old[key], new[key]
        if any(there[name][i] != here[name][j] for name in ("exit_bar", "exit", "reason")):
            in_entry_bar = here["exit_bar"][j] == here["entry_bar"][j]
            changed[str(here["reason"][j]) + (" in the entry bar" if in_entry_bar else "")] += 1
    return TradeChanges(
        len(set(there["of"].tolist()) | set(here["of"].tolist())),
        len(old.keys() & new.keys()),
        dict(changed.most_common()),
        len(old.keys() - new.keys()),
        len(new.keys() - old.keys()),
    )


def _by_key(trades: Columns) -> dict[tuple[int, ...], int]:
    keys = zip(*(trades[name].tolist() for name in KEY), strict=True)
    return {key: position for position, key in enumerate(keys)}


def _best(metrics: NDArray[Any]) -> tuple[int, float]:
    index = int(np.argmax(metrics["net_profit"]))
    return index, float(metrics["net_profit"][index])
