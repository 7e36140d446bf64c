"""Traders of random combinations, made without a training."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from gpu_engine import Candles, choose
from pipeline.config import SimulationConfig, TrainConfig, load
from pipeline.live.trader import Trader
from pipeline.results.records import Configuration
from pipeline.search.space import single_point


@cache
def _config(strategy: str, timeframe: str) -> TrainConfig:
    return load([f"strategy={strategy}", f"market=btc_binance_{timeframe}"], TrainConfig, "train")


def random_trader(
    rng: np.random.Generator,
    strategy: str,
    row: Configuration,
    candles: Candles,
    first_day: int,
    store: str = "candles",
    timeframe: str = "5m",
    **chosen: float | None,
) -> Trader:
    """Make a trader of a random combination; its series begins with the candles.

    ``store`` tells markets apart, ``chosen`` fixes some of the values.
    """
    config = _config(strategy, timeframe)
    values: dict[str, Any] = {name: getattr(config, name) for name in SimulationConfig.model_fields}
    values["data"] = config.data.model_copy(update={"store": store})
    loaded = config.strategy.load()
    drawn = {one.name: one.grid[rng.integers(len(one.grid))] for one in loaded.parameters}
    parameters = drawn | chosen
    space = single_point(loaded, parameters)
    return Trader(
        configuration=replace(row, parameters=parameters),
        simulation=SimulationConfig.model_construct(**values),
        space=space,
        point=space.point(parameters),
        first_ms=int(candles.timestamp[0]),
        first_day=first_day,
        backend=choose("reference").backend,
    )
