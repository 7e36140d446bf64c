"""The figures that need a GPU, on the pretended one: the same steps, a small grid."""

import json
import math
import re
import subprocess
import sys
from time import perf_counter
from types import SimpleNamespace

import numpy as np
import pytest

from gpu_engine import BackendUnavailableError, Choice, backend
from gpu_engine.cuda_backend import CudaBackend
from gpu_engine.device import KERNELS
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.studies.bench import gpu
from pipeline.studies.bench.kernel_clock import KernelClock
from pipeline.studies.bench.pack import pack, pack_golden
from support.backends import named
from support.host_device import HostDevice, needs_compiler
from support.parameters import DEPTH, REJECTION, VOLUME


@pytest.fixture(scope="module")
def raw():
    return synthetic_candles(20, "15m", seed=1)


@pytest.fixture(scope="module")
def packed(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    names = ("timestamp", "open", "high", "low", "close", "volume")
    rows = np.column_stack([getattr(raw, name) for name in names])
    source = folder / "candles.csv"
    np.savetxt(source, rows, delimiter=",", header=",".join(names), comments="", fmt="%.17g")
    pack(source, folder / "candles.npz")
    return folder / "candles.npz"


class HostEvent:
    """A moment by the host's clock: what a launch asked for is done when it returns."""

    def record(self):
        self.seconds = perf_counter()


def milliseconds(before, after):
    return 1e3 * (after.seconds - before.seconds)


SMALL = {DEPTH: 1, VOLUME: 2, REJECTION: 1}


@pytest.fixture
def bench(packed, tmp_path):
    clock = KernelClock(HostDevice(), HostEvent, milliseconds)
    grid = gpu.finer(gpu.read_grid(packed), SMALL)
    figures = gpu.Figures(tmp_path / "figures.jsonl", "step")
    return gpu.Bench(gpu.read_candles(packed), grid, CudaBackend([clock]), clock, figures)


def written(bench):
    """The figures in the file, by name; of several the last."""
    lines = (bench.figures.path).read_text().splitlines()
    return {line["figure"]: line["value"] for line in map(json.loads, lines)}


@pytest.mark.slow
@needs_compiler
def test_every_kernel_runs_once_and_agrees(bench):
    gpu.measure_kernels(bench)
    figures = written(bench)
    every = re.findall(
        r"__global__.*?(\w+)\(", "".join(p.read_text() for p in KERNELS.glob("*.cu"))
    )
    assert set(figures["kernels"]) == set(every)
    assert all(taken["launches"] >= 1 for taken in figures["kernels"].values())
    assert figures["parity"] == []
    assert figures["summaries_equal"] is True
    assert figures["daily_returns_apart"] <= 1e-12


@needs_compiler
@pytest.mark.parametrize("objectives", [2, pytest.param(7, marks=pytest.mark.slow)])
def test_the_default_grid(bench, monkeypatch, objectives):
    """Each objective has a kernel of its own, which takes a second to compile."""
    assert len(gpu.OBJECTIVES) == 7
    monkeypatch.setattr(gpu, "OBJECTIVES", gpu.OBJECTIVES[-objectives:])
    gpu.measure_default(bench)
    figures = written(bench)
    assert figures["combinations"] == 1680
    for name in ("resident_s", "end_to_end_s", "events_s"):
        assert figures[name] > 0
    assert figures["kernels"]["walk_units"]["launches"] == 1
    assert "outcomes" not in figures["kernels"]
    assert figures["kernels_end_to_end"]["outcomes"]["launches"] == 1
    assert figures["scores"]["differing"] == 0
    assert figures["compared_with"][0] == "numba"


@needs_compiler
def test_the_fine_grid(bench, monkeypatch):
    monkeypatch.setattr(gpu, "PART", 500)
    gpu.measure_billion(bench, SMALL)
    figures = written(bench)
    assert figures["combinations"] == 1680
    assert figures["first_s"] > 0
    assert figures["second_s"] > 0
    assert figures["part"] == {"combinations": 480, "equal": True}


@needs_compiler
def test_the_crossover(bench, monkeypatch):
    monkeypatch.setattr(gpu, "BATCHES", (1, 16))
    gpu.measure_crossover(bench, (SMALL,))
    figures = written(bench)
    assert figures["points"]["combinations"] == 16
    assert figures["grid"]["combinations"] == 1680
    assert figures["grid"]["ratio"] == figures["grid"]["cpu_s"] / figures["grid"]["cuda_s"]


class Wrong:
    """An evaluator whose scores are off by a millionth."""

    def __init__(self, right):
        self._right = right

    def walk(self, grid_pass, advance):
        return self._right.walk(grid_pass, advance) * (1 + 1e-6)


def test_a_score_that_differs_is_counted_and_fails(bench):
    right = bench.evaluator({}, named("numba"))
    assert not gpu.unequal_scores(bench, right, right)
    assert gpu.unequal_scores(bench, Wrong(right), right)
    assert written(bench)["scores"]["differing"] > 100
    assert written(bench)["scores"]["farthest"] == pytest.approx(1e-6)


@pytest.mark.parametrize(("apart", "wrong"), [(1e-12, False), (1e-6, True)])
def test_a_calmar_ratio_may_be_an_ulp_apart(bench, monkeypatch, apart, wrong):
    monkeypatch.setattr(gpu, "OBJECTIVES", ("calmar_ratio",))
    right = bench.evaluator({}, named("numba"))

    def walk(grid_pass, advance):
        return right.walk(grid_pass, advance) * (1 + apart)

    assert gpu.unequal_scores(bench, SimpleNamespace(walk=walk), right) is wrong


def test_where_numba_does_not_run_numpy_is_compared_with(bench, monkeypatch):
    def choose(name):
        if name == "numba":
            raise BackendUnavailableError("Numba needs NumPy 2.5 or less")
        return Choice(named(name), "")

    monkeypatch.setattr(gpu, "choose", choose)
    assert gpu.cpu_backend(bench.figures) is named("numpy")
    assert written(bench)["compared_with"] == ["numpy", "Numba needs NumPy 2.5 or less"]


@pytest.mark.parametrize("step", gpu.STEPS)
def test_without_a_device_a_sentence_and_status_2(packed, tmp_path, capsys, monkeypatch, step):
    monkeypatch.setattr(backend, "cuda_problem", lambda: "CuPy is not installed")
    assert gpu.main([str(packed), str(tmp_path), step]) == 2
    printed = capsys.readouterr()
    assert "CuPy is not installed" in printed.err
    assert list(tmp_path.iterdir()) == []


def test_the_grids_have_the_sizes_that_the_docs_name(packed):
    grid = gpu.read_grid(packed)
    grids = (gpu.finer(grid, steps) for steps in ({}, gpu.FINE, *gpu.COMPARED))
    sizes = [math.prod(len(values) for values in grid.values()) for grid in grids]
    assert sizes == [201_600, 1_003_520_000, 840, 100_800, 9_945_600]


def test_golden_files_travel_with_their_candles(packed, tmp_path):
    golden = tmp_path / "shared" / "spec" / "golden" / "v2"
    golden.mkdir(parents=True)
    (golden / "own.json").write_text('{"data": null, "cases": []}')
    (golden / "real.json").write_text('{"data": "candles.csv", "cases": []}')
    (tmp_path / "shared" / "data").symlink_to(packed.parent)
    folder = tmp_path / "golden"
    folder.mkdir()
    (folder / "of_earlier_rules.json").write_text("{}")
    pack_golden(tmp_path / "shared", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["candles.csv.npz", "real.json"]


def test_candles_travel_as_npz(packed, raw):
    expected, _ = make_regular(raw, "15m", "generated")
    assert gpu.read_candles(packed).sha256 == expected.sha256


def test_a_gpu_host_needs_numpy_alone():
    code = "import json, sys, pipeline.studies.bench.gpu; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"hydra", "omegaconf", "pydantic", "pandas", "pyarrow", "scipy", "sqlalchemy", "rich"}
    assert heavy & set(json.loads(done.stdout)) == set()
