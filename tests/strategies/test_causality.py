"""A strategy that looks ahead is refused, and none that does not is."""

import pytest

from pipeline.causality import refuse_look_ahead
from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.market_data.sources import load_candles
from pipeline.search import make_space
from pipeline.strategies.registry import load_strategy, names
from support.leaks import CAUSAL, LEAKS, text

HOURS = ("market=demo_null", "market.timeframe=1h", "data.days=200")


class Own:
    """A strategy of a text, which a fresh copy runs again."""

    def __init__(self, source):
        module = {}
        exec(source, module)
        self.source, self.strategy = source, module["STRATEGY"]
        self.name, self.parameters = self.strategy.name, self.strategy.parameters

    def events(self, candles, loosest):
        return self.strategy.events(candles, loosest)

    def fresh(self):
        return Own(self.source)


@pytest.fixture(scope="module")
def candles():
    config = load(HOURS, TrainConfig, "train")
    return load_candles(config.market, config.data, lambda done: None).candles


def space_of(strategy, continuous=False):
    return make_space(strategy, {p.name: p for p in strategy.parameters}, continuous)


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_refused(leak, candles):
    with pytest.raises(UserError, match=r"MOVE (looks ahead|gives another result)"):
        refuse_look_ahead(space_of(Own(text(LEAKS[leak]))), candles)


@pytest.mark.parametrize("case", CAUSAL)
def test_what_only_looks_like_a_leak_is_not_refused(case, candles):
    refuse_look_ahead(space_of(Own(text(CAUSAL[case]))), candles)


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("name", names())
def test_none_of_our_strategies_is_refused(name, continuous, candles):
    refuse_look_ahead(space_of(load_strategy(name), continuous), candles)
