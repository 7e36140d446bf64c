"""The timeframe of candles that do not name it."""

from __future__ import annotations

import numpy as np

from gpu_engine.records import Int64
from pipeline.errors import UserError
from pipeline.market_data.timeframe import TIMEFRAMES, spacing_name


def inferred_timeframe(timestamp: Int64, source: str) -> str:
    """Name the most common spacing of open times, the shorter one among equals.

    Raises
    ------
    UserError
        If that is no timeframe, or there are fewer than two candles.
    """
    spacings, counts = np.unique(np.diff(np.unique(timestamp)), return_counts=True)
    if not len(spacings):
        raise UserError(f"{source} has fewer than two candles: their timeframe cannot be told.")
    spacing = int(spacings[counts.argmax()])
    for name, length in TIMEFRAMES.items():
        if length == spacing:
            return name
    raise UserError(
        f"{source} has {spacing_name(spacing)}, which is none of {', '.join(TIMEFRAMES)}."
    )
