"""Say how many candles a built-in strategy needs before what it says is what it always says."""

from collections.abc import Mapping
from typing import Any

from gpu_engine import DAY_MS
from pipeline.strategies.base import Parameter
from pipeline.strategies.indicators import SWING_REACH, VOLUME_PERIOD, WILDER_PERIOD

#: Bars after which a Wilder average has forgotten how it began: ``(13 / 14)**400 < 1.5e-13``.
FORGOTTEN = 400


def indicator_periods(step_ms: int) -> dict[str, int]:
    """Return the fixed periods of candles rules §2, bars; a strategy uses some of them."""
    return {
        "average_true_range": WILDER_PERIOD,
        "rsi": WILDER_PERIOD,
        "volume_baseline": VOLUME_PERIOD,
        "swing_reach": SWING_REACH,
        "spread": DAY_MS // step_ms,
    }


def warm_up_bars(parameters: tuple[Parameter, ...], values: Mapping[str, Any], step_ms: int) -> int:
    """Return the bars after which signals do not depend on where the candles began.

    Exact are only candles that begin where the training's did: averages of Wilder forget without
    end. After so many bars they are the same to 13 digits, and everything else looks back over
    parameters in bars and a day at most (configuration rules §2.13).
    """
    own = sum(int(values[one.name] or 0) for one in parameters if one.unit == "bars")
    return own + max(VOLUME_PERIOD, DAY_MS // step_ms) + FORGOTTEN
