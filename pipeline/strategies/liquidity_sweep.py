"""Build the event tables of LIQUIDITY SWEEP V3 (liquidity_sweep rules §3 to §5) with NumPy.

Shorts are longs on mirrored prices (``-high`` for ``low``), so every rule is written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_engine import DAY_MS, Bool, Candles, EventTable, Float, Int64
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter
from pipeline.strategies.indicators import RangeMinimum

FIRST_SWEEP_BAR = 20  # §4: t >= 20
SWING_DELAY = 4  # candles rules §2.3: at bar t only swing points i <= t - 4 exist
TOUCH_WIDTH_ATR = 0.25  # §4.5: stop density


@dataclass(frozen=True, eq=False)
class Sweeps:
    """Sweeps of one ``key_level_lookback``, shape (s,) each; ``features`` as §4 defines them.

    ``body``, ``body_atr`` and ``eligible`` are of shape (s, rejection): for each bar from the
    sweep on, the signed body, the ATR there, and whether §5 allows a signal there at all.
    """

    bar: Int64
    side: NDArray[np.int8]
    pierce: Float
    volume: Float
    density: Float
    spread: Float
    body: Float
    body_atr: Float
    eligible: Bool


class LiquiditySweep:
    """The strategy's declaration: parameters in grid order (§3.1) and its events."""

    name = "LIQUIDITY_SWEEP_V3"
    parameters = (
        Parameter("pierce_depth", "threshold", "fraction of the level", sense=+1),
        Parameter("rejection_candles", "threshold", "bars", sense=-1, integer=True),
        Parameter("volume_spike_threshold", "threshold", "x baseline", sense=+1),
        Parameter("reversal_candle_size", "structural", "ATR"),
        Parameter("key_level_lookback", "structural", "bars", integer=True),
        Parameter("stop_distance", "exit", "ATR"),
        Parameter("target_multiple", "exit", "x stop distance"),
        Parameter("min_stop_density_score", "threshold", "score", sense=+1),
        Parameter("max_spread_tolerance", "threshold", "bps", sense=-1, nullable=True),
    )

    def events(self, candles: Candles, loosest: Mapping[str, float]) -> SweepEvents:
        """Prepare indicators and swing points; ``loosest`` as in `Strategy`."""
        return SweepEvents(candles, loosest)


class SweepEvents:
    """Builds event tables of one market; sweeps are shared by all reversal sizes of a lookback."""

    def __init__(self, candles: Candles, loosest: Mapping[str, float]) -> None:
        self._candles = candles
        self._loosest = loosest
        self._atr = indicators.average_true_range(candles)
        self._volume = indicators.volume_ratio(candles)
        self._spread = self._spread_bps()
        self._sides = (
            (+1, candles.low, RangeMinimum(candles.low, indicators.swing_lows(candles.low))),
            (-1, -candles.high, RangeMinimum(-candles.high, indicators.swing_lows(-candles.high))),
        )
        self._sweeps: dict[int, Sweeps] = {}

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return the signals of one lookback and reversal size (§5)."""
        lookback = int(structural["key_level_lookback"])
        if lookback not in self._sweeps:
            self._sweeps[lookback] = self._find_sweeps(lookback)
        return self._signals(self._sweeps[lookback], structural["reversal_candle_size"])

    def _signals(self, sweeps: Sweeps, reversal_size: float) -> EventTable:
        """Take the first qualifying bar of every sweep, in the order of fills rules §6.1."""
        qualifies = sweeps.eligible & (sweeps.body >= reversal_size * sweeps.body_atr)
        has_signal: Bool = np.any(qualifies, axis=1)
        delay = qualifies.argmax(axis=1)
        signal = sweeps.bar + delay
        order = np.lexsort((-sweeps.side, sweeps.bar, signal))
        order = order[has_signal[order]]
        features = (
            sweeps.pierce,
            delay + 1.0,
            sweeps.volume,
            sweeps.density,
            sweeps.spread,
        )
        return EventTable(
            sweep_bar=sweeps.bar[order].astype(np.int32),
            signal_bar=signal[order].astype(np.int32),
            side=sweeps.side[order],
            atr=self._atr[signal[order]],
            features=np.column_stack([column[order] for column in features]),
        )

    def _find_sweeps(self, lookback: int) -> Sweeps:
        candles, loosest = self._candles, self._loosest
        t = np.arange(FIRST_SWEEP_BAR, len(candles))
        t = t[~candles.filled[t] & ~np.isnan(self._atr[t - 1])]
        t = t[self._volume[t] >= loosest["volume_spike_threshold"]]
        both = [self._find_side(side, t, lookback) for side in range(len(self._sides))]
        bar, side, level, pierce, density = (np.concatenate(c) for c in zip(*both, strict=True))
        delays = np.arange(int(loosest["rejection_candles"]))
        r = bar[:, None] + delays
        inside = r < len(candles)
        r = np.minimum(r, len(candles) - 1)
        sign = side[:, None].astype(np.float64)
        beyond_level = sign * (candles.close[r] - level[:, None]) > 0
        return Sweeps(
            bar=bar,
            side=side,
            pierce=pierce,
            volume=self._volume[bar],
            density=density,
            spread=self._spread[bar],
            body=sign * (candles.close[r] - candles.open[r]),
            body_atr=self._atr[r],
            eligible=inside & ~candles.filled[r] & beyond_level,
        )

    def _find_side(
        self, which: int, t: Int64, lookback: int
    ) -> tuple[Int64, NDArray[np.int8], Float, Float, Float]:
        """Find one side's sweeps among bars ``t``: bar, side, level, pierce depth, density (§4)."""
        side, low, swings = self._sides[which]
        first = np.maximum(t - lookback, 0)
        after_last = t - SWING_DELAY + 1
        level = swings.minimum(first, after_last)
        before = side * self._candles.close[t - 1]
        pierced = (low[t] < level) & (level < before)
        t, level = t[pierced], level[pierced]
        depth = (level - low[t]) / np.abs(level)
        deep = depth >= self._loosest["pierce_depth"]
        t, level, depth = t[deep], level[deep], depth[deep]
        width = TOUCH_WIDTH_ATR * self._atr[t - 1]
        touches = swings.count_near(np.maximum(t - lookback, 0), t - SWING_DELAY + 1, level, width)
        density = 1.0 - np.exp2(-touches.astype(np.float64))
        return t, np.full(len(t), side, np.int8), side * level, depth, density

    def _spread_bps(self) -> Float:
        """EDGE spread over the day ending at ``t - 1``, bps; +inf where undefined (it fails)."""
        if "max_spread_tolerance" not in self._loosest:
            return np.zeros(len(self._candles))
        # bidask pulls in pandas: only for those who set the filter.
        import pandas as pd
        from bidask import edge_rolling

        candles = self._candles
        frame = pd.DataFrame(
            {name: getattr(candles, name) for name in ("open", "high", "low", "close")}
        )
        estimate = edge_rolling(frame, window=DAY_MS // candles.step_ms).to_numpy(np.float64)
        result = np.full(len(candles), np.inf)
        bps = estimate[:-1] * 10_000
        result[1:] = np.where(np.isnan(bps), np.inf, bps)
        return result


STRATEGY = LiquiditySweep()
