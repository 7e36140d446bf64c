"""A GPU host has NumPy, Numba, CuPy and pytest alone; its tests are collected there too."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = "import sys; sys.modules['hypothesis'] = None; import pytest; sys.exit(pytest.main())"
OPTIONS = "-p no:cacheprovider --collect-only -q -m gpu tests/gpu_engine"


def test_random_markets_and_whole_grids_are_checked_without_hypothesis():
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": OPTIONS}
    collected = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for test in ("parity.py::test_short_histories[0-cuda]", "whole_grid.py::test_summaries"):
        assert test in collected
