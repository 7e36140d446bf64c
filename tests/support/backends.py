"""Backends by the name a test gives them, among them the CUDA kernels without a GPU.

``cuda on host`` runs the kernels' own text, compiled by the host's C++ compiler, on a pretended
device. ``cuda`` is a real one, for tests marked gpu.
"""

from functools import cache
from pathlib import Path

import pytest

from gpu_engine.backend import choose
from gpu_engine.cuda_backend import CudaBackend
from gpu_engine.host_device import HostDevice, compiler

KERNEL_CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kernels"

CUDA_ON_HOST = pytest.param(
    "cuda on host",
    marks=pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the kernels"),
)
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)
COMPILED = ("numpy", "numba", CUDA_ON_HOST, CUDA)
ALL = ("reference", *COMPILED)


@cache
def named(name):
    if name == "cuda on host":
        return CudaBackend([HostDevice(KERNEL_CACHE)])
    return choose(name).backend
