"""Composes the real configuration, as the command line does."""

import pytest

from pipeline.config import TrainConfig, load


@pytest.fixture
def train_config():
    return lambda *overrides: load(overrides, TrainConfig, "train")
