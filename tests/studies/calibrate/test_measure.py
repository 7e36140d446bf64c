"""One market, measured."""

import pytest

from pipeline.studies.calibrate.measure import Outcome
from pipeline.validation.stages import awaits_surrogates
from support.parameters import DEPTH

GRID = [f"strategy.parameters.{DEPTH}.grid=[0.001]"]


@pytest.fixture(scope="module")
def planted(trained):
    short = ["validation.train=60", *GRID]
    return trained("planted", 1, short, edge=(3.0, 0.5), timeframe="5m")


def test_what_was_judged_is_kept(planted):
    figures = planted.figures
    assert figures["sample_size"] > 0
    assert figures.keys() >= {"net_profit", "sharpe_ratio", "p_value"}
    assert figures["windows"] >= 2
    assert figures["days"] == 30 * figures["windows"]
    assert ("surrogate_p" in figures) == awaits_surrogates(figures)
    assert (figures["surrogates"] > 0) == awaits_surrogates(figures)
    assert planted.source == "generated candles, seed 1"


def test_the_edge_is_as_strong_after_costs_as_asked_for(planted):
    assert planted.planted["sharpe_ratio"] == pytest.approx(3.0, abs=0.5)
    assert planted.planted["net_profit"] > 0
    assert 0 < planted.planted["p_value"] < 0.3


def test_it_survives_json(planted):
    assert Outcome.from_dict(planted.to_dict()) == planted
    assert planted.to_dict()["stage"] == planted.stage


def test_candles_that_cannot_carry_the_strength(trained, quick):
    outcome = trained("planted", 0, quick[1:], edge=(1000.0, 0.5))
    assert (outcome.stage, outcome.figures, outcome.stored_net_profit) == (None, None, None)
    assert "data.plant.sharpe=1000 is out of reach of LIQUIDITY_SWEEP_V3" in outcome.source


def test_without_costs_the_same_candles_earn_more(trained, quick):
    dear, free = (trained("garch_t", 2, quick, costs=costs) for costs in ("exchange", "none"))
    assert dear.source == free.source
    assert free.figures["net_profit"] > dear.figures["net_profit"]
