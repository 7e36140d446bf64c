"""Trade FAILED BREAKDOWN V3: a range breaks, and the price closes back inside.

Failed_breakdown rules §1 to §4. A short is a long on mirrored prices (``-high`` for ``low``), so
every rule is written once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_engine import Bool, Candles, EventTable, Float, Int64
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter, passing

INTACT_BARS = 5  # §2.2: bars before the break that stay inside
TEST_WIDTH_ATR = 0.25  # §3.4


class FailedBreakdown:
    """Declares what can be set, in grid order (§1); the short is the mirror of the long."""

    name = "FAILED_BREAKDOWN_V3"
    mirrored = True
    parameters = (
        Parameter(
            name="range_lookback_periods",
            kind="structural",
            unit="bars",
            meaning="Bars before the break whose lows and highs are the range.",
            integer=True,
            grid=(20, 50, 100, 200),
            low=20,
            high=200,
            minimum=10,
            maximum=100_000,
        ),
        Parameter(
            name="breakdown_depth",
            kind="threshold",
            unit="fraction of the edge",
            meaning="How far the spring goes beyond the range's edge.",
            sense=+1,
            grid=(0.0005, 0.001, 0.002, 0.003, 0.005),
            low=0.0005,
            high=0.02,
            minimum=0,
            maximum=1,
        ),
        Parameter(
            name="volume_decline_threshold",
            kind="threshold",
            unit="x baseline",
            meaning="Volume of the break bar over the mean of the 20 bars before, at most.",
            sense=-1,
            grid=(1.25, 1.5, 2, 3),
            low=0.5,
            high=3,
            minimum=0,
        ),
        Parameter(
            name="recovery_speed",
            kind="threshold",
            unit="bars",
            meaning="Bars after the break within which the price must close inside again.",
            sense=-1,
            integer=True,
            grid=(1, 2, 3, 5),
            low=1,
            high=5,
            minimum=1,
            maximum=1000,
        ),
        Parameter(
            name="spring_confirmation_volume",
            kind="threshold",
            unit="x baseline",
            meaning="Volume of the bar that closes inside again over the mean of the 20 before.",
            sense=+1,
            grid=(0.75, 1, 1.5, 2),
            low=0.75,
            high=4,
            minimum=0,
        ),
        Parameter(
            name="stop_offset",
            kind="exit",
            unit="ATR beyond the spring's low",
            meaning="Stop, from the spring's lowest price; 0 is that price itself.",
            grid=(0, 0.25, 0.5, 1),
            low=0,
            high=1,
            minimum=0,
        ),
        Parameter(
            name="target_reach",
            kind="exit",
            unit="x way to the far side",
            meaning="Target, on the way from the entry to the range's far side; 1 is that side.",
            grid=(0.5, 0.75, 1, 1.25, 1.5),
            low=0.5,
            high=1.5,
        ),
        Parameter(
            name="accumulation_score_min",
            kind="threshold",
            unit="score",
            meaning="How much the range and the return look like buying, from five candle facts.",
            sense=+1,
            grid=(0.4, 0.45, 0.5),
            low=0.4,
            high=0.7,
            minimum=0,
            maximum=1,
        ),
        Parameter(
            name="support_tests_min",
            kind="threshold",
            unit="tests",
            meaning="Swing points of the range at its edge.",
            sense=+1,
            integer=True,
            grid=(0, 1),
            low=0,
            high=3,
            minimum=0,
        ),
    )

    def events(self, candles: Candles, loosest: Mapping[str, float]) -> SpringEvents:
        """Prepare both sides' prices and swing points; ``loosest`` as in `Strategy`."""
        return SpringEvents(candles, loosest)


