"""Compiled event tables: the bits of NumPy's, on any candles; and what happens without Numba."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import Candles, numba_cache
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.strategies import compiled
from pipeline.strategies.indicators import average_true_range
from support.coarse import coarse_candles
from support.events import STRATEGY, assert_same_events, by_numpy

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "../shared/data"
LOOSEST = {
    "pierce_depth": 0.0005,
    "rejection_candles": 5,
    "volume_spike_threshold": 1.5,
    "min_stop_density_score": 0.5,
}
SIZES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
LOOKBACKS = (20, 50, 100, 150, 200)


def tables(candles, loosest, sizes, lookbacks):
    builder = STRATEGY.events(candles, loosest)
    return [
        builder.table({"reversal_candle_size": size, "key_level_lookback": lookback})
        for size in sizes
        for lookback in lookbacks
    ]


def assert_same_bits(candles, loosest=LOOSEST, sizes=SIZES, lookbacks=LOOKBACKS):
    """Return the number of rows compared."""
    atr = average_true_range(candles)
    assert atr.tobytes() == by_numpy(average_true_range, candles).tobytes()
    ours = tables(candles, loosest, sizes, lookbacks)
    numpys = by_numpy(tables, candles, loosest, sizes, lookbacks)
    for ours_, numpys_ in zip(ours, numpys, strict=True):
        assert_same_events(ours_, numpys_)
    return sum(len(table) for table in ours)


def fine_candles(seed, n_bars, scale=100.0):
    """Prices with all their digits: sums and quotients round."""
    rng = np.random.default_rng(seed)
    close = scale * np.exp(0.005 * rng.standard_normal(n_bars).cumsum())
    opening = np.concatenate((close[:1], close[:-1])) * np.exp(1e-4 * rng.standard_normal(n_bars))
    wick = np.exp(np.abs(0.003 * rng.standard_normal((2, n_bars))))
    high, low = np.maximum(opening, close) * wick[0], np.minimum(opening, close) / wick[1]
    volume, filled = rng.lognormal(sigma=1.0, size=n_bars), np.zeros(n_bars, np.bool_)
    step = 300_000
    return Candles(step * np.arange(n_bars), opening, high, low, close, volume, filled, step)


def test_the_compiled_kernels_run_here():
    """Or the comparisons below compare NumPy with itself."""
    assert compiled.kernels() is not None


loosest = st.fixed_dictionaries(
    {
        "pierce_depth": st.sampled_from([0.0, 0.0005, 0.003]),
        "rejection_candles": st.integers(1, 12),
        "volume_spike_threshold": st.sampled_from([0.0, 0.5, 1.5]),
        "min_stop_density_score": st.just(0.5),
    }
)


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_bars=st.integers(1, 600),
    loosest=loosest,
    lookbacks=st.lists(st.integers(1, 700), min_size=1, max_size=3),
    scale=st.sampled_from([1e-6, 1.0, 3e4]),
)
def test_the_bits_of_numpy_on_fine_prices(seed, n_bars, loosest, lookbacks, scale):
    candles = fine_candles(seed, n_bars, scale)
    assert_same_bits(candles, loosest, (0.0, 0.3, 1.0), lookbacks)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_bars=st.integers(1, 600),
    loosest=loosest,
    lookbacks=st.lists(st.integers(1, 700), min_size=1, max_size=3),
)
def test_the_bits_of_numpy_on_coarse_prices(seed, n_bars, loosest, lookbacks):
    candles = coarse_candles(np.random.default_rng(seed), n_bars, hunt_share=0.2)
    assert_same_bits(candles, loosest, (0.0, 0.5, 1.0), lookbacks)


@pytest.mark.parametrize(
    ("name", "timeframe"),
    [
        ("binance_BTC-USDT_5m_2023-01_2023-12", "5m"),
        ("binance_SOL-USDT_15m_2024-01_2024-09", "15m"),
        ("kraken_BTC-USD_1h_2013-10_2023-01", "1h"),
    ],
)
def test_the_bits_of_numpy_on_real_candles(name, timeframe):
    path = SHARED / f"{name}.parquet"
    if not path.is_file():
        pytest.skip("the real candles (shared/data beside the repository) are absent")
    candles, _ = make_regular(read_file(path), timeframe, path.name)
    assert assert_same_bits(candles) > 2_000


def test_without_numba_there_are_no_kernels(monkeypatch):
    monkeypatch.setattr(compiled, "numba_problem", lambda: "it is broken")
    assert compiled._kernels.__wrapped__() is None


@pytest.mark.parametrize("other", compiled.OTHERS)
def test_beside_another_backend_numba_is_not_loaded_for_the_tables_alone(monkeypatch, other):
    asked = cache(lambda: None)
    monkeypatch.setattr(compiled, "numba_problem", asked)
    for name in compiled.OTHERS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert compiled.kernels() is not None
    monkeypatch.setitem(sys.modules, other, object())
    assert compiled.kernels() is None
    asked()
    assert compiled.kernels() is not None


DAMAGE = """
import sys
from pathlib import Path
from gpu_engine import numba_cache
from pipeline.strategies import compiled, numba_kernels

compiled.numba_problem = lambda: None  # the engine's kernels need not compile for this
line = numba_kernels.wilder.py_func.__code__.co_firstlineno
version = f"py{sys.version_info[0]}{sys.version_info[1]}"
folder = Path(numba_kernels.wilder.stats.cache_path)
folder.mkdir(parents=True, exist_ok=True)
name = f"numba_kernels.wilder_{numba_cache.digest()}-{line}.{version}.nbi"
(folder / name).write_bytes(b"")
print(compiled._kernels() is not None, numba_cache.KEEPS)
"""


def test_a_damaged_cache_is_compiled_around(tmp_path):
    """As `gpu_engine.numba_backend` does; in a process of its own, since it compiles anew."""
    run = subprocess.run(
        [sys.executable, "-c", DAMAGE],
        cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "True False\n", run.stderr


def test_kernels_that_cannot_be_compiled_are_done_without(monkeypatch):
    def fail(kernels):
        raise RuntimeError("no such target")

    monkeypatch.setattr(compiled, "_call", fail)
    monkeypatch.setattr(numba_cache, "KEEPS", False)
    assert compiled._kernels.__wrapped__() is None
