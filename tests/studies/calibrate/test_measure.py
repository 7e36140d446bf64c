"""One market, measured."""

import pytest

from pipeline.studies.calibrate.markets import Market
from pipeline.studies.calibrate.measure import Outcome
from support.parameters import DEPTH


@pytest.fixture(scope="module")
def planted(trained):
    grid = [f"strategy.parameters.{DEPTH}.grid=[0.001]"]
    return trained(Market("planted", 1, 6.0), ["data.days=160", "validation.train=60", *grid])


def test_what_gates_judged_is_kept(planted):
    assert planted.figures["sample_size"] > 0
    assert planted.figures.keys() >= {"net_profit", "sharpe_ratio", "p_value", "reality_check_p"}
    assert planted.source == "generated candles, seed 1"


def test_the_edge_earned_where_it_was_planted(planted):
    assert planted.stored_net_profit > 0
    assert planted.planted_net_profit > 0


def test_it_survives_json(planted):
    assert Outcome.from_dict(planted.to_dict()) == planted


def test_candles_that_cannot_carry_the_strength(trained, quick):
    found = trained(Market("planted", 0, 1000.0), quick)
    assert (found.stage, found.figures, found.stored_net_profit) == (None, {}, None)
    assert "asked for 1000, the nearest is" in found.source
