"""How many candles a bot needs before its signals are those of the whole history."""

import pytest

from pipeline.bots.warm_up import warm_up_candles
from pipeline.strategies.registry import BUILT_IN, load_strategy

#: Its signals stand where the volume is above the mean of all candles so far.
FOREVER = """
import numpy as np
from gpu_engine import EventTable
from pipeline.strategies.base import Parameter

class Forever:
    name = "FOREVER_V1"
    parameters = (Parameter("stop_distance", "exit", "ATR", grid=(1,), meaning="A stop."),)

    def events(self, candles, loosest):
        self.candles = candles
        return self

    def table(self, structural):
        volume = self.candles.volume
        mean = np.cumsum(volume) / np.arange(1, len(volume) + 1)
        signal = np.flatnonzero((volume > mean) & ~self.candles.filled).astype(np.int32)
        return EventTable(
            setup_bar=signal, signal_bar=signal, side=np.ones(len(signal), np.int8),
            atr=np.ones(len(signal)), features=np.empty((len(signal), 0)),
        )

STRATEGY = Forever()
"""


@pytest.mark.parametrize("word", BUILT_IN)
def test_what_a_built_in_strategy_needs(word):
    strategy = load_strategy(word)
    assert 300 <= warm_up_candles(strategy, strategy.example, "1h") <= 600


def test_a_long_period_needs_more():
    strategy = load_strategy("donchian_breakout")
    long = strategy.example | {"entry_channel": 1_400, "exit_channel": 50}
    assert warm_up_candles(strategy, long, "1h") == 1_499


def test_what_never_forgets_has_none():
    strategy = load_strategy("forever", FOREVER, "forever.py")
    assert warm_up_candles(strategy, {"stop_distance": 1.0}, "1h") is None
