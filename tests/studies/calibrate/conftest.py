"""Invented outcomes for what only counts them, and small markets for what measures."""

import pytest

from pipeline.studies.calibrate.markets import Cell, Configurations, Edge, Market
from pipeline.studies.calibrate.measure import Outcome, measure
from support.runs import SMALL_GRID

#: Few days, and a small grid: a market in a moment, in hours.
QUICK = ("data.days=200", "min_trades=3", *SMALL_GRID)
CELL = Cell("5m", "exchange")

#: Figures that the gates put into each stage.
PASSES = {"sample_size": 200.0, "surrogate_p": 0.01, "p_value": 0.2, "beta": 0.0}
FIGURES = {
    "PAPER": {"net_profit": -0.1, "sample_size": 50.0, "p_value": 0.7},
    "DISCOVERY": PASSES | {"net_profit": 0.2, "sample_size": 40.0, "surrogate_p": 0.3},
    "VALIDATION": PASSES | {"net_profit": 0.2},
    "MATURE": PASSES | {"net_profit": 0.5, "p_value": 0.001, "reality_check_p": 0.01},
}
SHARPE = {"PAPER": 0.0, "DISCOVERY": 0.8, "VALIDATION": 1.0, "MATURE": 2.0}


def _outcome(kind="synthetic", seed=0, edge=None, stage="PAPER", cell=CELL, **values):
    """What a market of a stage might have been; ``values`` change fields or figures."""
    figures = None
    if stage is not None:
        figures = {"sharpe_ratio": SHARPE[stage], **FIGURES[stage]}
        figures |= {name: values.pop(name) for name in {*figures, "surrogate_p"} & values.keys()}
    rest = {
        "source": "generated candles",
        "planted": None,
        "stored_net_profit": None,
        "seconds": 1.0,
        "fingerprint": "f",
    }
    return Outcome(Market(kind, seed, cell, edge), figures=figures, **rest | values)


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
    """Measure a generated market of hours with what overrides say."""

    def trained(kind, seed, overrides, edge=None, costs="exchange", timeframe="1h"):
        market = Market(kind, seed, Cell(timeframe, costs), None if edge is None else Edge(*edge))
        return measure(market, Configurations([], overrides).of(market), "f")

    return trained
