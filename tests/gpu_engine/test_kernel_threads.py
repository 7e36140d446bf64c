"""The kernels' threads: their order changes nothing, and none touches memory that is not theirs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpu_engine import Axis, Grid, ScoreRule, Window, engine, exhaustive
from gpu_engine.cuda_backend import CudaBackend
from support.host_device import COMPILER, ORDERS, SANITIZE, TO_PTX, HostDevice, needs_compiler
from support.random_market import random_market

ROOT = Path(__file__).resolve().parents[2]
#: One launch of a kernel that stores behind the end of its array.
STRAY = """
from test_ptx_machine import result
result("st.global.u64 [%rd2+64], 1;", 8)
"""


def answers(seed, device):
    """All that a backend says of a random market, as bytes."""
    drawn = random_market(np.random.default_rng(seed), 300, n_units=40)
    grid = Grid(
        (
            Axis("threshold", np.arange(3.0), 0),
            Axis("exit", np.arange(float(len(drawn.exits)))),
            Axis("threshold", np.arange(4.0), 1),
        )
    )
    market = drawn.load(CudaBackend([device]))
    rule, window = ScoreRule("net_profit", 1), (Window(0, 300),)
    (best,) = exhaustive.summarise(market, grid, window, rule, 9, lambda n: None)
    parts = [
        engine.evaluate(market, drawn.batch, drawn.windows),
        *(engine.daily_returns(market, drawn.batch, window) for window in drawn.windows),
        exhaustive.score(market, grid, window, rule, lambda n: None),
        *(best.index, best.score, *best.pairs.values()),
    ]
    return [part.tobytes() for part in parts]


@needs_compiler
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_threads_changes_nothing(seed):
    expected = answers(seed, HostDevice(order=ORDERS[0]))
    for order in ORDERS[1:]:
        assert answers(seed, HostDevice(order=order)) == expected


@pytest.mark.skipif(len(TO_PTX) < 2, reason="nvcc and NVRTC are not both here")
def test_a_gpu_hosts_compiler_makes_the_same_of_the_kernels():
    by_nvcc, by_nvrtc = (answers(1, HostDevice(to_ptx=name)) for name in TO_PTX)
    assert by_nvcc == by_nvrtc


def checked_for_memory(*arguments):
    """Run Python with the address checker before everything else."""
    library = subprocess.run(
        [COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    environment = os.environ | {
        SANITIZE: "address",
        "LD_PRELOAD": library.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps what it likes
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]),
    }
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


@needs_compiler
@pytest.mark.slow
def test_a_stray_store_is_seen():
    run = checked_for_memory("-c", STRAY)
    assert run.returncode != 0
    assert "heap-buffer-overflow" in run.stderr


@needs_compiler
@pytest.mark.slow
def test_no_kernel_strays():
    tests = ("engine_parity", "whole_grid", "device_limits", "kernel_threads")
    paths = [f"tests/gpu_engine/test_{name}.py" for name in tests]
    options = ("-q", "-x", "-p", "no:cacheprovider", "-m", "not slow and not gpu")
    run = checked_for_memory("-m", "pytest", *options, "-k", "host or order or device", *paths)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
