"""Configurations as the command line composes them, and rates that make sums easy to follow."""

import dataclasses

import pytest

from pipeline.config import TrainConfig, load
from pipeline.estimate.rates import Rates

NOTHING = Rates("numba", **{f.name: 0 for f in dataclasses.fields(Rates)[1:]})


@pytest.fixture
def configured():
    """A configuration; the demo market unless told otherwise."""
    return lambda *overrides: load(overrides, TrainConfig, "train")


@pytest.fixture
def only():
    """Rates of 0 but those given."""
    return lambda **rates: dataclasses.replace(NOTHING, **rates)
