"""Composes the real configuration, as the command line does."""

import pytest

from pipeline.config import TrainConfig, load
from pipeline.errors import UserError


@pytest.fixture
def train_config():
    return lambda *overrides: load(overrides, TrainConfig, "train")


@pytest.fixture
def refusal(train_config):
    """The sentence with which these overrides are refused."""

    def refuse(*overrides):
        with pytest.raises(UserError) as caught:
            train_config(*overrides)
        return str(caught.value)

    return refuse
