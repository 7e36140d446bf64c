"""Run every test that takes a database twice: over SQLite and over a real PostgreSQL."""

from pathlib import Path

import pytest

from pipeline.review import decisions
from pipeline.training.run import train
from support.databases import (  # noqa: F401, fixtures
    empty_url,
    engine,
    example,
    example_job,
    repository,
    running_job,
    shared,
    url,
)

_REPEATED = {}


@pytest.fixture
def repeated_once(monkeypatch):
    """Train once for a configuration and its candles: test_repeatable.py says it is the same."""

    def repeated(config, reporter):
        path = config.data.path if config.data.source == "file" else None
        key = config.model_dump_json(), path and Path(path).read_bytes()
        return _REPEATED.get(key) or _REPEATED.setdefault(key, train(config, reporter))

    monkeypatch.setattr(decisions, "train", repeated)
