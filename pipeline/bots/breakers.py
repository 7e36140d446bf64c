"""Follow the circuit breakers of a backtest over trades that a bot has closed (fills rules §9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gpu_engine import DAY_MS, RiskLimits


class ClosedTrade(NamedTuple):
    """A closed trade: open time of its exit bar (ms, UTC), and net return on notional."""

    exit_bar: int
    ret: float


def blocked_day(risk: RiskLimits, trades: Iterable[ClosedTrade]) -> int:
    """Return the last UTC day on which nothing is entered, days since the epoch; -1 for none.

    ``trades`` are all of one account, in the order in which they ended. After ruin (fills rules
    §9.3) that day never ends.
    """
    equity, day_open, current, blocked, streak = 1.0, 1.0, -1, -1, 0
    for trade in trades:
        day, gain = trade.exit_bar // DAY_MS, risk.exposure * trade.ret
        if day != current:
            current, day_open = day, equity
        equity *= 1.0 + gain
        streak = streak + 1 if gain < 0.0 else 0
        if equity <= 0.0:
            return 2**62
        loss, limit = risk.max_daily_loss, risk.consecutive_losses_limit
        lost = loss is not None and equity / day_open - 1.0 <= -loss
        if lost or (limit is not None and streak >= limit):
            blocked, streak = day, 0
    return blocked
