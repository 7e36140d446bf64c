"""Disagreement: how far the closes of a pair are from those that other exchanges had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.market_data.raw import RawCandles


class Disagreement(NamedTuple):
    """Differences of closes at the same times, as ``|log(own / other)|``.

    Attributes
    ----------
    compared_with : str
        The exchanges that share a time, by name.
    median, largest : float
        Over all times and exchanges.
    largest_at : int
        Open time of the bar with the largest, milliseconds since the epoch, UTC.
    """

    compared_with: str
    median: float
    largest: float
    largest_at: int


def disagreement(own: RawCandles, others: Mapping[str, RawCandles]) -> Disagreement | None:
    """Compare closes with the same pair's at ``others``, by exchange; None without a common time.

    Rows may come in any order; of several at one time the first counts.
    """
    names, times, differences = [], [], []
    for name, other in sorted(others.items()):
        time, mine, theirs = np.intersect1d(own.timestamp, other.timestamp, return_indices=True)
        if len(time):
            names.append(name)
            times.append(time)
            differences.append(np.abs(np.log(own.close[mine]) - np.log(other.close[theirs])))
    if not names:
        return None
    difference = np.concatenate(differences)
    worst = int(np.argmax(difference))
    return Disagreement(
        compared_with=", ".join(names),
        median=float(np.median(difference)),
        largest=float(difference[worst]),
        largest_at=int(np.concatenate(times)[worst]),
    )
