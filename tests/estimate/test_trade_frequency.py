"""How many trades to expect, and what is said of them."""

import numpy as np
import pytest

from pipeline.estimate.candles import candles_at_hand
from pipeline.estimate.probe import (
    TradeFrequency,
    draw_points,
    grid_of,
    power_note,
    sample_trades,
    thin,
)
from pipeline.search.backends import named_backend
from pipeline.search.evaluator import Evaluator
from pipeline.validation.windows import whole_days

FIVE_MINUTES, HOUR = 300_000, 3_600_000


def traded(typical, busy):
    return TradeFrequency(admissible_share=0.5, active_share=0.6, typical=typical, busy=busy)


@pytest.mark.parametrize(
    ("typical", "busy", "note"),
    [
        (0.4, 0.41, "about 12 trades a window, 96 in all: MATURE (at least 101) is out of reach"),
        (0.4, 0.6, "about 12 trades a window, 96 in all: MATURE (at least 101) is only for"
         " the 10 % of combinations that trade most"),
        (1.0, 1.2, "about 30 trades a window, 240 in all: enough for every stage"),
        (0.1, 0.15, "about 3 trades a window, 24 in all: more than DISCOVERY (at least 30) is only"
         " for the 10 % of combinations that trade most; MATURE (at least 101) is out of reach"),
        (0.03, 0.05, "about 1 trade a window, 7 in all: more than DISCOVERY (at least 30) is out of"
         " reach; MATURE (at least 101) is out of reach"),
    ],
)  # fmt: skip
def test_the_note_names_the_stages_that_so_many_trades_do_not_reach(typical, busy, note):
    assert power_note(traded(typical, busy), 30, 240, FIVE_MINUTES) == note


@pytest.mark.parametrize(
    ("busy", "note"),
    [
        (0.2, "is out of reach"),
        (0.25, "is only for the 10 % of combinations that trade most"),
        (0.5, "is only for the 10 % of combinations that trade most"),
    ],
)  # fmt: skip
def test_long_candles_need_fewer_trades_for_mature(busy, note):
    """Validation rules §6.10: as many as the record needs, 50 at least."""
    said = power_note(traded(0.15, busy), 30, 240, HOUR)
    mature = "MATURE (at least 50, up to 101 as the record needs)"
    assert said == f"about 4 trades a window, 36 in all: {mature} {note}"
    enough = power_note(traded(0.3, busy), 30, 240, HOUR)
    assert enough.endswith(
        "enough for every stage; MATURE may ask for up to 101, as the record needs"
    )


def test_nothing_admissible_is_said():
    nothing = TradeFrequency(admissible_share=0.0, active_share=0.1, typical=0.0, busy=0.0)
    assert power_note(nothing, 30, 240, FIVE_MINUTES).startswith(
        "no combination sampled trades often enough"
    )


@pytest.fixture(scope="module")
def market():
    from pipeline.config import TrainConfig, load

    config = load(["market=demo_null", "data.days=160", "min_trades=2"], TrainConfig, "train")
    grid = grid_of(config)
    few = thin(grid, grid.of_kind("structural"), 2, np.random.default_rng(0))
    return config, few, candles_at_hand(config).candles


def test_the_sample_is_counted_by_the_engine(market):
    config, space, candles = market
    backend = named_backend("numba")
    found = sample_trades(config, space, candles, backend, 20.0, 160.0)
    points = draw_points(space, 2000, np.random.default_rng(0))
    evaluator = Evaluator(candles, space, config.costs.record(), config.risk.limits(), backend)
    days = whole_days(candles)
    a_day = evaluator.points(points, (days.whole,))[0]["sample_size"] / days.count
    admissible = a_day[a_day >= 2 / 20]
    assert found.admissible_share == len(admissible) / len(points)
    assert found.active_share == (a_day >= 2 / 160.0).mean()
    assert found.typical == np.median(admissible) <= found.busy
