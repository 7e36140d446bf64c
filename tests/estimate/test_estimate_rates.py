"""Rates are measured, not looked up: all that the run will use is above 0."""

import dataclasses

import pytest

from pipeline.errors import UserError
from pipeline.estimate.estimate import estimate
from pipeline.estimate.rates import Rates, measured_rates

TPE = {"trial", "trial_growth"}


@pytest.fixture(scope="module")
def rates():
    from pipeline.config import TrainConfig, load

    return measured_rates(load(["market=demo", "backend=numba"], TrainConfig, "train"))


def test_every_rate_of_a_grid_search_was_measured(rates):
    assert rates.backend == "numba"
    # The solution for two unknowns may leave all to one of them; both at 0 is impossible.
    assert rates.combination + rates.trade > 0
    for name in ("prepare", "table", "point", "rank", "reference", "luck", "resident"):
        assert getattr(rates, name) > 0, name
    assert (rates.trial, rates.trial_growth) == (0, 0)


def test_tpe_is_measured_where_it_is_asked_for(configured):
    found = measured_rates(configured("market=demo", "optimizer=bayesian"))
    assert found.trial > 0 or found.trial_growth > 0


def test_rates_are_those_of_the_backend_that_was_asked_for(configured, rates):
    slow = measured_rates(configured("market=demo", "backend=numpy"))
    assert slow.backend == "numpy"
    assert slow.trade + slow.combination > rates.trade + rates.combination


def test_an_estimate_is_the_same_for_the_same_rates(configured):
    rates = Rates("numba", *range(1, len(dataclasses.fields(Rates))))
    config = configured("market=demo_null")
    assert estimate(config, rates) == estimate(config, rates)


def test_a_strategy_without_its_parameter_is_refused(configured):
    with pytest.raises(UserError, match="pierce_depth is missing"):
        measured_rates(configured("market=demo_null", "~strategy.parameters.pierce_depth"))


def test_a_grid_too_large_to_hold_is_measured_without_what_it_does_not_do(configured):
    fine = ",".join(str(k / 1000) for k in range(1, 4000))
    config = configured("market=demo", f"strategy.parameters.stop_distance.grid=[{fine}]")
    found = measured_rates(config)
    assert (found.rank, found.luck) == (0, 0)
    assert found.combination + found.trade > 0
