"""The default space, from the configuration that a run would use."""

import pytest

from pipeline.config import TrainConfig, load
from pipeline.search.space import make_space
from pipeline.strategies.liquidity_sweep import LiquiditySweep


@pytest.fixture(scope="session")
def default_space():
    """The space of conf/strategy/liquidity_sweep.yaml; ``True`` for its continuous ranges."""
    values = load(["market=demo"], TrainConfig, "train").strategy.parameters
    return lambda continuous=False: make_space(LiquiditySweep(), values, continuous)
