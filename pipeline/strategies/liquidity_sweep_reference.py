"""Define the signals of LIQUIDITY SWEEP V3 as a plain loop, which `liquidity_sweep` must match.

One combination, one bar at a time, in the order of liquidity_sweep rules §4 and §5. Nothing is
shared, cached or vectorised, and nothing of `liquidity_sweep` is imported: the two must agree
on every row, to the last bit.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gpu_engine import DAY_MS, Candles, EventTable


class Bars(NamedTuple):
    """Candles and indicators as Python lists, which the loops below read bar by bar."""

    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]
    filled: list[bool]
    atr: list[float]
    swing_low: list[bool]
    swing_high: list[bool]
    spread_bps: list[float]


class Signal(NamedTuple):
    """One signal, §5; ``pierce_depth`` to ``spread_bps`` are its features."""

    signal_bar: int
    setup_bar: int
    side: int
    pierce_depth: float
    rejection_candles: int
    volume_ratio: float
    density: float
    spread_bps: float


def event_table(candles: Candles, parameters: Mapping[str, float | None]) -> EventTable:
    """List the signals that one combination takes, in the order of fills rules §6.1.

    Parameters
    ----------
    candles : Candles
        On a regular grid.
    parameters : mapping
        Structural and threshold parameters by name; others are ignored. ``max_spread_tolerance``
        absent or None is off, and the spread feature is then 0.

    Returns
    -------
    EventTable
        Only rows that pass every threshold; features in the order of the strategy's thresholds.
    """
    limits = {name: value for name, value in parameters.items() if value is not None}
    bars = _bars(candles, with_spread="max_spread_tolerance" in limits)
    signals = []
    for t in range(len(candles)):
        for side in (+1, -1):
            signal = _signal(bars, t, side, limits)
            if signal is not None:
                signals.append(signal)
    # Signal bar first, then the earlier sweep, then the long (fills rules §6.1).
    signals.sort(key=lambda s: (s.signal_bar, s.setup_bar, -s.side))
    return EventTable(
        setup_bar=np.array([s.setup_bar for s in signals], np.int32),
        signal_bar=np.array([s.signal_bar for s in signals], np.int32),
        side=np.array([s.side for s in signals], np.int8),
        atr=np.array([bars.atr[s.signal_bar] for s in signals], np.float64),
        features=np.array([s[3:] for s in signals], np.float64).reshape(len(signals), 5),
    )


def _signal(bars: Bars, t: int, side: int, limits: Mapping[str, float]) -> Signal | None:
    """Return the signal of a sweep of one side at bar ``t``, where there is one (§4, §5)."""
    if t < 20 or np.isnan(bars.atr[t - 1]) or bars.filled[t]:
        return None
    extreme = bars.low if side > 0 else bars.high
    is_swing = bars.swing_low if side > 0 else bars.swing_high
    first = max(t - int(limits["key_level_lookback"]), 0)
    points = [extreme[i] for i in range(first, t - 3) if is_swing[i]]  # i <= t - 4
    if not points:
        return None
    level = min(points) if side > 0 else max(points)

    if not side * extreme[t] < side * level < side * bars.close[t - 1]:  # pierced, intact before
        return None
    depth = side * (level - extreme[t]) / level
    if not depth >= limits["pierce_depth"]:
        return None
    volume = _volume_ratio(bars.volume, t)
    if not volume >= limits["volume_spike_threshold"]:
        return None
    touches = 0
    for price in points:
        if abs(price - level) <= 0.25 * bars.atr[t - 1]:
            touches += 1
    density = 1.0 - 2.0**-touches
    if not density >= limits["min_stop_density_score"]:
        return None
    spread = 0.0
    if "max_spread_tolerance" in limits:
        spread = bars.spread_bps[t - 1]
        if not spread <= limits["max_spread_tolerance"]:  # undefined counts as failing
            return None

    for r in range(t, min(t + int(limits["rejection_candles"]), len(bars.close))):  # §5
        body = side * (bars.close[r] - bars.open[r])
        large = body >= limits["reversal_candle_size"] * bars.atr[r]
        if not bars.filled[r] and large and side * (bars.close[r] - level) > 0:
            return Signal(r, t, side, depth, r - t + 1, volume, density, spread)
    return None


def _swing_points(extreme: list[float], side: int) -> list[bool]:
    """Return whether each bar is a swing low (or high, for shorts), candles rules §2.3."""
    result = [False] * len(extreme)
    for i in range(3, len(extreme) - 3):
        price = side * extreme[i]
        result[i] = (
            price < side * extreme[i - 3]
            and price < side * extreme[i - 2]
            and price < side * extreme[i - 1]
            and price < side * extreme[i + 1]
            and price < side * extreme[i + 2]
            and price < side * extreme[i + 3]
        )
    return result


def _volume_ratio(volume: list[float], t: int) -> float:
    """Volume over the mean of the 20 bars before, 0 where it is 0 (candles rules §2.2)."""
    total = 0.0
    for i in range(t - 20, t):
        total += volume[i]
    mean = total / 20
    return volume[t] / mean if mean != 0 else 0.0


def _average_true_range(high: list[float], low: list[float], close: list[float]) -> list[float]:
    """Wilder's ATR of period 14 (candles rules §2.1); NaN before bar 13."""
    result: list[float] = []
    total = atr = 0.0
    for t in range(len(close)):
        if t == 0:
            true_range = high[0] - low[0]
        else:
            before = close[t - 1]
            true_range = max(high[t] - low[t], abs(high[t] - before), abs(low[t] - before))
        if t < 14:
            total += true_range
            atr = total / 14
        else:
            atr = (13 * atr + true_range) / 14
        result.append(atr if t >= 13 else float("nan"))
    return result


def _bars(candles: Candles, with_spread: bool) -> Bars:
    high, low, close = candles.high.tolist(), candles.low.tolist(), candles.close.tolist()
    return Bars(
        candles.open.tolist(),
        high,
        low,
        close,
        candles.volume.tolist(),
        candles.filled.tolist(),
        _average_true_range(high, low, close),
        _swing_points(low, +1),
        _swing_points(high, -1),
        _spread_bps(candles) if with_spread else [],
    )


def _spread_bps(candles: Candles) -> list[float]:
    """EDGE spread over the one day of bars ending at each bar, in bps; NaN where undefined."""
    # bidask pulls in pandas: only for those who set the filter.
    import pandas as pd
    from bidask import edge_rolling

    prices = {name: getattr(candles, name) for name in ("open", "high", "low", "close")}
    estimate = edge_rolling(pd.DataFrame(prices), window=DAY_MS // candles.step_ms)
    return [float(fraction) * 10_000 for fraction in estimate]
