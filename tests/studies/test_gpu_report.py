"""The report that needs a GPU, on the pretended one: the same steps, a small grid."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.studies.bench import gpu
from pipeline.studies.bench.pack import pack
from support.backends import named
from support.host_device import needs_compiler
from support.parameters import DEPTH, VOLUME


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


@needs_compiler
def test_every_figure_is_measured(packed):
    small = {DEPTH: 1, VOLUME: 2}
    grid = gpu.finer(gpu.read_grid(packed), small)
    report = gpu.measure(gpu.read_candles(packed), named("cuda on host"), grid, small, (small,))
    assert (report["combinations"], report["fine_combinations"]) == (8400, 8400)
    assert report["bars"] == 20 * 96
    for name in ("resident_s", "end_to_end_s", "events_s", "fine_s"):
        assert report[name] > 0
    (row,) = report["against_numba"]
    assert row["ratio"] == row["numba_s"] / row["cuda_s"]


def test_the_grids_have_the_sizes_that_the_docs_name(packed):
    grid = gpu.read_grid(packed)
    grids = (gpu.finer(grid, steps) for steps in ({}, gpu.FINE, *gpu.COMPARED))
    sizes = [math.prod(len(values) for values in grid.values()) for grid in grids]
    assert sizes == [201_600, 1_003_520_000, 840, 100_800, 9_945_600]


def test_candles_travel_as_npz(packed, raw):
    expected, _ = make_regular(raw, "15m", "generated")
    assert gpu.read_candles(packed).sha256 == expected.sha256


def test_a_gpu_host_needs_numpy_alone():
    code = "import json, sys, pipeline.studies.bench.gpu; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"hydra", "omegaconf", "pydantic", "pandas", "pyarrow", "scipy", "sqlalchemy", "rich"}
    assert heavy & set(json.loads(done.stdout)) == set()
