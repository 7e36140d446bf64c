"""Event table of DONCHIAN BREAKOUT by plain loops: in on a new high, out on a new low.

Structural: ``entry_channel`` and ``exit_channel``, in bars.
"""

from support.plain_tables.bars import bars_of
from support.plain_tables.rows import Row, passes, table_of

SENSES = {"volume_factor": +1}
COLUMNS = ("exit_signal_bar",)


def event_table(candles, parameters):
    """List every bar that closes beyond the channel and passes the thresholds that are set."""
    bars = bars_of(candles)
    length = int(parameters["entry_channel"])
    exits = {side: _next_exit(bars, side, int(parameters["exit_channel"])) for side in (+1, -1)}
    rows = []
    for r in range(max(length, 20), len(bars)):
        if bars.filled[r]:
            continue
        features = {"volume_factor": bars.volume_ratio[r]}
        if not passes(features, parameters, SENSES):
            continue
        if bars.close[r] > max(bars.high[r - length : r]):
            rows.append(Row(r, r, +1, features, exit_signal_bar=exits[+1][r]))
        if bars.close[r] < min(bars.low[r - length : r]):
            rows.append(Row(r, r, -1, features, exit_signal_bar=exits[-1][r]))
    return table_of(rows, bars.atr, SENSES, COLUMNS)


def _next_exit(bars, side, length):
    """For every bar the first later one that closes beyond the exit channel; -1 for none."""
    following = [-1] * len(bars)
    for r in range(len(bars) - 2, -1, -1):
        x = r + 1
        following[r] = x if _leaves(bars, x, side, length) else following[x]
    return following


def _leaves(bars, x, side, length):
    """Say whether bar ``x`` closes strictly beyond the ``length`` bars before it."""
    if x < length:
        return False
    if side > 0:
        return bars.close[x] < min(bars.low[x - length : x])
    return bars.close[x] > max(bars.high[x - length : x])
