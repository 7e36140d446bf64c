"""Train what several folders of tests ask about, once for each process of the test run."""

import pytest

from support.runs import QUICK, SMALL_GRID, run, run_here
from support.stored import copied, train_fading

#: With as few surrogates as can leave DISCOVERY: they take most of the time.
DEMO = ("market=demo", "optimizer=grid", "validation.surrogate_count=20", *SMALL_GRID)


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo year over a small grid, by the real command."""
    return run(tmp_path_factory.mktemp("demo"), *DEMO)


@pytest.fixture(scope="session")
def peak(tmp_path_factory):
    """A small grid ranked by the best score, on generated hours."""
    folder = tmp_path_factory.mktemp("peak")
    return run_here(folder, *QUICK, "optimizer=grid", "selection=peak", *SMALL_GRID)


@pytest.fixture(scope="session")
def fading_once(tmp_path_factory):
    """A training whose edge ends with its candles."""
    return train_fading(tmp_path_factory.mktemp("fading"))


@pytest.fixture
def fading(fading_once, tmp_path):
    """A copy of it to spoil."""
    return copied(fading_once, tmp_path / "fading")


@pytest.fixture
def here(tmp_path):
    """Run a command in this process, in an empty folder."""
    return lambda *arguments, **options: run_here(tmp_path, *arguments, **options)
