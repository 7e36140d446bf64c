"""An edge that is there is found, one that is not is not: on generated years, as a user trains."""

import json

import pytest

from pipeline.calibrate import main, train_year

#: A grid that holds the planted combination, and takes no time.
QUICK = (
    "strategy.parameters.pierce_depth.grid=[0.001,0.002]",
    "strategy.parameters.volume_spike_threshold.grid=[2.0,3.0]",
    "strategy.parameters.reversal_candle_size.grid=[1.0]",
    "strategy.parameters.key_level_lookback.grid=[100]",
)
FOUND = {"VALIDATION", "MATURE"}


def test_a_year_of_each_kind(capsys):
    main(["--planted", "1", "--null", "1", "--json", *QUICK])
    found = json.loads(capsys.readouterr().out)
    (planted,), (null,) = found["planted"], found["null"]
    assert planted["stage"] in FOUND
    assert planted["stored_net_profit"] >= planted["planted_net_profit"] / 2 > 0
    assert null["planted_net_profit"] is None
    assert null["stage"] not in FOUND


@pytest.mark.slow
def test_the_plant_is_found():
    years = [train_year(["market=demo"], seed) for seed in range(10)]
    found = [
        year.stage in FOUND and year.stored_net_profit >= year.planted_net_profit / 2
        for year in years
    ]
    assert sum(found) >= 8


@pytest.mark.slow
def test_the_null_is_not():
    stages = [train_year(["market=demo_null"], seed).stage for seed in range(40)]
    assert sum(stage in FOUND for stage in stages) <= 4
