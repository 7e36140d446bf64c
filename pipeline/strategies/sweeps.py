"""Find sweeps and the first bar that reverses each (liquidity_sweep rules §4, §5).

Shorts are longs on mirrored prices (``-high`` for ``low``), so every rule is written once: arrays
hold both sides, the long one first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Bool, Candles, Float, Int32, Int64
from pipeline.strategies import compiled
from pipeline.strategies.indicators import count_near, swing_lows

FIRST_SWEEP_BAR = 20  # §4: t >= 20
SWING_DELAY = 4  # candles rules §2.3: at bar t only swing points i <= t - 4 exist
TOUCH_WIDTH_ATR = 0.25  # §4.5: stop density


@dataclass(frozen=True, eq=False)
class Sweeps:
    """Sweeps of one ``key_level_lookback``, by bar, long first; shape (s,) each.

    ``body`` and ``atr`` are of shape (rejection, s): for each bar from the sweep on, the signed
    body, -inf where §5 allows no signal whatever the size, and the ATR there.
    """

    bar: Int32
    side: NDArray[np.int8]
    pierce: Float
    touches: Int64
    body: Float
    atr: Float

    def first_reversals(self, size: float) -> Int32:
        """Return bars from each sweep to its signal (§5.1), int32 of shape (s,); -1 for none."""
        delay = np.full(len(self.bar), -1, np.int32)
        reverses = self.body >= size * self.atr
        for later in reversed(range(len(reverses))):
            delay[reverses[later]] = later
        return delay


class SweepFinder:
    """Finds the sweeps of any lookback among bars with enough volume, bool of shape (n,).

    A sweep pierces its level by ``least_pierce``; one of ``most`` bars from it on may reverse it.
    """

    def __init__(
        self, candles: Candles, atr: Float, volume: Bool, least_pierce: float, most: int
    ) -> None:
        self._candles, self._atr = candles, atr
        self._least_pierce, self._most = least_pierce, most
        possible = volume & ~candles.filled
        possible[1:] &= ~np.isnan(atr[:-1])
        possible[:FIRST_SWEEP_BAR] = False
        t, n = np.flatnonzero(possible), len(candles)
        bar, side, offset = np.repeat(t, 2), np.tile([+1, -1], len(t)), np.tile([0, n], len(t))
        lows = np.concatenate((candles.low, -candles.high))
        swing = np.concatenate((swing_lows(lows[:n]), swing_lows(lows[n:])))
        self._rank = np.zeros(2 * n + 1, np.int32)  # of the first swing point at or after a bar
        np.cumsum(swing, out=self._rank[1:])
        self._points = np.append(lows[np.flatnonzero(swing)], -np.inf)
        low, after = lows[offset + bar], self._rank[offset + bar - SWING_DELAY + 1]
        # Whatever the lookback, a level is at or below the last swing point, or there is none.
        rows = np.flatnonzero(low < self._points[after - 1])
        self._bar, self._side, self._offset = bar[rows], side[rows], offset[rows]
        self._low, self._after = low[rows], after[rows]
        self._before = self._side * candles.close[self._bar - 1]
        self._width = TOUCH_WIDTH_ATR * atr[self._bar - 1]

    def sweeps(self, lookback: int) -> Sweeps:
        """Find the sweeps of one lookback (§4)."""
        start = self._rank[self._offset + np.maximum(self._bar - lookback, 0)]
        rows, level, touches = self._pierced(start)
        pierce = (level - self._low[rows]) / np.abs(level)
        deep = np.flatnonzero(pierce >= self._least_pierce)
        rows, level, pierce, touches = rows[deep], level[deep], pierce[deep], touches[deep]
        t, side = self._bar[rows], self._side[rows]

        candles, n = self._candles, len(self._candles)
        r = t + np.arange(self._most)[:, None]
        inside, r = r < n, np.minimum(r, n - 1)
        close = candles.close[r]
        eligible = inside & ~candles.filled[r] & (side * close > level)
        body = np.where(eligible, side * (close - candles.open[r]), -np.inf)
        bar = t.astype(np.int32)
        return Sweeps(bar, side.astype(np.int8), pierce, touches, body, self._atr[r])

    def _pierced(self, start: Int32) -> tuple[Int64, Float, Int64]:
        """Return the rows that `pierced` finds from the swing points ``start`` on."""
        queries = self._points, start, self._after, self._low, self._before, self._width
        kernels = compiled.kernels()
        if kernels is None:
            return pierced(*queries)
        n = len(start)
        rows, level, touches = np.empty(n, np.int64), np.empty(n), np.empty(n, np.int64)
        count = kernels.pierced(*queries, rows, level, touches)
        return rows[:count], level[:count], touches[:count]


def pierced(
    points: Float, start: Int32, after: Int32, low: Float, before: Float, width: Float
) -> tuple[Int64, Float, Int64]:
    """Find rows with ``low < level < before`` (§4.2), where ``level = min(points[start:after])``.

    With their levels, and the number of these points within ``width`` of the level (§4.5).
    `numba_kernels` has the same for one row after the other.
    """
    level = np.full(len(start), np.inf)
    rows, k = np.arange(len(start)), after - 1
    ended = [rows[:0]]
    # From the last point back: most rows have one close by that lies at or below their low, and
    # then the level does.
    while len(rows):
        through = k < start[rows]
        ended.append(rows[through])
        rows, k = rows[~through], k[~through]
        point = points[k]
        above = np.flatnonzero(point > low[rows])
        rows, k = rows[above], k[above] - 1
        level[rows] = np.minimum(level[rows], point[above])
    rows = np.sort(np.concatenate(ended))
    rows = rows[level[rows] < before[rows]]
    level = level[rows]
    return rows, level, count_near(points, start[rows], after[rows], level, width[rows])
