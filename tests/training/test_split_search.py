"""Work shared among processes, by the real command: what is stored is what one process stores."""

import importlib.util
import json
from dataclasses import asdict

import pytest

from support.runs import QUICK, SMALL_GRID, run, run_here

#: What tells two equal runs apart.
IDENTITY = ("configuration_id", "job_id", "timings")
TIMES = ("created_at", "discovery_date")
GRID = (*QUICK, "optimizer=grid", *SMALL_GRID)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process."""
    return run_here(tmp_path_factory.mktemp("alone"), *GRID)


def stored(finished):
    """The configuration in the database, less its ids and times."""
    (row,) = finished.configurations
    text = json.dumps(asdict(row), default=str).replace(row.id, "ID").replace(row.job_id, "JOB")
    return json.loads(text, object_hook=lambda o: {k: v for k, v in o.items() if k not in TIMES})


def kept(finished):
    """Every file of the artifacts."""
    (folder,) = finished.artifacts
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same(found, expected):
    assert (found.status, expected.status) == (0, 0)
    results = [{k: v for k, v in f.result.items() if k not in IDENTITY} for f in (found, expected)]
    assert results[0] == results[1]
    assert stored(found) == stored(expected)
    assert kept(found) == kept(expected)


def test_processes_store_what_one_process_stores(here, alone):
    assert_same(here(*GRID, "executor=processes", "executor.workers=2"), alone)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_ray_stores_what_one_process_stores(tmp_path, alone):
    assert_same(run(tmp_path, *GRID, "executor=ray"), alone)


def test_bayesian_searches_store_the_same_from_one_process_and_from_many(tmp_path_factory):
    searched = (*QUICK, "optimizer=bayesian", "optimizer.trials=100", "optimizer.batch=25")
    ways = (("backend.threads=1",), ("backend.threads=3",), ("executor=processes",))
    one, *many = (run_here(tmp_path_factory.mktemp("run"), *searched, *way) for way in ways)
    for other in many:
        assert_same(other, one)


def test_random_on_a_grid_stays_in_its_process(here):
    finished = here(*QUICK, "optimizer=random", "optimizer.samples=20", "executor=processes")
    assert finished.status == 0
    assert "executor=processes splits a grid; optimizer=random runs in this process" in finished.err
