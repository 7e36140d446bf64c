"""Sample how often combinations trade on the candles at hand, and say what so many can prove."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gpu_engine.backend import Backend
from gpu_engine.records import Candles
from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.estimate.probe import drawn, thinned
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import Space
from pipeline.validation.stages import Gate, judge
from pipeline.validation.windows import whole_days
from pipeline.validation.wording import plural

#: Combinations looked at, and event tables built for them.
SAMPLE, TABLES, SEED = 2000, 35, 0
#: The busy end of the admissible: what nine of ten do not reach is called out of reach.
BUSY = 0.9

_WORDS = {">": "more than", ">=": "at least"}


@dataclass(frozen=True)
class Traded:
    """Trades a day of a sample of combinations.

    Attributes
    ----------
    admissible_share : float
        Of them that trade often enough (``min_trades``) to win a search.
    typical, busy : float
        Median and upper decile of the admissible; 0 where none is.
    """

    admissible_share: float
    typical: float
    busy: float


def sampled_trades(
    config: TrainConfig, space: Space, candles: Candles, backend: Backend, days: float
) -> Traded:
    """Evaluate a seeded sample of the grid's combinations once over all whole days.

    Admissible is what trades ``min_trades`` times in the ``days`` of a search at its rate.
    """
    rng, at_hand = np.random.default_rng(SEED), whole_days(candles)
    if not at_hand.count:
        raise UserError(f"{config.market.id}: the candles hold no whole UTC day.")
    few = thinned(space, space.of_kind("structural"), TABLES, rng)
    evaluator = Evaluator(candles, few, config.costs.record(), config.risk.limits(), backend)
    metrics = evaluator.points(drawn(few, SAMPLE, rng), (at_hand.whole,))[0]
    a_day = metrics["sample_size"] / at_hand.count
    admissible = a_day * days >= config.min_trades
    typical, busy = np.quantile(a_day[admissible], (0.5, BUSY)) if admissible.any() else (0.0, 0.0)
    return Traded(float(admissible.mean()), float(typical), float(busy))


def power_note(traded: Traded, test_days: float, all_test_days: float) -> str:
    """Say how many trades to expect, and which stages that many cannot reach."""
    if not traded.admissible_share:
        return "no combination sampled trades often enough to win a search (min_trades)"
    window, total = round(traded.typical * test_days), round(traded.typical * all_test_days)
    busy = round(traded.busy * all_test_days)
    clauses = list(_clauses(total, busy)) or ["enough for every stage"]
    return f"about {plural(window, 'trade')} a window, {total:,} in all: {'; '.join(clauses)}"


def _clauses(total: int, busy: int) -> Iterator[str]:
    """Stages that ``total`` trades do not reach, lowest first; ``busy`` trades may."""
    for gate, at_best in zip(_gates(total), _gates(busy), strict=True):
        if gate.passed:
            continue
        # Failing a gate of DISCOVERY holds a configuration there; those of MATURE lift it there.
        beyond = gate.stage if gate.stage == "MATURE" else f"more than {gate.stage}"
        outcome = "only for busy combinations" if at_best.passed else "out of reach"
        yield f"{beyond} ({_WORDS[gate.comparison]} {gate.threshold:g}) is {outcome}"


def _gates(trades: int) -> list[Gate]:
    return [gate for gate in judge({"sample_size": trades})[1] if gate.name == "sample_size"]
