"""Bars that touched both stop and target: candles cannot tell which came first (fills rules §7.4).

The engine lets the stop come first. Here is what that assumption is worth.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine.outcomes import net_return
from gpu_engine.records import STOP, Candles, Costs, Float


class Ambiguity(NamedTuple):
    """Share of trades with such an exit bar, and the net profit had the target come first.

    Both None without trades. The trades stay the same: what a better exit would have done to
    circuit breakers and to later entries is not followed.
    """

    exit_share: float | None
    net_profit_target_first: float | None


def ambiguity(
    candles: Candles,
    trades: NDArray[Any],
    target_multiple: Float,
    costs: Costs,
    position_fraction: float,
) -> Ambiguity:
    """Measure the ambiguity of some trades.

    Parameters
    ----------
    trades : array of dtype `TRADE` and shape (m,)
    target_multiple : float64 array of shape (m,)
        Of each trade's exit setting: the target's distance in stop distances.
    """
    if not len(trades):
        return Ambiguity(None, None)
    side, entry, bar = trades["side"], trades["entry"], trades["exit_bar"]
    stop = trades["exit"] / (1.0 - side * costs.slippage)
    target = entry + target_multiple * (entry - stop)
    favourable = np.where(side > 0, candles.high[bar], candles.low[bar])
    both = (trades["reason"] == STOP) & (side * favourable >= side * target)
    reached = net_return(side, entry, target, costs.fee_rate)
    returns = position_fraction * np.where(both, reached, trades["ret"])
    return Ambiguity(float(both.mean()), float(np.prod(1.0 + returns) - 1.0))
