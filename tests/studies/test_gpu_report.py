"""The report that needs a GPU, on the pretended one: the same steps, a small grid."""

import math

import numpy as np

from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.studies.bench import gpu
from support.backends import named
from support.host_device import needs_compiler

SMALL = {**gpu.DEFAULT_GRID, "pierce_depth": (0.001,), "volume_spike_threshold": (2.0, 3.0)}


@needs_compiler
def test_every_figure_is_measured(monkeypatch):
    candles, _ = make_regular(synthetic_candles(20, "15m", seed=1), "15m", "generated")
    monkeypatch.setattr(gpu, "DEFAULT_GRID", SMALL)
    report = gpu.measure(candles, named("cuda on host"), SMALL, (SMALL,))
    assert (report["combinations"], report["fine_combinations"]) == (8400, 8400)
    assert report["bars"] == 20 * 96
    for name in ("resident_s", "end_to_end_s", "events_s", "fine_s"):
        assert report[name] > 0
    (row,) = report["against_numba"]
    assert row["ratio"] == row["numba_s"] / row["cuda_s"]


def test_the_grids_have_the_sizes_that_the_issue_names():
    grids = (gpu.FINE_GRID, *gpu.COMPARED)
    sizes = [math.prod(len(values) for values in grid.values()) for grid in grids]
    assert sizes == [1_003_520_000, 840, 100_800, 9_945_600]


def test_candles_travel_as_npz(tmp_path):
    raw = synthetic_candles(2, "1h", seed=3)
    source, path = tmp_path / "candles.csv", tmp_path / "candles.npz"
    names = ("timestamp", "open", "high", "low", "close", "volume")
    rows = np.column_stack([getattr(raw, name) for name in names])
    np.savetxt(source, rows, delimiter=",", header=",".join(names), comments="", fmt="%.17g")
    gpu.main([str(path), "--export", str(source)])
    expected, _ = make_regular(raw, "1h", "generated")
    assert gpu.read_candles(path).sha256 == expected.sha256
