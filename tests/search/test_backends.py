"""A training where Numba does not work, as a process: it finds the same, and says what is wrong."""

import os
import shutil

import numpy as np
import pytest

from support.runs import QUICK, ROOT, SMALL_GRID, run, run_here

BROKEN_COMPILER = """
import numba.core.compiler

def fail(*arguments, **options):
    raise RuntimeError("no such target:\\n  x86 is unknown")

numba.core.compiler.compile_extra = fail
"""
ARGUMENTS = (*QUICK, *SMALL_GRID, "optimizer=grid")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run_here(tmp_path_factory.mktemp("numba"), *ARGUMENTS, "backend=numba").result


@pytest.fixture
def broken(tmp_path):
    """Environment in which the first numba on the path cannot be imported."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "numba.py").write_text(
        'raise ImportError("Numba needs NumPy 2.3 or less.\\n  Got NumPy 2.5.")'
    )
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def assert_trains_alike(folder, environment, expected, backend, *reasons):
    """``backend`` is chosen with a line that holds the reasons, and finds what is expected."""
    finished = run(folder, *ARGUMENTS, environment=environment)
    assert finished.status == 0, finished.err
    (line,) = [line for line in finished.err.splitlines() if line.startswith("backend: ")]
    assert line.startswith(f"backend: {backend} (auto: not cuda, ")
    assert all(reason in line for reason in reasons)
    result = finished.result
    assert (expected["backend"], result["backend"]) == ("numba", backend)
    assert result["parameters"] == expected["parameters"]
    for window, other in zip(result["windows"], expected["windows"], strict=True):
        np.testing.assert_allclose(window["score"], other["score"], rtol=1e-9)


def test_a_numba_that_cannot_be_imported_is_replaced_by_numpy(tmp_path, broken, expected):
    reason = "not numba, Numba cannot be imported (Numba needs NumPy 2.3 or less. Got NumPy 2.5.)"
    assert_trains_alike(tmp_path, broken, expected, "numpy", reason)


def test_a_numba_that_is_named_and_cannot_be_imported_is_refused(tmp_path, broken):
    refused = run(tmp_path, *ARGUMENTS, "backend=numba", environment=broken)
    assert refused.status == 2
    assert refused.err == (
        "backend 'numba' cannot run: Numba cannot be imported (Numba needs NumPy 2.3 or less. Got"
        " NumPy 2.5.): reinstall numba; or use backend=numpy.\n"
    )


def test_a_numba_that_cannot_compile_is_replaced_by_numpy(tmp_path, expected):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/sitecustomize.py").write_text(BROKEN_COMPILER)
    environment = {"PYTHONPATH": f"{tmp_path / 'broken'}{os.pathsep}{ROOT}"}
    environment["NUMBA_CACHE_DIR"] = str(tmp_path)  # where nothing is compiled yet
    reason = "not numba, Numba cannot compile or run (no such target: x86 is unknown)"
    assert_trains_alike(tmp_path, environment, expected, "numpy", reason)


def test_a_numba_without_its_threads_is_replaced_by_numpy(tmp_path, expected):
    """It is told to use those of a library that is not installed."""
    reason = "not numba, Numba cannot compile or run (No threading layer could be loaded."
    assert_trains_alike(tmp_path, {"NUMBA_THREADING_LAYER": "tbb"}, expected, "numpy", reason)


@pytest.fixture
def unwritable(tmp_path):
    """Environment as in a container: a package that may not be written, and no home."""
    copy = tmp_path / "installed/gpu_engine"
    shutil.copytree(ROOT / "gpu_engine", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "__pycache__").write_text("a file, since root may write to any folder")
    environment = {"PYTHONPATH": f"{copy.parent}{os.pathsep}{ROOT}", "HOME": os.devnull}
    return environment | {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": os.devnull}


ONE_KERNEL = """
import numpy as np
from gpu_engine import backend, numba_cache
from gpu_engine.numba_walk import first_at_or_after

backend.numba_problem = lambda: None  # the other kernels need not compile for this
kept = numba_cache.KEEPS, backend.choose("numba").reason == f"as asked: {backend.NOT_KEPT}"
print(numba_cache.__file__, *kept, first_at_or_after(np.array([2, 4, 6]), 3, 5))
"""


def test_where_no_folder_can_be_written_a_kernel_compiles_and_the_choice_says_so(
    tmp_path, unwritable
):
    finished = run(tmp_path, code=ONE_KERNEL, environment=unwritable)
    copy = f"{tmp_path}/installed/gpu_engine/numba_cache.py"
    assert (finished.out, finished.err) == (f"{copy} False True 2\n", "")


@pytest.mark.slow
def test_where_no_folder_can_be_written_numba_compiles_anew(tmp_path, unwritable, expected):
    assert_trains_alike(
        tmp_path, unwritable, expected, "numba", "every process compiles anew", "NUMBA_CACHE_DIR"
    )
