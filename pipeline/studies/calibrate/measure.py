"""Train one market as `pipeline.train` does, and record what came out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gpu_engine import Window, choose
from pipeline.config import SyntheticData, TrainConfig
from pipeline.search import Evaluator, single_point
from pipeline.strategies.registry import load_strategy
from pipeline.studies.calibrate.markets import Market
from pipeline.training.planting import OutOfReachError
from pipeline.training.run import Reporter, TrainingResult, train


@dataclass(frozen=True)
class Outcome:
    """What the pipeline made of one market.

    Attributes
    ----------
    market : Market
        Which one.
    source : str
        Its candles, as their quality report names them.
    stage : str or None
        The lifecycle stage; None where the planted strength was out of reach of these candles, so
        that there was no such market.
    figures : dict of str to float or None
        Everything that gates judged, by name: out-of-sample metrics and p values.
    planted_net_profit, stored_net_profit : float or None
        Of the planted and of the stored combination over the whole history, net of costs, where
        there is one.
    seconds : float
        Wall clock of one worker.
    fingerprint : str
        Of configuration, candles and code (`pipeline.training.provenance`).
    """

    market: Market
    source: str
    stage: str | None
    figures: Mapping[str, float | None]
    planted_net_profit: float | None
    stored_net_profit: float | None
    seconds: float
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the market's among them."""
        values = asdict(self)
        return {**values.pop("market"), **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """Return what `to_dict` was called on."""
        rest = dict(values)
        market = Market(rest.pop("kind"), rest.pop("seed"), rest.pop("strength"))
        return cls(market=market, **rest)


def measure(market: Market, config: TrainConfig, fingerprint: str) -> Outcome:
    """Train on ``market``."""
    start = time.perf_counter()
    trained = None
    try:
        trained = train(config, Reporter())
    except OutOfReachError as error:
        source = str(error)
    else:
        source = trained.market.quality.source
    return Outcome(
        market=market,
        source=source,
        stage=None if trained is None else trained.stage,
        figures={} if trained is None else {gate.name: gate.value for gate in trained.gates},
        planted_net_profit=None if trained is None else _planted_net_profit(trained),
        stored_net_profit=None if trained is None else _net_profit(trained, trained.parameters),
        seconds=round(time.perf_counter() - start, 2),
        fingerprint=fingerprint,
    )


def _planted_net_profit(trained: TrainingResult) -> float | None:
    data = trained.config.data
    plant = data.plant if isinstance(data, SyntheticData) else None
    return None if plant is None else _net_profit(trained, plant.parameters)


def _net_profit(trained: TrainingResult, parameters: Mapping[str, Any] | None) -> float | None:
    """Net profit of one combination over the whole history."""
    if parameters is None:
        return None
    config, candles = trained.config, trained.market.candles
    space = single_point(load_strategy(config.strategy.name), parameters)
    costs, limits = config.costs.record(), config.risk.limits()
    evaluator = Evaluator(candles, space, costs, limits, choose().backend)
    metrics = evaluator.points(space.points(np.zeros(1, np.int64)), (Window(0, len(candles)),))
    return float(metrics["net_profit"][0, 0])
