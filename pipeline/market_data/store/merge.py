"""Candles from elsewhere laid over the stored ones, and where the two disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gpu_engine.records import Int64
from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.spans import Span, within
from pipeline.market_data.store.store import StoredCandles

#: Whose candle is kept where the two disagree.
Truth = Literal["stored", "imported"]


@dataclass(frozen=True, eq=False)
class Merged:
    """The union of two sources of one market.

    Attributes
    ----------
    stored : StoredCandles
        Candles of both.
    compared : int
        Times of which both had a candle.
    ours, theirs : RawCandles
        The stored and the imported candles of the times at which they differ, oldest first, row
        by row of one time.
    only_ours, only_theirs : int64 arrays
        Times of which one has a candle and the other says that there is none, oldest first.
    """

    stored: StoredCandles
    compared: int
    ours: RawCandles
    theirs: RawCandles
    only_ours: Int64
    only_theirs: Int64


def merge(
    stored: StoredCandles, imported: RawCandles, truth: Truth, answered: Sequence[Span]
) -> Merged:
    """Lay imported candles over stored ones.

    Where both speak for a time they may disagree about a candle's numbers, or about there being
    one; ``truth`` decides both. Where one alone speaks it is believed. Candles are equal when all
    their numbers are; the decimal strings of one exchange's answers and archives become the same
    float64.

    Parameters
    ----------
    stored : StoredCandles
        What the store has.
    imported : RawCandles
        In any order; of rows of one time the first counts.
    truth : {"stored", "imported"}
        Whose candle is kept where the two disagree.
    answered : sequence of Span
        The time for which the imported files speak: what lies in it without a candle had no trade
        and will not be asked for again.
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
    held = stored.candles.timestamp
    denied_here = within(times, stored.answered) & ~np.isin(times, held)
    denied_there = within(held, answered) & ~np.isin(held, times)
    if truth == "stored":
        imported = imported.take(~np.isin(times, held) & ~denied_here)
    else:
        stored = replace(stored, candles=stored.candles.take(~denied_there))
    return Merged(
        stored.overlay(imported, answered),
        len(here),
        ours.take(differs),
        theirs.take(differs),
        only_ours=held[denied_there],
        only_theirs=times[denied_here],
    )
