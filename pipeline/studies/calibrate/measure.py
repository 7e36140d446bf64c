"""Train one market as `pipeline.train` does, and record what came out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpu_engine import Window, choose
from pipeline.config import CcxtData, TrainConfig
from pipeline.search import Evaluator, single_point
from pipeline.studies.calibrate.markets import Cell, Edge, Market
from pipeline.training.candles import OutOfReachError, combination
from pipeline.training.run import Reporter, TrainingResult, train
from pipeline.validation.out_of_sample import judged_figures
from pipeline.validation.stages import Stage, awaits_reality_check, awaits_surrogates, judge
from pipeline.validation.statistics import sharpe_test
from pipeline.validation.windows import splits, whole_days

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class Outcome:
    """What the pipeline made of one market.

    Attributes
    ----------
    market : Market
        Which one.
    source : str
        Its candles, as their quality report names them.
    figures : dict of str to float or None; None
        Every number that was judged or stored beside: out-of-sample metrics and statistics, the
        number of windows and of surrogates drawn. None where the planted edge was out of reach of
        these candles, so that there was no such market.
    planted : dict of str to float or None; None
        Of the planted combination, net of the run's costs: ``sharpe_ratio`` and ``net_profit`` over
        the whole history, and its own ``p_value`` on the out-of-sample days.
    stored_net_profit : float or None
        Of the stored combination over the whole history, where there is one.
    seconds : float
        Processor time.
    fingerprint : str
        Of configuration, candles and code (`pipeline.training.provenance`).
    """

    market: Market
    source: str
    figures: Figures | None
    planted: Figures | None
    stored_net_profit: float | None
    seconds: float
    fingerprint: str

    @cached_property
    def stage(self) -> Stage | None:
        """Lifecycle stage that the gates of this version give the figures; None without any."""
        return None if self.figures is None else judge(self.figures)[0]

    @property
    def decided(self) -> bool:
        """Whether no figure that the gates of this version wait for was left out."""
        if self.figures is None:
            return True
        return awaited(self.figures) <= self.figures.keys()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the market's among them; the stage is for those who read the file."""
        values = asdict(self)
        market = values.pop("market")
        cell, edge = self.market.cell, self.market.edge
        market |= {"cell": cell._asdict(), "edge": None if edge is None else edge._asdict()}
        return {**market, "stage": self.stage, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """Return what `to_dict` was called on."""
        rest = dict(values)
        del rest["stage"]
        cell, edge = Cell(**rest.pop("cell")), rest.pop("edge")
        planted = None if edge is None else Edge(**edge)
        return cls(market=Market(rest.pop("kind"), rest.pop("seed"), cell, planted), **rest)


def measure(market: Market, config: TrainConfig, fingerprint: str) -> Outcome:
    """Train on ``market``."""
    start = time.process_time()
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
        figures=None if trained is None else _figures(trained),
        planted=None if trained is None else _planted(trained),
        stored_net_profit=None if trained is None else _stored_net_profit(trained),
        seconds=round(time.process_time() - start, 2),
        fingerprint=fingerprint,
    )


def awaited(figures: Figures) -> set[str]:
    """Name the figures that are computed only where the stage depends on them, and it does."""
    names = set()
    if awaits_surrogates(figures):
        names.add("surrogate_p")
    if awaits_reality_check(figures):
        names.add("reality_check_p")
    return names


def _figures(trained: TrainingResult) -> dict[str, float | None]:
    """Every finite number of the judgement; what was awaited and is undefined is None."""
    values = judged_figures(trained.validation) | trained.statistics
    surrogates: Mapping[str, int] = trained.evidence.search.get("surrogates", {})
    values |= {
        "windows": len(trained.validation.windows),
        "days": len(trained.validation.daily),
        "surrogates": sum(surrogates.values()),
    }
    known: dict[str, float | None] = {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    return known | dict.fromkeys(awaited(known) - known.keys())


def _planted(trained: TrainingResult) -> dict[str, float | None] | None:
    """How the planted combination itself did: what no search can be asked to better."""
    config, candles = trained.config, trained.market.candles
    plant = None if isinstance(config.data, CcxtData) else config.data.plant
    if plant is None:
        return None
    planted = combination(config.strategy.load(), plant.parameters)
    evaluator, point = _evaluator(trained, planted)
    whole = Window(0, len(candles))
    metrics = evaluator.points(point, (whole,))[0, 0]
    tests = [part.test for part in splits(config.validation, whole_days(candles))]
    marked = [evaluator.marked_returns(evaluator.trades(point[0], test), test) for test in tests]
    return {
        "sharpe_ratio": float(metrics["sharpe_ratio"]),
        "net_profit": float(metrics["net_profit"]),
        "p_value": sharpe_test(np.concatenate(marked)).p_value,
    }


def _stored_net_profit(trained: TrainingResult) -> float | None:
    if trained.parameters is None:
        return None
    evaluator, point = _evaluator(trained, trained.parameters)
    whole = Window(0, len(trained.market.candles))
    return float(evaluator.points(point, (whole,))["net_profit"][0, 0])


def _evaluator(trained: TrainingResult, parameters: Mapping[str, Any]) -> tuple[Evaluator, Any]:
    """Return what evaluates one combination as the run would, and its point, shape (1, P)."""
    config = trained.config
    space = single_point(config.strategy.load(), parameters)
    costs, limits = config.costs.record(), config.risk.limits()
    evaluator = Evaluator(trained.market.candles, space, costs, limits, choose().backend)
    return evaluator, space.points(np.zeros(1, np.int64))
