"""Trade SUPPLY SHOCK V3: one bar jumps, the next ones go on (supply_shock rules §1 to §4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_engine import Candles, EventTable, Float
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter


class SupplyShock:
    """Declares what can be set, in grid order (§1); the short is the mirror of the long."""

    name = "SUPPLY_SHOCK_V3"
    mirrored = True
    parameters = (
        Parameter(
            name="gap_threshold",
            kind="threshold",
            unit="fraction of the close before",
            meaning="How far the shock bar closes from the close before it.",
            sense=+1,
            grid=(0.003, 0.005, 0.0075, 0.01, 0.02),
            low=0.003,
            high=0.05,
            minimum=0,
        ),
        Parameter(
            name="volume_surge_multiplier",
            kind="threshold",
            unit="x baseline",
            meaning="Volume of the shock bar over the mean of the 20 bars before.",
            sense=+1,
            grid=(2, 3, 4, 5, 8),
            low=2,
            high=20,
            minimum=0,
        ),
        Parameter(
            name="momentum_persistence",
            kind="structural",
            unit="bars",
            meaning="Bars in a row that close in the jump's direction, the shock bar included.",
            integer=True,
            grid=(1, 2, 3, 4),
            low=1,
            high=6,
            minimum=1,
            maximum=1000,
        ),
        Parameter(
            name="no_retracement_periods",
            kind="threshold",
            unit="bars",
            meaning="Bars up to the signal, itself included, none of which falls back half an ATR.",
            sense=+1,
            integer=True,
            grid=(2, 5, 10, 15),
            low=0,
            high=20,
            minimum=0,
        ),
        Parameter(
            name="trail_stop_activation",
            kind="exit",
            role="trail_activation",
            unit="ATR",
            meaning="How far the price must run from the entry before the stop follows it.",
            grid=(1.5, 2, 3),
            low=1.5,
            high=3,
            minimum=0,
        ),
        Parameter(
            name="trail_stop_distance",
            kind="exit",
            role="trail_distance",
            unit="ATR",
            meaning="How far behind the best price the stop follows.",
            grid=(1, 2, 3),
            low=1,
            high=3,
        ),
        Parameter(
            name="stop_distance",
            kind="exit",
            unit="ATR",
            meaning="Stop, from the entry.",
            grid=(1.5, 3),
            low=1,
            high=4,
        ),
        Parameter(
            name="position_hold_maximum",
            kind="exit",
            role="holding_bars",
            unit="bars",
            meaning="Bars after which the trade ends by the clock.",
            integer=True,
            grid=(5, 10, 20, 30),
            low=5,
            high=30,
            minimum=1,
        ),
        Parameter(
            name="catalyst_strength_minimum",
            kind="threshold",
            unit="score",
            meaning="How hard the shock bar moved, from its jump, its volume and where it closed.",
            sense=+1,
            grid=(0.6, 0.65, 0.7, 0.75),
            low=0.6,
            high=0.9,
            minimum=0,
            maximum=1,
        ),
    )

    def events(self, candles: Candles, loosest: Mapping[str, float]) -> ShockEvents:
        """Prepare shock bars and pullbacks; ``loosest`` as in `Strategy`."""
        return ShockEvents(candles, loosest)


class ShockEvents:
    """Builds the event tables of one market: its shock bars, and how they went on."""

    def __init__(self, candles: Candles, loosest: Mapping[str, float]) -> None:
        self._atr = indicators.average_true_range(candles)
        self._calmest = loosest["no_retracement_periods"]
        self._rising, self._falling = indicators.runs(candles.close)
        change = np.diff(candles.close, prepend=candles.close[:1])
        body, half = candles.close - candles.open, 0.5 * self._atr  # NaN: no pullback (§3.2)
        self._since_drop = indicators.bars_since(body <= -half)
        self._since_rally = indicators.bars_since(-body <= -half)

        jump, volume, score = self._features(candles, change)
        shock = (change != 0) & ~candles.filled & (jump >= loosest["gap_threshold"])
        shock &= volume >= loosest["volume_surge_multiplier"]  # NaN, which fails, before bar 20
        shock &= score >= loosest["catalyst_strength_minimum"]
        self._bar = np.flatnonzero(shock)
        self._is_long = change[self._bar] > 0
        self._jump, self._volume, self._score = jump[shock], volume[shock], score[shock]

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return the shocks whose next bars go on (§3), in order of time (§4)."""
        persistence = int(structural["momentum_persistence"])
        signal = self._bar + persistence - 1
        row = np.flatnonzero(signal < len(self._atr))
        signal, is_long = signal[row], self._is_long[row]
        run = np.where(is_long, self._rising[signal], self._falling[signal])
        calm = np.where(is_long, self._since_drop[signal], self._since_rally[signal])
        kept = (run >= persistence) & (calm >= self._calmest)
        row, signal, calm = row[kept], signal[kept], calm[kept]
        return EventTable(
            setup_bar=self._bar[row].astype(np.int32),
            signal_bar=signal.astype(np.int32),
            side=np.where(self._is_long[row], 1, -1).astype(np.int8),
            atr=self._atr[signal],
            features=np.column_stack(
                (self._jump[row], self._volume[row], calm, self._score[row])
            ).astype(np.float64),
        )

    def _features(self, candles: Candles, change: Float) -> tuple[Float, Float, Float]:
        """Return jump, volume ratio and catalyst score of every bar (§2); each float64 (n,).

        They mean something where the close changed, which all shock bars do.
        """
        close, move = candles.close, np.abs(change)
        jump = move / np.append(np.nan, close[:-1])
        volume = indicators.volume_ratio(candles)
        beyond = np.where(change > 0, close - candles.low, candles.high - close)
        spread = candles.high - candles.low
        where = np.divide(beyond, spread, out=np.full(len(close), 0.5), where=spread != 0)
        reach = move + np.append(np.nan, self._atr[:-1])
        score = np.divide(move, reach, out=np.zeros(len(close)), where=reach != 0)
        score += volume / (1 + volume)
        score += where
        return jump, volume, score / 3


STRATEGY = SupplyShock()
