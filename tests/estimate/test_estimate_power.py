"""How many trades to expect, and what is said of them."""

import numpy as np
import pytest

from pipeline.estimate.candles import candles_at_hand
from pipeline.estimate.power import Traded, power_note, sampled_trades
from pipeline.estimate.rates import drawn, few_tables
from pipeline.search.backends import named_backend
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import make_space
from pipeline.strategies.registry import load_strategy
from pipeline.validation.windows import whole_days


def traded(typical, busy):
    return Traded(mean=0.1, admissible_share=0.5, whole_share=0.5, typical=typical, busy=busy)


@pytest.mark.parametrize(
    ("typical", "busy", "note"),
    [
        (0.4, 0.41, "about 12 trades a window, 96 in all: MATURE (more than 100) is out of reach"),
        (0.4, 0.6, "about 12 trades a window, 96 in all: MATURE (more than 100) is only for busy"
         " combinations"),
        (1.0, 1.2, "about 30 trades a window, 240 in all: enough for every stage"),
        (0.1, 0.15, "about 3 trades a window, 24 in all: more than DISCOVERY (at least 30) is only"
         " for busy combinations; MATURE (more than 100) is out of reach"),
        (0.03, 0.05, "about 1 trade a window, 7 in all: more than DISCOVERY (at least 30) is out of"
         " reach; MATURE (more than 100) is out of reach"),
    ],
)  # fmt: skip
def test_the_note_names_the_stages_that_so_many_trades_do_not_reach(typical, busy, note):
    assert power_note(traded(typical, busy), 30, 240) == note


def test_nothing_admissible_is_said():
    nothing = Traded(mean=0.01, admissible_share=0.0, whole_share=0.1, typical=0.0, busy=0.0)
    assert power_note(nothing, 30, 240).startswith("no combination sampled trades often enough")


@pytest.fixture(scope="module")
def market():
    from pipeline.config import TrainConfig, load

    config = load(["market=demo_null", "data.days=160", "min_trades=2"], TrainConfig, "train")
    space = make_space(load_strategy("liquidity_sweep"), config.strategy.parameters, False)
    return config, few_tables(space, 2, np.random.default_rng(0)), candles_at_hand(config).candles


def test_the_sample_is_counted_by_the_engine(market):
    config, space, candles = market
    backend = named_backend("numba")
    found = sampled_trades(config, space, candles, backend, (20.0, 160))
    points = drawn(space, 2000, np.random.default_rng(0))
    evaluator = Evaluator(candles, space, config.costs.record(), config.risk.limits(), backend)
    days = whole_days(candles)
    a_day = evaluator.points(points, (days.whole,))[0]["sample_size"] / days.count
    admissible = a_day[a_day >= 2 / 20]
    assert found.mean == a_day.mean()
    assert found.admissible_share == len(admissible) / len(points)
    assert found.typical == np.median(admissible) <= found.busy
    assert found.whole_share >= found.admissible_share


def test_few_tables_keep_values_of_the_grid_and_every_other_axis(market):
    config, _, _ = market
    whole = make_space(load_strategy("liquidity_sweep"), config.strategy.parameters, False)
    few = few_tables(whole, 4, np.random.default_rng(1))
    structural = whole.of_kind("structural")
    assert np.prod([few.shape[i] for i in structural]) <= 4
    for i, (kept, given) in enumerate(zip(few.dimensions, whole.dimensions, strict=True)):
        assert set(kept.choices) <= set(given.choices)
        assert i in structural or len(kept.choices) == len(given.choices)
