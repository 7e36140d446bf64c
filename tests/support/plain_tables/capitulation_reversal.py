"""Event table of CAPITULATION REVERSAL V3 by plain loops: a panic bar, then closes that confirm.

Structural: ``reversal_confirmation_candles``, in bars. ``t`` is the panic bar, ``r`` the signal.
"""

from support.plain_tables.bars import NAN, bars_of
from support.plain_tables.rows import Row, passes, table_of

SENSES = {
    "volume_explosion_threshold": +1,
    "price_move_speed": +1,
    "sentiment_extreme_threshold": -1,
    "exhaustion_wick_ratio": +1,
    "panic_score_minimum": +1,
    "range_regained": +1,
}
COLUMNS = ()


def event_table(candles, parameters):
    """List the confirmed panic bars that pass the thresholds that are set."""
    bars = bars_of(candles)
    fear = {+1: _fear(bars.close, +1), -1: _fear(bars.close, -1)}
    delay = int(parameters["reversal_confirmation_candles"])
    rows = []
    for t in range(20, len(bars) - delay):
        for side in (+1, -1):
            features = _panic(bars, t, side, fear[side][t])
            if features is None or not passes(features, parameters, SENSES):
                continue
            if all(
                side * (bars.close[i] - bars.close[i - 1]) > 0 for i in range(t + 1, t + delay + 1)
            ):
                rows.append(Row(t, t + delay, side, features))
    return table_of(rows, bars.atr, SENSES, COLUMNS)


def _panic(bars, t, side, fear):
    """Return the features of a panic bar; None where nothing dropped or nothing traded."""
    opening, high, low, close = bars.open[t], bars.high[t], bars.low[t], bars.close[t]
    drop = opening - low if side > 0 else high - opening
    if bars.filled[t] or not drop > 0:
        return None
    wick = min(opening, close) - low if side > 0 else high - max(opening, close)
    body = abs(close - opening)
    regained = (close - low if side > 0 else high - close) / (high - low)
    x = bars.volume_ratio[t]
    score = x / (1 + x)
    score += drop / (drop + bars.atr[t - 1])
    score += max(0.0, 1 - fear / 50)
    score += wick / (wick + body)
    score += regained
    return {
        "volume_explosion_threshold": x,
        "price_move_speed": drop / opening,
        "sentiment_extreme_threshold": fear,
        "exhaustion_wick_ratio": wick / body if body > 0 else float("inf"),
        "panic_score_minimum": score / 5,
        "range_regained": regained,
    }


def _fear(close, side):
    """Wilder's RSI of period 14 for the long, 100 less it for the short; NaN before bar 14."""
    fear = []
    gain = loss = 0.0  # with the trade's direction, against it
    for i in range(len(close)):
        move = side * (close[i] - close[i - 1]) if i > 0 else 0.0
        up, down = max(move, 0.0), max(-move, 0.0)
        if i <= 14:
            gain, loss = gain + up, loss + down
            if i == 14:
                gain, loss = gain / 14, loss / 14
        else:
            gain, loss = (13 * gain + up) / 14, (13 * loss + down) / 14
        if i < 14:
            fear.append(NAN)
        else:
            fear.append(100 * gain / (gain + loss) if gain + loss != 0 else 50.0)
    return fear
