"""Trade DONCHIAN BREAKOUT: in on a new high, out on a new low (donchian_breakout rules §1 to §3).

The smallest whole strategy: copy this file to begin your own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial

import numpy as np

from gpu_engine import Candles, EventTable, Int64
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter

CHANNELS = 16  # kept, for the tables that share them; a search of ranges asks for hundreds


class DonchianBreakout:
    """Declares what can be set, in grid order (§1); the short is the mirror of the long."""

    name = "DONCHIAN_BREAKOUT"
    mirrored = True
    parameters = (
        Parameter(
            name="entry_channel",
            kind="structural",
            unit="bars",
            meaning="The close must be beyond every high, or low, of this many bars before.",
            integer=True,
            grid=(20, 50, 100, 200, 400),
            low=10,
            high=400,
            minimum=1,
            maximum=100_000,
        ),
        Parameter(
            name="exit_channel",
            kind="structural",
            unit="bars",
            meaning="A close beyond the other side of this many bars before ends the trade.",
            integer=True,
            grid=(10, 20, 50, 100),
            low=5,
            high=200,
            minimum=1,
            maximum=100_000,
        ),
        Parameter(
            name="volume_factor",
            kind="threshold",
            unit="x baseline",
            meaning="Volume of the signal bar over the mean of the 20 bars before; 0 is off.",
            sense=+1,
            grid=(0, 1, 1.5, 2),
            low=0,
            high=3,
            minimum=0,
        ),
        Parameter(
            name="stop_distance",
            kind="exit",
            unit="ATR",
            meaning="Stop, from the entry.",
            grid=(1, 2, 3, 4),
            low=1,
            high=4,
        ),
    )

    def events(self, candles: Candles, loosest: Mapping[str, float]) -> ChannelEvents:
        """Prepare what every table shares; ``loosest`` as in `Strategy`."""
        return ChannelEvents(candles, loosest)


class ChannelEvents:
    """Builds the event tables of one market: one for each pair of channels."""

    def __init__(self, candles: Candles, loosest: Mapping[str, float]) -> None:
        self._atr = indicators.average_true_range(candles)
        self._volume = indicators.volume_ratio(candles)  # NaN, which passes nothing, before bar 20
        self._tradable = ~candles.filled & (self._volume >= loosest["volume_factor"])
        self._breaks = lru_cache(CHANNELS)(partial(breaks, candles))

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return every bar that closes beyond its entry channel (§2), in order of time."""
        above, below = self._breaks(int(structural["entry_channel"]))
        signal = np.concatenate((above, below))
        row = np.flatnonzero(self._tradable[signal])
        row = row[np.argsort(signal[row])]  # no bar is in both
        signal, is_long = signal[row], row < len(above)

        above, below = self._breaks(int(structural["exit_channel"]))
        end_of_long = indicators.first_after(below, signal)
        end_of_short = indicators.first_after(above, signal)
        return EventTable(
            setup_bar=signal.astype(np.int32),
            signal_bar=signal.astype(np.int32),
            side=np.where(is_long, 1, -1).astype(np.int8),
            atr=self._atr[signal],
            features=self._volume[signal, np.newaxis],  # one column for each threshold
            exit_signal_bar=np.where(is_long, end_of_long, end_of_short),
        )


def breaks(candles: Candles, bars: int) -> tuple[Int64, Int64]:
    """Return the bars that close above every high, and below every low, of ``bars`` bars before."""
    highest = indicators.rolling_max(candles.high, bars)
    lowest = indicators.rolling_min(candles.low, bars)
    above, below = candles.close > highest, candles.close < lowest  # NaN compares false
    return np.flatnonzero(above), np.flatnonzero(below)


STRATEGY = DonchianBreakout()
