"""Event table of LIQUIDITY SWEEP V3 by plain loops: stops are taken, and a bar rejects the level.

Structural: ``key_level_lookback``, in bars, and ``reversal_candle_size``, in ATR. ``t`` is the
sweep bar, ``r`` the signal bar.
"""

import pandas as pd
from bidask import edge_rolling

from gpu_engine import DAY_MS
from support.plain_tables.bars import bars_of, swing_points
from support.plain_tables.rows import Row, passes, table_of

SENSES = {
    "pierce_depth": +1,
    "rejection_candles": -1,
    "volume_spike_threshold": +1,
    "min_stop_density_score": +1,
    "max_spread_tolerance": -1,
}
COLUMNS = ()
LONGEST_REJECTION = 5  # bars: the largest value of the strategy's page


def event_table(candles, parameters):
    """List the sweeps that are rejected soon enough and pass what else is set.

    Where ``max_spread_tolerance`` is absent or None the spread feature is 0.
    """
    bars = bars_of(candles)
    filtered = parameters.get("max_spread_tolerance") is not None
    spread = _spread_bps(candles) if filtered else [0.0] * len(bars)
    swings = {+1: swing_points(bars.low, +1), -1: swing_points(bars.high, -1)}
    rows = []
    for t in range(20, len(bars)):
        for side in (+1, -1):
            row = _sweep(bars, t, side, parameters, swings[side], spread[t - 1])
            if row is not None and passes(row.features, parameters, SENSES):
                rows.append(row)
    return table_of(rows, bars.atr, SENSES, COLUMNS)


def _sweep(bars, t, side, parameters, swings, spread):
    """Return the row of a sweep at bar ``t`` and of its reversal, where there are both."""
    extreme = bars.low if side > 0 else bars.high
    if bars.filled[t]:
        return None
    first = max(t - int(parameters["key_level_lookback"]), 0)
    points = [extreme[i] for i in range(first, t - 3) if swings[i]]  # i <= t - 4
    if not points:
        return None
    level = min(points) if side > 0 else max(points)
    if not side * extreme[t] < side * level < side * bars.close[t - 1]:  # pierced, intact before
        return None
    touches = 0
    for price in points:
        if abs(price - level) <= 0.25 * bars.atr[t - 1]:
            touches += 1
    r = _reversal(bars, t, side, level, parameters)
    if r is None:
        return None
    features = {
        "pierce_depth": side * (level - extreme[t]) / level,
        "rejection_candles": r - t + 1,
        "volume_spike_threshold": bars.volume_ratio[t],
        "min_stop_density_score": 1.0 - 2.0**-touches,
        "max_spread_tolerance": spread,
    }
    return Row(t, r, side, features)


def _reversal(bars, t, side, level, parameters):
    """Return the first bar from ``t`` on that closes inside with a body; None for none."""
    longest = int(parameters.get("rejection_candles", LONGEST_REJECTION))
    for r in range(t, min(t + longest, len(bars))):
        body = side * (bars.close[r] - bars.open[r])
        large = body >= parameters["reversal_candle_size"] * bars.atr[r]
        if not bars.filled[r] and large and side * (bars.close[r] - level) > 0:
            return r
    return None


def _spread_bps(candles):
    """EDGE spread over the one day of bars ending at each bar, in bps; NaN where undefined."""
    prices = {name: getattr(candles, name) for name in ("open", "high", "low", "close")}
    estimate = edge_rolling(pd.DataFrame(prices), window=DAY_MS // candles.step_ms)
    return [float(fraction) * 10_000 for fraction in estimate]
