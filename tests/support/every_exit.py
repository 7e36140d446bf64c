"""A strategy in a file of its own whose signals are drawn by the clock, with any exits.

`text_of` returns its file. Every column of a row depends on the time and the prices of its bars
alone, so it is the same wherever the candles begin.
"""

from pathlib import Path

import numpy as np

from gpu_engine import EventTable
from pipeline.strategies.base import Parameter

#: Exits and their values; `text_of` puts others in this line's place.
EXITS = {"stop_distance": 1.0}
SIGNALS = True


def drawn(candles, salt):
    """Numbers in 0 to 1, one a bar, by the time of the bar."""
    bars = (candles.timestamp // candles.step_ms).astype(np.uint64)
    mixed = (bars + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    return mixed.astype(np.float64) / 2.0**64


class EveryExit:
    """Declares the exits."""

    name = "EVERY_EXIT_V1"
    parameters = (
        Parameter("strength", "threshold", "share", sense=+1, grid=(0.3,), meaning="Of a signal."),
        *(
            Parameter(name, "exit", "as its name says", grid=(value,), meaning="An exit.")
            for name, value in EXITS.items()
        ),
    )

    def events(self, candles, loosest):
        """Compute nothing before."""
        return EveryExitEvents(candles)


class EveryExitEvents:
    """Builds the one table."""

    def __init__(self, candles):
        self.candles = candles

    def table(self, structural):
        """Return up to two rows for a bar."""
        candles, bars = self.candles, np.arange(len(self.candles))
        rows = []
        for salt in (1, 2):
            signal = bars[(drawn(candles, salt) < 0.2) & ~candles.filled & (bars >= 20)]
            setup = signal - (drawn(candles, salt + 10)[signal] * 4).astype(int)
            side = np.where(drawn(candles, salt + 20)[signal] < 0.5, 1, -1)
            rows.append(np.stack([signal, setup, -side], axis=1))
        signal, setup, short = np.unique(np.concatenate(rows), axis=0).T
        side, close = -short, candles.close[signal]
        size = candles.close[signal] * 0.004
        draw = [drawn(candles, salt)[signal] for salt in (31, 32, 33, 34)]
        wants_out = np.flatnonzero(drawn(candles, 40) < 0.1)
        after = np.searchsorted(wants_out, signal, "right")
        leaves = np.append(wants_out, -1)[after] if SIGNALS else None
        return EventTable(
            setup_bar=setup.astype(np.int32),
            signal_bar=signal.astype(np.int32),
            side=side.astype(np.int8),
            atr=np.round(size, 2) + 0.01,
            features=draw[0][:, np.newaxis],
            stop_level=np.where(draw[1] < 0.05, np.nan, close - side * size * (4 * draw[1] - 1)),
            target_level=np.where(draw[2] < 0.05, np.nan, close + side * size * (5 * draw[2] - 1)),
            exit_signal_bar=None if leaves is None else leaves.astype(np.int32),
        )


def text_of(exits, signals=False):
    """Return the file of the strategy with some exits by name."""
    text = Path(__file__).read_text("utf-8")
    text = text.replace('EXITS = {"stop_distance": 1.0}', f"EXITS = {exits!r}", 1)
    return text.replace("SIGNALS = True", f"SIGNALS = {signals!r}", 1)


STRATEGY = EveryExit()
