"""The choice of a backend: which one, its reason, and the words of a refusal."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_engine import BackendUnavailableError, backend, choose, numba_cache, numba_kernels
from gpu_engine.cuda_backend import CudaBackend
from gpu_engine.device import block_size

ROOT = Path(__file__).resolve().parents[2]


class SomeDevice:
    description = "some device"


@pytest.fixture
def no_numba(monkeypatch):
    monkeypatch.setattr(backend, "numba_problem", lambda: "it is broken")


@pytest.fixture
def no_device(monkeypatch):
    monkeypatch.setattr(backend, "cuda_problem", lambda: "none here")


@pytest.mark.parametrize("name", ["reference", "numpy", "numba"])
def test_a_named_backend_is_the_one(name):
    choice = choose(name)
    assert (choice.backend.name, choice.reason) == (name, "as asked")


def test_auto_compiles_where_there_is_no_device(no_device):
    choice = choose()
    assert (choice.backend.name, choice.reason) == ("numba", "auto: not cuda, none here")


def test_auto_falls_back_and_says_why(no_device, no_numba):
    choice = choose("auto")
    assert (choice.backend.name, choice.reason) == (
        "numpy",
        "auto: not cuda, none here; not numba, it is broken",
    )


def test_a_named_backend_never_falls_back(no_numba):
    message = "backend 'numba' cannot run: it is broken; or use backend=numpy"
    with pytest.raises(BackendUnavailableError, match=message):
        choose("numba")


def test_a_numba_that_is_not_installed_is_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    problem = backend.numba_problem.__wrapped__()
    assert problem == "Numba is not installed: install the package numba"


def test_compiled_code_that_cannot_be_kept_is_said(monkeypatch):
    monkeypatch.setattr(numba_cache, "KEEPS", False)
    assert choose("numba").reason == f"as asked: {backend.NOT_KEPT}"


DAMAGE = """
import sys
from pathlib import Path
from gpu_engine import backend, numba_cache, numba_kernels

line = numba_kernels.level_of.py_func.__code__.co_firstlineno
version = f"py{sys.version_info[0]}{sys.version_info[1]}"
folder = Path(numba_kernels.level_of.stats.cache_path)
name = f"numba_kernels.level_of_{numba_cache.digest()}-{line}.{version}.nbi"
(folder / name).write_bytes(b"")
print(backend.choose("numba").reason)
"""


@pytest.mark.slow
def test_a_damaged_cache_is_compiled_around(tmp_path):
    """An index that a power cut left empty; in a process of its own, since it compiles anew."""
    run = subprocess.run(
        [sys.executable, "-c", DAMAGE],
        cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == f"as asked: {backend.NOT_KEPT}\n", run.stderr


def test_an_edit_of_any_file_of_the_engine_compiles_anew(monkeypatch, tmp_path):
    """`NO_DEVIATION` of metrics.py, say, is compiled into kernels of other files."""
    for path in (ROOT / "gpu_engine").glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(numba_cache, "__file__", str(tmp_path / "numba_cache.py"))
    before = numba_cache.digest.__wrapped__()
    assert before == numba_cache.digest()
    with (tmp_path / "metrics.py").open("a") as file:
        file.write("\nNO_DEVIATION = 1e-3\n")
    assert numba_cache.digest.__wrapped__() != before
    assert numba_kernels.level_of.py_func.__qualname__ == f"level_of_{before}"


def test_compiled_code_alone_imports_numba():
    """Any other could not be imported where Numba is broken."""
    importing = {
        path.relative_to(ROOT).as_posix()
        for package in ("gpu_engine", "pipeline")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.match(r"\s*(import|from) (numba|.*numba_(backend|cache|kernels|lanes|walk))", line)
    }
    names = ("backend", "cache", "kernels", "lanes", "walk")
    own = {f"gpu_engine/numba_{name}.py" for name in names}
    assert importing == own | {"pipeline/strategies/numba_kernels.py"}


def test_auto_leaves_a_working_device_alone_below_the_crossover(monkeypatch):
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    monkeypatch.setattr(backend, "CROSSOVER", 1000)
    choice = choose("auto", None, 999)
    assert choice.backend.name == "numba"
    assert choice.reason == "auto: not cuda, slower below 1,000 combinations at once"
    monkeypatch.setattr(backend, "_cuda", lambda devices: CudaBackend([SomeDevice()]))
    for large in (choose("auto", None, 1000), choose("auto")):
        assert (large.backend.name, large.reason) == ("cuda", "auto: some device")


@pytest.mark.parametrize(
    ("threads", "size"),
    [((132 * 128, 1), 128), ((131 * 128, 1), 64), ((33 * 128, 4), 128), ((1000, 1), 32)],
)
def test_small_work_takes_small_blocks_to_reach_every_multiprocessor(threads, size):
    assert block_size(threads, 132) == size


def test_an_unknown_name_lists_the_known():
    message = "must be one of auto, reference, numpy, numba, cuda; got 'gpu'"
    with pytest.raises(BackendUnavailableError, match=message):
        choose("gpu")


def test_cuda_without_a_device_says_what_is_missing(no_device):
    message = "'cuda' cannot run: none here; or use backend=numba or numpy"
    with pytest.raises(BackendUnavailableError, match=message):
        choose("cuda")


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_cupy_the_extra_is_named():
    with pytest.raises(BackendUnavailableError, match="install the extra cuda12 or cuda13"):
        choose("cuda")
