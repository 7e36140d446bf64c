"""Work shared among processes, by the real command: what is stored is what one process stores."""

import importlib.util
import json
from dataclasses import asdict

import pytest

from support.own_strategy import own_file
from support.runs import QUICK, SMALL_GRID, run, run_here
from support.sweeping import TINY, dump, run_sweep

#: What tells two equal runs apart.
IDENTITY = ("configuration_id", "job_id", "timings")
TIMES = ("created_at", "discovery_date")
SHORT = (*QUICK, "validation.surrogate_count=20")
GRID = (*SHORT, "optimizer=grid", *SMALL_GRID)

#: Runs a module's command, with two workers, and removes files of one's own before one starts.
WITHOUT_FILES = """
import runpy, sys
from pathlib import Path
import ray

connect = ray.init

def without_files(**options):
    for path in Path().glob("*.py"):
        path.unlink()
    return connect(num_cpus=2, **options)

ray.init = without_files
runpy.run_module({module!r}, run_name="__main__")
"""
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed"
)


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


@pytest.mark.slow
def test_processes_store_what_one_process_stores(here, alone):
    assert_same(here(*GRID, "executor=processes", "executor.workers=2"), alone)


@pytest.mark.slow
@needs_ray
def test_ray_stores_what_one_process_stores(tmp_path, alone):
    assert_same(run(tmp_path, *GRID, "executor=ray"), alone)


def own_files(folder):
    """A folder with a strategy and an objective of one's own, and the words that choose both."""
    folder.mkdir()
    score = "def score(metrics):\n    return metrics['sharpe_ratio'] * metrics['sample_size']\n"
    (folder / "steady.py").write_text(score, "utf-8")
    return f"strategy={own_file(folder).name}", "objective=steady.py"


@pytest.mark.slow
@needs_ray
@pytest.mark.parametrize("optimizer", ["grid", "bayesian"])
def test_ray_needs_no_file_of_ones_own(tmp_path, optimizer):
    words = (*own_files(tmp_path / "alone"), *QUICK, f"optimizer={optimizer}")
    alone = run(tmp_path / "alone", *words, "backend.threads=1")
    own_files(tmp_path / "shared")
    code = WITHOUT_FILES.format(module="pipeline.train")
    shared = run(tmp_path / "shared", *words, "executor=ray", code=code)
    assert_same(shared, alone)
    assert shared.jobs[0].config["strategy"]["name"] == "mine"
    assert not list(shared.folder.glob("*.py")), "workers had no file to read"


@pytest.mark.slow
@needs_ray
def test_a_sweep_on_ray_needs_no_file_of_ones_own(tmp_path):
    words = ("markets=btc_binance_1h,eth_binance_1h", "strategies=supply_shock,mine.py", *TINY)
    _, objective = own_files(tmp_path / "alone")
    assert run_sweep(tmp_path / "alone", *words, objective, "executor=local").status == 0
    own_files(tmp_path / "shared")
    code = WITHOUT_FILES.format(module="pipeline.sweep")
    shared = run(tmp_path / "shared", *words, objective, "executor=ray", code=code)
    assert shared.status == 0, shared.err
    assert dump(tmp_path / "shared") == dump(tmp_path / "alone")
    assert not list(shared.folder.glob("*.py")), "workers had no file to read"


@pytest.mark.slow
def test_bayesian_searches_store_the_same_from_one_process_and_from_many(tmp_path_factory):
    searched = (*SHORT, "optimizer=bayesian", "optimizer.trials=60", "optimizer.batch=20")
    ways = (("backend.threads=1",), ("backend.threads=3",), ("executor=processes",))
    one, *many = (run_here(tmp_path_factory.mktemp("run"), *searched, *way) for way in ways)
    for other in many:
        assert_same(other, one)


def test_random_on_a_grid_stays_in_its_process(here):
    finished = here(*QUICK, "optimizer=random", "optimizer.samples=20", "executor=processes")
    assert finished.status == 0
    assert "executor=processes splits a grid; optimizer=random runs in this process" in finished.err
