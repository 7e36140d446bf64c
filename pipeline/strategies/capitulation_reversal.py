"""Trade CAPITULATION REVERSAL V3: a panic bar, then closes that confirm.

Capitulation_reversal rules §1 to §4. A short is a long on mirrored prices (``-high`` for ``low``),
so every rule is written once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_engine import Candles, EventTable, Float, Int64
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter, passing


class CapitulationReversal:
    """Declares what can be set, in grid order (§1); the short is the mirror of the long."""

    name = "CAPITULATION_REVERSAL_V3"
    mirrored = True
    parameters = (
        Parameter(
            name="volume_explosion_threshold",
            kind="threshold",
            unit="x baseline",
            meaning="Volume of the panic bar over the mean of the 20 bars before.",
            sense=+1,
            grid=(1.5, 2, 2.5, 3, 4, 5),
            low=1.5,
            high=10,
            minimum=0,
        ),
        Parameter(
            name="price_move_speed",
            kind="threshold",
            unit="fraction of the open",
            meaning="How far the panic bar trades from its open, against the trade to come.",
            sense=+1,
            grid=(0.002, 0.003, 0.005, 0.0075, 0.01),
            low=0.002,
            high=0.1,
            minimum=0,
        ),
        Parameter(
            name="sentiment_extreme_threshold",
            kind="threshold",
            unit="RSI of the long side",
            meaning="RSI of the panic bar, at most; a short takes 100 less the RSI.",
            sense=-1,
            grid=(25, 30, 35, 40),
            low=15,
            high=40,
            minimum=0,
            maximum=100,
        ),
        Parameter(
            name="exhaustion_wick_ratio",
            kind="threshold",
            unit="x body",
            meaning="Wick of the panic bar beyond its body, over the body.",
            sense=+1,
            grid=(0.5, 1, 1.5),
            low=0.5,
            high=4,
            minimum=0,
        ),
        Parameter(
            name="reversal_confirmation_candles",
            kind="structural",
            unit="bars",
            meaning="Bars in a row after the panic bar that close in the trade's direction.",
            integer=True,
            grid=(1, 2, 3),
            low=1,
            high=3,
            minimum=1,
            maximum=1000,
        ),
        Parameter(
            name="stop_distance",
            kind="exit",
            unit="ATR",
            meaning="Stop, from the entry.",
            grid=(1, 1.5, 2, 3),
            low=1,
            high=3,
        ),
        Parameter(
            name="target_multiple",
            kind="exit",
            unit="x stop distance",
            meaning="Target, from the entry.",
            grid=(2, 3, 4, 5),
            low=2,
            high=5,
        ),
        Parameter(
            name="panic_score_minimum",
            kind="threshold",
            unit="score",
            meaning="How much of a panic the bar is: volume, drop, RSI, wick and close in one.",
            sense=+1,
            grid=(0.45, 0.5, 0.55),
            low=0.45,
            high=0.8,
            minimum=0,
            maximum=1,
        ),
        Parameter(
            name="range_regained",
            kind="threshold",
            unit="share of the bar's range",
            meaning="How much of its own range the panic bar wins back by its close.",
            sense=+1,
            grid=(0.3, 0.4, 0.5),
            low=0.3,
            high=0.8,
            minimum=0,
            maximum=1,
        ),
    )

    def events(self, candles: Candles, loosest: Mapping[str, float]) -> PanicEvents:
        """Prepare the panic bars of both sides; ``loosest`` as in `Strategy`."""
        return PanicEvents(candles, loosest)


class PanicEvents:
    """Builds the event tables of one market: its panic bars, which all confirmations share."""

    def __init__(self, candles: Candles, loosest: Mapping[str, float]) -> None:
        self._atr = indicators.average_true_range(candles)
        self._rising, self._falling = indicators.runs(candles.close)

        volume = indicators.volume_ratio(candles)  # NaN, which fails, before bar 20
        possible = ~candles.filled & (volume >= loosest["volume_explosion_threshold"])
        bar = np.flatnonzero(possible).repeat(2)
        side = np.tile([+1, -1], len(bar) // 2)  # at the same bar the long first (§3.3)
        extreme = np.where(side > 0, candles.low[bar], candles.high[bar])
        drops = side * candles.open[bar] > side * extreme  # §2.1
        bar, side = bar[drops], side[drops]
        features = self._features_of(candles, bar, side, volume[bar])
        kept = passing(CapitulationReversal.parameters, features, loosest)
        self._bar, self._side, self._features = bar[kept], side[kept], features[kept]

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return the panic bars that the next bars confirm (§3), in order of time."""
        delay = int(structural["reversal_confirmation_candles"])
        signal = self._bar + delay
        row = np.flatnonzero(signal < len(self._atr))
        signal = signal[row]
        run = np.where(self._side[row] > 0, self._rising[signal], self._falling[signal])
        kept = run >= delay
        row, signal = row[kept], signal[kept]
        return EventTable(
            setup_bar=self._bar[row].astype(np.int32),
            signal_bar=signal.astype(np.int32),
            side=self._side[row].astype(np.int8),
            atr=self._atr[signal],
            features=self._features[row],
        )

    def _features_of(self, candles: Candles, bar: Int64, side: Int64, volume: Float) -> Float:
        """Return the features of panic bars (§2), float64 of shape (p, 6)."""
        opening, close = side * candles.open[bar], side * candles.close[bar]
        low = np.where(side > 0, candles.low[bar], -candles.high[bar])
        high = np.where(side > 0, candles.high[bar], -candles.low[bar])
        fear = np.where(
            side > 0, indicators.rsi(candles.close)[bar], indicators.rsi(-candles.close)[bar]
        )
        drop, body = opening - low, np.abs(close - opening)
        wick = np.minimum(opening, close) - low
        regained = (close - low) / (high - low)
        score = volume / (1 + volume)
        score += drop / (drop + self._atr[bar - 1])
        score += np.maximum(0.0, 1 - fear / 50)
        score += wick / (wick + body)
        score += regained
        tail = np.divide(wick, body, out=np.full(len(bar), np.inf), where=body > 0)
        speed = drop / candles.open[bar]
        return np.column_stack((volume, speed, fear, tail, score / 5, regained))


STRATEGY = CapitulationReversal()
