"""Run every test that takes a database twice: over SQLite and over a real PostgreSQL."""

from pathlib import Path

import pytest

from pipeline.review import decisions
from pipeline.training.run import train
from support.databases import (
    empty_url,
    engine,
    example,
    example_job,
    repository,
    running_job,
    shared,
    url,
)

__all__ = [
    "empty_url",
    "engine",
    "example",
    "example_job",
    "repository",
    "running_job",
    "shared",
    "url",
]

_REPEATED = {}


@pytest.fixture
def repeated_once(monkeypatch):
    """Train once for the same configuration and candles, however often a test file verifies.

    What a training gives for a seed is always the same: tests/training/test_repeatable.py.
    """

    def repeated(config, reporter):
        path = config.data.path if config.data.source == "file" else None
        key = config.model_dump_json(), path and Path(path).read_bytes()
        if key not in _REPEATED:
            _REPEATED[key] = train(config, reporter)
        return _REPEATED[key]

    monkeypatch.setattr(decisions, "train", repeated)
