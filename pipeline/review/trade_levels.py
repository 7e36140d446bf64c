"""Tell the levels of a trade of a record: its stop as it moved, and what its setup was about.

Only stop and target at the entry are stored. The rest follows from the candles and from what the
window that tested the day traded with: the engine enters the same signal once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpu_engine import DAY_MS, Candles, Float, backend
from gpu_engine.standing import TradeLevels, levels_of
from pipeline.config import SimulationConfig
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import single_point
from pipeline.strategies.warm_up import warm_up_bars

#: Takes two bars; returns the candles from the first to before the second, on their grid.
Read = Callable[[int, int], Candles]


class Levels(NamedTuple):
    """Levels of a trade, quote currency.

    ``stop``, float64 of shape (bars,), in each bar from the entry to the exit, NaN for none;
    ``about`` holds by name what the setup is about: the level that was swept.
    """

    stop: Float
    about: dict[str, float]


def trade_levels(
    config: SimulationConfig,
    windows: Sequence[Mapping[str, Any]],
    trade: np.void,
    opens: int,
    read: Read,
) -> Levels | None:
    """Tell the levels of an out-of-sample trade.

    Parameters
    ----------
    windows : sequence of mapping
        As in `pipeline.results.artifacts.artifact_set.ArtifactSet`.
    trade : TRADE
    opens : int
        Open of its bar 0, milliseconds since the epoch.
    read : callable
        It is asked for `warm_up_bars` before the setup and for the trade.

    Returns
    -------
    Levels or None
        None where these candles do not bring the very trade again: they are others, or an own
        strategy looks back further than `warm_up_bars` says.
    """
    step = timeframe_ms(config.market.timeframe)
    day = (opens + int(trade["entry_bar"]) * step) // DAY_MS
    parameters = _parameters(windows, day)
    if parameters is None:
        return None
    strategy = config.strategy.load()
    warm_up = warm_up_bars(strategy.parameters, parameters, step)
    first, after = max(int(trade["setup_bar"]) - warm_up, 0), int(trade["exit_bar"]) + 1
    candles = read(first, after)
    moved = trade.copy()
    for name in ("setup_bar", "signal_bar", "entry_bar", "exit_bar"):
        moved[name] -= (int(candles.timestamp[0]) - opens) // step
    space = single_point(strategy, parameters)
    costs, risk = config.costs.record(), config.risk.limits()
    evaluator = Evaluator(candles, space, costs, risk, backend.choose("numpy").backend)
    combination = evaluator.combination(space.point(parameters))
    made = levels_of(candles, combination, costs, risk, moved)
    if made is None or not _agree(made, trade):
        return None
    about = {
        "swept level": strategy.level(candles, made.row),
        "stop level": made.row.stop_level,
        "target level": made.row.target_level,
    }
    return Levels(
        made.stop, {name: float(one[0]) for name, one in about.items() if one is not None}
    )


def _parameters(windows: Sequence[Mapping[str, Any]], day: int) -> dict[str, Any] | None:
    """Return what the window that tested a day traded with; None where none did."""
    date = str(np.datetime64(day, "D"))
    for window in windows:
        first, last = window["test"]
        if first <= date <= last:
            parameters: dict[str, Any] | None = window["parameters"]
            return parameters
    return None


def _agree(made: TradeLevels, trade: np.void) -> bool:
    """Tell whether the trade of the record is the one that was made again."""
    pairs = [(made.entry, trade["entry"])]
    if "stop" in (trade.dtype.names or ()):
        pairs += [(made.stop[0], trade["stop"]), (made.target, trade["target"])]
    return all(np.isclose(one, other, rtol=1e-9, atol=0.0, equal_nan=True) for one, other in pairs)
