"""Candles from elsewhere laid over the stored ones, and where the two disagree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.spans import Span
from pipeline.market_data.store import Stored

#: Whose candle is kept where the two disagree.
Truth = Literal["stored", "imported"]


@dataclass(frozen=True, eq=False)
class Merged:
    """The union of two sources of one market.

    Attributes
    ----------
    stored : Stored
        Candles of both.
    compared : int
        Times of which both had a candle.
    ours, theirs : RawCandles
        The stored and the imported candles of the times at which they differ, oldest first, row
        by row of one time.
    """

    stored: Stored
    compared: int
    ours: RawCandles
    theirs: RawCandles


def merge(stored: Stored, imported: RawCandles, truth: Truth, answered: Iterable[Span]) -> Merged:
    """Lay imported candles over stored ones.

    Candles are equal when all their numbers are; the decimal strings of one exchange's answers and
    archives become the same float64.

    Parameters
    ----------
    stored : Stored
        What the store has.
    imported : RawCandles
        In any order; of rows of one time the first counts.
    truth : {"stored", "imported"}
        Whose candle is kept where the two disagree.
    answered : iterable of Span
        The time for which the imported file speaks, holes included: what lies in it without a
        candle had no trade and will not be asked for again. One span a file: between the files of
        two months that do not follow each other nobody was asked.
    """
    times, first = np.unique(imported.timestamp, return_index=True)
    imported = imported.take(first)
    _, here, there = np.intersect1d(
        stored.candles.timestamp, times, assume_unique=True, return_indices=True
    )
    ours, theirs = stored.candles.take(here), imported.take(there)
    differs = np.zeros(len(here), np.bool_)
    for name in COLUMNS:
        differs |= getattr(ours, name) != getattr(theirs, name)
    if truth == "stored":
        imported = imported.take(~np.isin(times, stored.candles.timestamp))
    return Merged(
        stored.overlaid(imported, answered), len(here), ours.take(differs), theirs.take(differs)
    )
