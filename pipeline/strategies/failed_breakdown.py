"""Trade FAILED BREAKDOWN V3: a range breaks, and the price closes back inside.

Failed_breakdown rules §1 to §4. A short is a long on mirrored prices (``-high`` for ``low``), so
every rule is written once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_engine import Candles, EventTable, Float, Int64
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
    """Builds the event tables of one market, one for each length of the range.

    Arrays of shape (2, n) hold both sides, the long one first. A *place* is a bar of one of them,
    as an index of such an array laid flat.
    """

    def __init__(self, candles: Candles, loosest: Mapping[str, float]) -> None:
        self._loosest, self._longest = loosest, int(loosest["recovery_speed"])
        self._atr = indicators.average_true_range(candles)
        baseline = indicators.volume_baseline(candles)
        self._volume = indicators.volume_ratio(candles, baseline)
        weak = self._volume <= loosest["volume_decline_threshold"]  # false for NaN, before bar 20
        weak &= baseline > 0
        self._possible = weak & ~candles.filled
        self._filled = np.tile(candles.filled, 2)

        self._low = np.stack((candles.low, -candles.high))
        self._high = np.stack((candles.high, -candles.low))
        self._close = np.concatenate((candles.close, -candles.close))
        self._recent = indicators.rolling_min(self._low, INTACT_BARS)
        swing = np.stack([indicators.swing_lows(low) for low in self._low])
        self._points = self._low[swing]
        self._rank = np.zeros(swing.size + 1, np.int32)  # of the first swing point from a place on
        np.cumsum(swing, out=self._rank[1:])
        rises, falls = candles.close > candles.open, candles.close < candles.open
        up, down = (np.where(moves, candles.volume, 0.0) for moves in (rises, falls))
        self._buying, self._selling = np.concatenate((up, down)), np.concatenate((down, up))

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return the breaks of one range that recover (§2, §3), in the order of §4.2."""
        length, n = int(structural["range_lookback_periods"]), len(self._atr)
        place, edge, far = self._breaks(length)
        delay, extreme = self._recoveries(place, edge)
        row = np.flatnonzero(delay > 0)
        place, delay = place[row], delay[row]
        edge, far, extreme = edge[row], far[row], extreme[row]
        bar, side = place % n, np.where(place < n, 1, -1)
        signal = bar + delay
        weak, strong = self._volume[bar], self._volume[signal]
        tests = self._tests(place, edge, length)
        score = self._score(place, length, tests, far - edge, weak, strong)
        columns = (edge - extreme) / np.abs(edge), weak, delay, strong, score, tests
        features = np.column_stack(columns).astype(np.float64)

        row = np.flatnonzero(passing(FailedBreakdown.parameters, features, self._loosest))
        row = row[np.lexsort((-side[row], bar[row], signal[row]))]
        side = side[row]
        return EventTable(
            setup_bar=bar[row].astype(np.int32),
            signal_bar=signal[row].astype(np.int32),
            side=side.astype(np.int8),
            atr=self._atr[signal[row]],
            features=features[row],
            stop_level=side * extreme[row],
            target_level=side * far[row],
        )

    def _breaks(self, length: int) -> tuple[Int64, Float, Float]:
        """Return the places of the breaks of §2, with the edge and the far side of their range."""
        edge = np.full_like(self._low, np.nan)  # undefined, which is not broken, for t < length
        older = indicators.rolling_min(self._low, length - INTACT_BARS)
        edge[:, INTACT_BARS:] = older[:, :-INTACT_BARS]
        broken = (self._low < edge) & (self._recent >= edge) & self._possible
        place = np.flatnonzero(broken)
        edge = edge.ravel()[place]
        ranges = np.column_stack((place - length, place)).ravel()
        far = np.maximum.reduceat(self._high.ravel(), ranges)[::2]  # of the bars from one to other
        wide = far > edge
        return place[wide], edge[wide], far[wide]

    def _recoveries(self, place: Int64, edge: Float) -> tuple[Int64, Float]:
        """Return bars from each break to the first close inside, 0 for none, and the extreme."""
        low, later = self._low.ravel(), len(self._atr) - 1 - place % len(self._atr)
        delay, extreme = np.zeros(len(place), np.int64), low[place]
        row = np.arange(len(place))
        for bars in range(1, self._longest + 1):
            row = row[(delay[row] == 0) & (later[row] >= bars)]
            if not len(row):
                break
            t = place[row] + bars
            extreme[row] = np.minimum(extreme[row], low[t])
            delay[row[~self._filled[t] & (self._close[t] > edge[row])]] = bars
        return delay, extreme

    def _tests(self, place: Int64, edge: Float, length: int) -> Int64:
        """Count the swing points of the range at its edge (§3.4)."""
        start, after = self._rank[place - length], self._rank[place - INTACT_BARS]
        width = TEST_WIDTH_ATR * self._atr[place % len(self._atr) - 1]
        return indicators.count_near(self._points, start, after, edge, width)

    def _score(
        self, place: Int64, length: int, tests: Int64, width: Float, weak: Float, strong: Float
    ) -> Float:
        """Return the accumulation score (§3.5), added in the order of the rule."""
        buying = indicators.sums_before(self._buying, place, length)
        total = buying + indicators.sums_before(self._selling, place, length)
        score = 1 - np.ldexp(1.0, -tests)
        score += np.divide(buying, total, out=np.full(len(total), 0.5), where=total > 0)
        score += 1 - np.abs(self._close[place - 1] - self._close[place - length]) / width
        score += 1 / (1 + weak)
        score += strong / (1 + strong)
        return score / 5


STRATEGY = FailedBreakdown()
