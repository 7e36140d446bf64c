"""Provide configurations as the command line composes them, and speeds that make sums easy."""

import dataclasses

import pytest

from pipeline.config import TrainConfig, load
from pipeline.estimate.probe import Speed


@pytest.fixture
def configured():
    """A configuration; the demo market unless told otherwise."""
    return lambda *overrides: load(overrides, TrainConfig, "train")


@pytest.fixture
def only():
    """A speed of 0 seconds but for what is given."""
    return lambda **given: dataclasses.replace(Speed("numba", 0.0, 0.0, 0), **given)
