"""`CupyDevice` without a GPU: CuPy is a fake that runs the kernels on the CPU."""

import shutil
import sys

import numpy as np
import pytest

from gpu_engine import BackendUnavailableError, choose, device
from gpu_engine.cuda_backend import CudaBackend
from gpu_engine.device import CupyDevice, Options, OutOfDeviceMemoryError, cuda_problem
from support.fake_cupy import RawModule, fake_cupy
from support.host_device import needs_compiler
from support.parity import assert_agrees
from support.random_market import random_market


@pytest.fixture
def install(monkeypatch):
    """Put a fake of CuPy where ``import cupy`` finds it."""

    def install(**size):
        monkeypatch.setitem(sys.modules, "cupy", fake_cupy(**size))
        device._try_cuda.cache_clear()

    yield install
    device._try_cuda.cache_clear()


@needs_compiler
@pytest.mark.parametrize("numbers", [[0], [1, 0]])
@pytest.mark.parametrize("memory", [1 << 40, 20_000])
def test_a_random_market_trades_as_the_reference(install, numbers, memory):
    install(memory=memory)
    market = random_market(np.random.default_rng(8), 200, n_units=40, n_windows=9)
    assert assert_agrees(market, CudaBackend([CupyDevice(n) for n in numbers])) > 300


def test_an_edit_of_any_kernel_file_compiles_anew(install, monkeypatch, tmp_path):
    """CuPy's cache goes by a kernel's text and options, and sees no header."""
    install()
    kernels = tmp_path / "kernels"
    shutil.copytree(device.KERNELS, kernels)
    monkeypatch.setattr(device, "KERNELS", kernels)

    def options():
        CupyDevice(0)._compile("walk_units", Options(2, 1))
        return RawModule.options

    before = options()
    assert options() == before
    (kernels / "engine.cuh").write_text("// another text")
    assert options() != before


def test_a_full_device_says_how_much_was_asked_and_is_free(install):
    install(memory=1000)
    with pytest.raises(OutOfDeviceMemoryError, match="no room for 1,600 bytes; 1,000 are free"):
        CupyDevice(0).put(np.zeros(200))


@pytest.mark.parametrize("name", ["cuda", "auto"])
@pytest.mark.parametrize("numbers", [[], [2], [0, -1]])
def test_devices_that_do_not_exist_are_refused_with_those_that_do(install, name, numbers):
    install(devices=2)
    assert choose(name, [1, 0]).backend.name == "cuda"
    with pytest.raises(BackendUnavailableError) as refusal:
        choose(name, numbers)
    assert str(refusal.value) == (
        f"devices must be some of [0, 1], the GPUs of this machine; got {numbers}"
    )


@pytest.fixture
def broken_cupy(monkeypatch, tmp_path):
    """CuPy installed, and a library that it needs not."""
    text = """try:
    raise OSError("libnvrtc.so.13: cannot open shared object file")
except OSError as error:
    raise ImportError("a page of advice") from error
"""
    (tmp_path / "cupy.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    device._try_cuda.cache_clear()
    yield
    device._try_cuda.cache_clear()


@pytest.mark.usefixtures("broken_cupy")
def test_a_cupy_that_cannot_be_imported_is_no_device():
    why = "CuPy cannot be imported (libnvrtc.so.13: cannot open shared object file): reinstall the"
    assert why in choose("auto").reason
    with pytest.raises(BackendUnavailableError) as refusal:
        choose("cuda")
    assert why in str(refusal.value)


def test_a_device_that_comes_back_is_seen_and_kept(install, monkeypatch):
    install(devices=0)
    assert cuda_problem() == "the CUDA driver finds no device"
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(devices=1))
    assert cuda_problem() is None
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(devices=0))
    assert cuda_problem() is None
