"""Event table of FAILED BREAKDOWN V3 by plain loops: a range breaks and closes back inside.

Structural: ``range_lookback_periods``, in bars. ``t`` is the break bar, ``r`` the signal bar.
"""

from support.plain_tables.bars import bars_of, swing_points
from support.plain_tables.rows import Row, passes, table_of

SENSES = {
    "breakdown_depth": +1,
    "volume_decline_threshold": -1,
    "recovery_speed": -1,
    "spring_confirmation_volume": +1,
    "accumulation_score_min": +1,
    "support_tests_min": +1,
}
COLUMNS = ("stop_level", "target_level")
LONGEST_RECOVERY = 5  # bars: the largest value of the strategy's page


def event_table(candles, parameters):
    """List the breaks that recover soon enough and pass what else is set."""
    bars = bars_of(candles)
    length = int(parameters["range_lookback_periods"])
    longest = int(parameters.get("recovery_speed", LONGEST_RECOVERY))
    swings = {+1: swing_points(bars.low, +1), -1: swing_points(bars.high, -1)}
    rows = []
    for t in range(max(length, 20), len(bars)):
        for side in (+1, -1):
            row = _spring(bars, t, side, length, longest, swings[side])
            if row is not None and passes(row.features, parameters, SENSES):
                rows.append(row)
    return table_of(rows, bars.atr, SENSES, COLUMNS)


def _spring(bars, t, side, length, longest, swings):
    """Return the row of a break at bar ``t`` and its first close inside, where there are both."""
    outer, inner = (bars.low, bars.high) if side > 0 else (bars.high, bars.low)
    lowest, highest = (min, max) if side > 0 else (max, min)
    if bars.filled[t] or not bars.baseline[t] > 0:
        return None
    edge = lowest(outer[t - length : t - 5])
    if not side * outer[t] < side * edge:  # broken
        return None
    far = highest(inner[t - length : t])
    if not side * (far - edge) > 0:
        return None
    if any(side * outer[i] < side * edge for i in range(t - 5, t)):  # intact before
        return None
    r = _recovery(bars, t, side, edge, longest)
    if r is None:
        return None
    extreme = lowest(outer[t : r + 1])
    near = 0.25 * bars.atr[t - 1]
    tests = 0
    for i in range(t - length, t - 5):
        if swings[i] and abs(outer[i] - edge) <= near:
            tests += 1
    features = {
        "breakdown_depth": side * (edge - extreme) / edge,
        "volume_decline_threshold": bars.volume_ratio[t],
        "recovery_speed": r - t,
        "spring_confirmation_volume": bars.volume_ratio[r],
        "accumulation_score_min": _score(bars, t, r, side, length, tests, far - edge),
        "support_tests_min": tests,
    }
    return Row(t, r, side, features, stop_level=extreme, target_level=far)


def _recovery(bars, t, side, edge, longest):
    """Return the first bar after ``t``, not filled, that closes inside again; None for none."""
    for r in range(t + 1, min(t + longest + 1, len(bars))):
        if not bars.filled[r] and side * (bars.close[r] - edge) > 0:
            return r
    return None


def _score(bars, t, r, side, length, tests, width):
    """Return the accumulation score: five terms of 0 to 1, added in the order of the rule."""
    buying = selling = 0.0
    for i in range(t - length, t):
        body = side * (bars.close[i] - bars.open[i])
        if body > 0:
            buying += bars.volume[i]
        elif body < 0:
            selling += bars.volume[i]
    total = buying + selling
    score = 1 - 2.0**-tests
    score += buying / total if total > 0 else 0.5
    score += 1 - abs(bars.close[t - 1] - bars.close[t - length]) / abs(width)
    score += 1 / (1 + bars.volume_ratio[t])
    score += bars.volume_ratio[r] / (1 + bars.volume_ratio[r])
    return score / 5
