"""Which backend runs, the reason it gives, and what a refusal says."""

import importlib.util

import pytest

from gpu_engine import backend
from gpu_engine.backend import BackendUnavailableError, choose
from gpu_engine.cuda_backend import CudaBackend
from gpu_engine.device import block_size


class SomeDevice:
    description = "some device"


@pytest.fixture
def without_numba(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "numba" else find(name)
    )


@pytest.fixture
def no_device(monkeypatch):
    monkeypatch.setattr(backend, "cuda_problem", lambda: "none here")


@pytest.mark.parametrize("name", ["reference", "numpy", "numba"])
def test_a_named_backend_is_the_one(name):
    choice = choose(name)
    assert choice.backend.name == name
    assert choice.reason == "as asked"


def test_auto_compiles_where_there_is_no_device(no_device):
    choice = choose()
    assert (choice.backend.name, choice.reason) == (
        "numba",
        "auto: compiled, all cores; no GPU, none here",
    )


@pytest.mark.usefixtures("without_numba")
def test_auto_falls_back_and_says_why(no_device):
    choice = choose("auto")
    assert (choice.backend.name, choice.reason) == (
        "numpy",
        "auto: Numba is not installed; no GPU, none here",
    )


@pytest.mark.usefixtures("without_numba")
def test_a_named_backend_never_falls_back():
    with pytest.raises(BackendUnavailableError, match="needs the package numba; install it or use"):
        choose("numba")


def test_auto_leaves_a_working_device_alone_below_the_crossover(monkeypatch):
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    monkeypatch.setattr(backend, "CROSSOVER", 1000)
    choice = choose("auto", None, 999)
    assert choice.backend.name == "numba"
    assert choice.reason == (
        "auto: compiled, all cores; the GPU is slower below 1,000 combinations"
    )
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
