"""MY_STRATEGY: enter on a new high, or low, of some bars; leave at a stop or at a target.

Change what it trades. docs/your-own-strategy.md says what each part is.
"""

import numpy as np

from gpu_engine import EventTable
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter


class Breakout:
    """Declares what can be set."""

    name = "MY_STRATEGY_V1"  # stored with every result: a new rule is a new name
    mirrored = True  # the short is the exact mirror of the long; without that delete this line
    parameters = (
        Parameter(
            "channel", "structural", "bars", integer=True, minimum=1, grid=(20, 50, 100, 200),
            meaning="The close must be beyond every high, or low, of this many bars before.",
        ),
        Parameter(
            "volume_factor", "threshold", "x mean", sense=+1, minimum=0, grid=(0, 1, 1.5, 2),
            meaning="Volume of the signal bar over the mean of the 20 bars before.",
        ),
        Parameter("stop_distance", "exit", "ATR", grid=(1, 2, 3), meaning="Entry to stop."),
        Parameter(
            "target_multiple", "exit", "stop distances", grid=(1, 2, 4),
            meaning="Entry to target.",
        ),
    )  # fmt: skip

    def events(self, candles, loosest):
        """Compute once what every table shares."""
        return BreakoutEvents(candles)


class BreakoutEvents:
    """Builds the table of signals for each value of the structural parameters."""

    def __init__(self, candles):
        self.candles = candles
        self.atr = indicators.average_true_range(candles)  # NaN in the first 13 bars
        self.volume = indicators.volume_ratio(candles)  # NaN in the first 20 bars

    def table(self, structural):
        """Return a row for each bar that closes beyond its channel, in order of time."""
        candles, bars = self.candles, int(structural["channel"])
        close = candles.close
        # See a leak refused: take the "# " off the next line. It takes the close of 5 bars later.
        # close = np.roll(close, -5)
        above = close > indicators.rolling_max(candles.high, bars)  # NaN compares false
        below = close < indicators.rolling_min(candles.low, bars)
        known = ~candles.filled & (self.atr > 0) & (self.volume >= 0)
        signal = np.flatnonzero(known & (above | below))
        return EventTable(
            setup_bar=signal.astype(np.int32),
            signal_bar=signal.astype(np.int32),
            side=np.where(above[signal], 1, -1).astype(np.int8),
            atr=self.atr[signal],
            features=self.volume[signal, np.newaxis],  # one column for each threshold
        )


STRATEGY = Breakout()
