"""The small markets of `pipeline.studies.bench.many`."""

import pytest

from pipeline.config import TrainConfig, load
from pipeline.estimate.estimate import History, estimate
from pipeline.studies.bench.many import SMALL, small_markets


def test_small_markets_differ_in_the_seed_of_their_candles_alone():
    asked = small_markets(3, ["storage.url=sqlite:///small.db"])
    assert list(asked.configs) == ["small_00000", "small_00001", "small_00002"]
    seeds = [config.data.seed for config in asked.configs.values()]
    assert seeds == [0, 1, 2]
    again = load([*SMALL, "storage.url=sqlite:///small.db", "data.seed=2"], TrainConfig, "train")
    assert asked.configs["small_00002"] == again


def test_a_small_market_is_small(only):
    (config,) = small_markets(1, []).configs.values()
    found = estimate(config, only(search=1.0))
    assert (found.windows, found.evaluations) == (1, 200)
    assert found.seconds == pytest.approx(100 * History.of(config, 60).searched_days)