class SpringEvents:
    """Builds the event tables of one market, one for each length of the range."""

    def __init__(self, candles: Candles, loosest: Mapping[str, float]) -> None:
        self._loosest = loosest
        self._atr = indicators.average_true_range(candles)
        volume = indicators.volume_ratio(candles)
        weak = volume <= loosest["volume_decline_threshold"]  # false for NaN, before bar 20
        weak &= indicators.volume_baseline(candles) > 0
        possible = weak & ~candles.filled
        longest = int(loosest["recovery_speed"])
        self._sides = [
            _Side(candles, side, possible, self._atr, volume, longest) for side in (+1, -1)
        ]

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return the breaks of one range that recover (§2, §3), in the order of §4.2."""
        springs = [side.springs(int(structural["range_lookback_periods"])) for side in self._sides]
        bar, signal, side, stop, target, features = map(np.concatenate, zip(*springs, strict=True))
        row = np.flatnonzero(passing(FailedBreakdown.parameters, features, self._loosest))
        row = row[np.lexsort((-side[row], bar[row], signal[row]))]
        return EventTable(
            setup_bar=bar[row].astype(np.int32),
            signal_bar=signal[row].astype(np.int32),
            side=side[row].astype(np.int8),
            atr=self._atr[signal[row]],
            features=features[row],
            stop_level=stop[row],
            target_level=target[row],
        )


class _Side:
    """Finds the springs of one side among the bars that may break, bool of shape (n,)."""

    def __init__(
        self,
        candles: Candles,
        side: int,
        possible: Bool,
        atr: Float,
        volume: Float,
        longest: int,
    ) -> None:
        self._side, self._possible, self._atr, self._volume = side, possible, atr, volume
        self._longest, self._filled = longest, candles.filled
        self._close = side * candles.close
        self._low = candles.low if side > 0 else -candles.high
        self._high = candles.high if side > 0 else -candles.low
        self._recent = indicators.rolling_min(self._low, INTACT_BARS)
        swing = indicators.swing_lows(self._low)
        self._points = self._low[swing]
        self._rank = np.zeros(len(candles) + 1, np.int32)  # of the first swing point from a bar on
        np.cumsum(swing, out=self._rank[1:])
        body = side * (candles.close - candles.open)
        self._buying = np.where(body > 0, candles.volume, 0.0)
        self._selling = np.where(body < 0, candles.volume, 0.0)

    def springs(self, length: int) -> tuple[Int64, Int64, Int64, Float, Float, Float]:
        """Return bar, signal bar, side, stop level, target level and features of each spring.

        Shape (s,) each, but (s, 6) of the features.
        """
        bar, edge, far = self._breaks(length)
        signal, extreme = self._recoveries(bar, edge)
        row = np.flatnonzero(signal >= 0)
        bar, edge, far = bar[row], edge[row], far[row]
        signal, extreme = signal[row], extreme[row]
        weak, strong = self._volume[bar], self._volume[signal]
        tests = self._tests(bar, edge, length)
        columns = (
            (edge - extreme) / np.abs(edge),
            weak,
            signal - bar,
            strong,
            self._score(bar, length, tests, far - edge, weak, strong),
            tests,
        )
        sides = np.full(len(bar), self._side)
        stop, target = self._side * extreme, self._side * far
        return bar, signal, sides, stop, target, np.column_stack(columns).astype(np.float64)

    def _breaks(self, length: int) -> tuple[Int64, Float, Float]:
        """Return the break bars of §2, with the edge and the far side of their range."""
        edge = np.full(len(self._low), np.nan)  # undefined, which is not broken, for t < length
        older = indicators.rolling_min(self._low, length - INTACT_BARS)
        edge[INTACT_BARS:] = older[:-INTACT_BARS]
        far = indicators.rolling_max(self._high, length)
        broken = (self._low < edge) & (self._recent >= edge) & (far > edge)
        bar = np.flatnonzero(broken & self._possible)
        return bar, edge[bar], far[bar]

    def _recoveries(self, bar: Int64, edge: Float) -> tuple[Int64, Float]:
        """Return the first close inside after each break, -1 for none, and the extreme until it."""
        signal, extreme = np.full(len(bar), -1), self._low[bar]
        row, last = np.arange(len(bar)), len(self._low) - 1
        for later in range(1, self._longest + 1):
            row = row[(signal[row] < 0) & (bar[row] + later <= last)]
            t = bar[row] + later
            extreme[row] = np.minimum(extreme[row], self._low[t])
            inside = ~self._filled[t] & (self._close[t] > edge[row])
            signal[row[inside]] = t[inside]
        return signal, extreme

    def _tests(self, bar: Int64, edge: Float, length: int) -> Int64:
        """Count the swing points of the range at its edge (§3.4)."""
        start, after = self._rank[bar - length], self._rank[bar - INTACT_BARS]
        width = TEST_WIDTH_ATR * self._atr[bar - 1]
        return indicators.count_near(self._points, start, after, edge, width)

    def _score(
        self, bar: Int64, length: int, tests: Int64, width: Float, weak: Float, strong: Float
    ) -> Float:
        """Return the accumulation score (§3.5), added in the order of the rule."""
        buying, selling = np.zeros(len(bar)), np.zeros(len(bar))
        for lag in range(length, 0, -1):  # oldest first, the order a plain loop adds in
            buying += self._buying[bar - lag]
            selling += self._selling[bar - lag]
        total = buying + selling
        score = 1 - np.ldexp(1.0, -tests)
        score += np.divide(buying, total, out=np.full(len(bar), 0.5), where=total > 0)
        score += 1 - np.abs(self._close[bar - 1] - self._close[bar - length]) / width
        score += 1 / (1 + weak)
        score += strong / (1 + strong)
        return score / 5


STRATEGY = FailedBreakdown()
