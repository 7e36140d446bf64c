"""The probe is timed, not looked up, and it times what the configuration names."""

import numpy as np
import pytest

from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.estimate.estimate import estimate
from pipeline.estimate.probe import grid_of, measure_speed, thin
from support.parameters import DEPTH, STOP


@pytest.fixture(scope="module")
def speed():
    return measure_speed(load(["market=demo", "backend=numba"], TrainConfig, "train"))


def test_all_that_a_run_will_use_is_above_0(speed):
    assert speed.backend == "numba"
    assert min(speed.table, speed.search, speed.resident) > 0


def test_the_backend_of_the_configuration_is_timed(configured):
    assert measure_speed(configured("market=demo", "backend=numpy")).backend == "numpy"


def test_an_estimate_is_the_same_for_the_same_speed(configured, only):
    config, speed = configured("market=demo_null"), only(table=1.0, search=2.0, resident=3)
    assert estimate(config, speed) == estimate(config, speed)


def test_a_strategy_without_its_parameter_is_refused(configured):
    with pytest.raises(UserError, match="missing: pierce_depth,"):
        measure_speed(configured("market=demo_null", f"~strategy.parameters.{DEPTH}"))


def test_a_grid_too_large_to_hold_is_timed_too(configured):
    fine = ",".join(str(k / 1000) for k in range(1, 4000))
    config = configured("market=demo", f"strategy.parameters.{STOP}.grid=[{fine}]")
    assert measure_speed(config).search > 0


def test_a_thinned_grid_keeps_values_of_the_grid_and_every_other_axis(configured):
    whole = grid_of(configured("market=demo_null"))
    structural = whole.of_kind("structural")
    few = thin(whole, structural, 4, np.random.default_rng(1))
    assert np.prod([few.shape[i] for i in structural]) <= 4
    for i, (kept, all_of_it) in enumerate(zip(few.dimensions, whole.dimensions, strict=True)):
        assert set(kept.choices) <= set(all_of_it.choices)
        assert i in structural or len(kept.choices) == len(all_of_it.choices)
