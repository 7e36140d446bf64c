"""Declare LIQUIDITY SWEEP V3 and build its event tables (liquidity_sweep rules §3 to §5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_engine import DAY_MS, Candles, EventTable, Float
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter
from pipeline.strategies.sweeps import SweepFinder, Sweeps


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
        self._finder = SweepFinder(
            candles,
            self._atr,
            self._volume >= loosest["volume_spike_threshold"],
            loosest["pierce_depth"],
            int(loosest["rejection_candles"]),
        )
        self._sweeps: dict[int, tuple[Sweeps, Float]] = {}

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return the signals of one lookback and reversal size (§5), in the order of §5.3."""
        lookback = int(structural["key_level_lookback"])
        if lookback not in self._sweeps:
            self._sweeps[lookback] = self._with_features(self._finder.sweeps(lookback))
        sweeps, features = self._sweeps[lookback]
        delay = sweeps.first_reversals(structural["reversal_candle_size"])
        rows = np.flatnonzero(delay >= 0)
        signal = sweeps.bar[rows] + delay[rows]
        order = np.argsort(signal, kind="stable")  # of one signal bar sweeps are in order already
        rows, signal = rows[order], signal[order]
        columns = features[rows]
        columns[:, 1] = delay[rows] + 1
        return EventTable(
            setup_bar=sweeps.bar[rows],
            signal_bar=signal,
            side=sweeps.side[rows],
            atr=self._atr[signal],
            features=columns,
        )

    def _with_features(self, sweeps: Sweeps) -> tuple[Sweeps, Float]:
        """Add the features of §4, float64 of shape (s, 5); the reversal's delay comes later."""
        density = 1.0 - np.exp2(-sweeps.touches.astype(np.float64))
        later, bar = np.full(len(density), np.nan), sweeps.bar
        columns = (sweeps.pierce, later, self._volume[bar], density, self._spread[bar])
        return sweeps, np.column_stack(columns)

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
