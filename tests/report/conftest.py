"""Reports of real trainings, made once for each process of the test run."""

import pytest

from support.chromium import browser
from support.reports import loaded
from support.runs import QUICK, SMALL_GRID, run_here

__all__ = ["browser"]

#: A small grid on generated hours: what it finds does not matter.
TRAINING = (
    *QUICK,
    "optimizer=grid",
    *SMALL_GRID,
    "validation.surrogate_count=20",
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A training on generated hours."""
    finished = run_here(tmp_path_factory.mktemp("report"), *TRAINING)
    assert finished.status == 0, finished.err
    return finished


@pytest.fixture(scope="session")
def report(trained):
    """What is known of it."""
    return loaded(trained.folder)
