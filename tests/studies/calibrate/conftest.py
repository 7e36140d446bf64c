"""Invented outcomes for what only counts them, and small markets for what measures."""

import pytest

from pipeline.studies.calibrate.markets import Configurations, Market
from pipeline.studies.calibrate.measure import Outcome, measure
from support.runs import SMALL_GRID

#: Hours instead of five minutes, and few of them: a market in a moment.
QUICK = ("market.timeframe=1h", "data.days=200", "min_trades=3", *SMALL_GRID)


def _outcome(kind="synthetic", seed=0, strength=None, stage="PAPER", sharpe=0.0, **values):
    rest = {
        "source": "generated candles",
        "figures": {} if stage is None else {"sharpe_ratio": sharpe, "p_value": None},
        "planted_net_profit": None,
        "stored_net_profit": None,
        "seconds": 1.0,
        "fingerprint": "f",
    }
    return Outcome(Market(kind, seed, strength), stage=stage, **rest | values)


def _known(*outcomes):
    return {outcome.market: outcome for outcome in outcomes}


@pytest.fixture
def outcome():
    return _outcome


@pytest.fixture
def known():
    return _known


@pytest.fixture
def quick():
    return QUICK


@pytest.fixture(scope="session")
def trained():
    """Measure a market with what overrides say."""

    def trained(market, overrides):
        configurations = Configurations([market.kind], [], overrides)
        return measure(market, configurations.of(market), "f")

    return trained
