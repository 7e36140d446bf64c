"""Event table of SUPPLY SHOCK V3 by plain loops: one bar jumps, the next ones go on.

Structural: ``momentum_persistence``, in bars. ``t`` is the shock bar, ``r`` the signal bar.
"""

from support.plain_tables.bars import bars_of
from support.plain_tables.rows import Row, passes, table_of

SENSES = {
    "gap_threshold": +1,
    "volume_surge_multiplier": +1,
    "no_retracement_periods": +1,
    "catalyst_strength_minimum": +1,
}
COLUMNS = ()


def event_table(candles, parameters):
    """List the shocks that go on long enough and pass the thresholds that are set."""
    bars = bars_of(candles)
    persistence = int(parameters["momentum_persistence"])
    pullback = {side: _last_pullback(bars, side) for side in (+1, -1)}
    rows = []
    for t in range(20, len(bars) - persistence + 1):
        r = t + persistence - 1
        for side in (+1, -1):
            features = _shock(bars, t, side)
            if features is None:
                continue
            features["no_retracement_periods"] = r - pullback[side][r]
            if not passes(features, parameters, SENSES):
                continue
            if all(side * (bars.close[i] - bars.close[i - 1]) > 0 for i in range(t, r + 1)):
                rows.append(Row(t, r, side, features))
    return table_of(rows, bars.atr, SENSES, COLUMNS)


def _shock(bars, t, side):
    """Return the features of a shock bar; None where it did not jump to this side."""
    high, low, close, before = bars.high[t], bars.low[t], bars.close[t], bars.close[t - 1]
    move = side * (close - before)
    if bars.filled[t] or not move > 0:
        return None
    where = 0.5
    if high != low:
        where = (close - low if side > 0 else high - close) / (high - low)
    x = bars.volume_ratio[t]
    score = move / (move + bars.atr[t - 1])
    score += x / (1 + x)
    score += where
    return {
        "gap_threshold": move / before,
        "volume_surge_multiplier": x,
        "catalyst_strength_minimum": score / 3,
    }


def _last_pullback(bars, side):
    """For every bar the last one up to it that fell back by half an ATR; -1 for none."""
    last = []
    for i in range(len(bars)):
        fell_back = side * (bars.close[i] - bars.open[i]) <= -0.5 * bars.atr[i]  # NaN: never
        last.append(i if fell_back else (last[-1] if last else -1))
    return last
