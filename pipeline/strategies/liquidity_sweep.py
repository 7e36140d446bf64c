"""Declare LIQUIDITY SWEEP V3 and build its event tables (liquidity_sweep rules §3 to §5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_engine import DAY_MS, Candles, EventTable, Float
from pipeline.strategies import indicators
from pipeline.strategies.averages import needs_all_candles
from pipeline.strategies.base import Parameter
from pipeline.strategies.sweeps import SweepFinder, Sweeps


class LiquiditySweep:
    """The strategy's declaration: parameters in grid order (§3.1) and its events."""

    name = "LIQUIDITY_SWEEP_V3"
    mirrored = True
    parameters = (
        Parameter(
            name="pierce_depth",
            kind="threshold",
            unit="fraction of the level",
            meaning="How far the sweep goes beyond the level.",
            sense=+1,
            grid=(0.0005, 0.001, 0.002, 0.003, 0.004, 0.005),
            low=0.0005,
            high=0.005,
            minimum=0,
            maximum=1,
        ),
        Parameter(
            name="rejection_candles",
            kind="threshold",
            unit="bars",
            meaning="Bars from the sweep on, itself included, one of which must reverse it.",
            sense=-1,
            integer=True,
            grid=(1, 2, 3, 4, 5),
            low=1,
            high=5,
            minimum=1,
            maximum=1000,
        ),
        Parameter(
            name="volume_spike_threshold",
            kind="threshold",
            unit="x baseline",
            meaning="Volume of the sweep bar over the mean of the 20 bars before.",
            sense=+1,
            grid=(1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5),
            low=1.5,
            high=5,
            minimum=0,
        ),
        Parameter(
            name="reversal_candle_size",
            kind="structural",
            unit="ATR",
            meaning="Body of the bar that reverses the sweep.",
            grid=(0.5, 0.75, 1, 1.25, 1.5, 1.75, 2),
            low=0.5,
            high=2,
            minimum=0,
        ),
        Parameter(
            name="key_level_lookback",
            kind="structural",
            unit="bars",
            meaning="How far back the swept level may lie.",
            integer=True,
            grid=(20, 50, 100, 150, 200),
            low=20,
            high=200,
            minimum=4,  # the youngest swing point known is 4 bars old (candles rules §2.3)
            maximum=100_000,
        ),
        Parameter(
            name="stop_distance",
            kind="exit",
            unit="ATR",
            meaning="Stop, from the entry.",
            grid=(0.5, 1, 1.5, 2),
            low=0.5,
            high=2,
        ),
        Parameter(
            name="target_multiple",
            kind="exit",
            unit="x stop distance",
            meaning="Target, from the entry.",
            grid=(1.5, 2, 2.5, 3, 3.5, 4),
            low=1.5,
            high=4,
        ),
        Parameter(
            name="min_stop_density_score",
            kind="threshold",
            unit="score",
            meaning="How many swing points lie at the level; a range up to 1 makes sense.",
            sense=+1,
            grid=(0.5,),
            minimum=0,
            maximum=1,
        ),
        Parameter(
            name="max_spread_tolerance",
            kind="threshold",
            unit="bps",
            meaning="Estimated spread of the day before; a range of 1 to 10 makes sense.",
            sense=-1,
            nullable=True,
            grid=(None,),
            minimum=0,
        ),
    )

    #: The combination that the demo market's edge is planted along.
    example: Mapping[str, float | None] = {
        "pierce_depth": 0.001,
        "rejection_candles": 3,
        "volume_spike_threshold": 2.0,
        "reversal_candle_size": 1.0,
        "key_level_lookback": 100,
        "stop_distance": 1.5,
        "target_multiple": 2.5,
    }

    def events(self, candles: Candles, loosest: Mapping[str, float]) -> SweepEvents:
        """Prepare indicators and swing points; ``loosest`` as in `Strategy`."""
        return SweepEvents(candles, loosest)

    def level(self, candles: Candles, table: EventTable) -> Float:
        """Return the level that each row swept: its ``pierce_depth`` (§4.3) turned round."""
        side, bar = table.side.astype(np.float64), table.setup_bar
        extreme = np.where(side > 0, candles.low[bar], candles.high[bar])
        return extreme / (1.0 - side * table.features[:, 0])


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
        needs_all_candles()  # pandas adds and subtracts along them, and rounds as it goes
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
