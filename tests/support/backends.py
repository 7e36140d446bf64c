"""Backends by the name a test gives them, among them the CUDA kernels without a GPU.

``cuda on host`` runs the kernels' own PTX on the CPU, as a pretended device. ``cuda`` is a real
one, for tests marked gpu.
"""

from functools import cache

import pytest

from gpu_engine import choose
from gpu_engine.cuda_backend import CudaBackend
from support.host_device import HostDevice, needs_compiler

CUDA_ON_HOST = pytest.param("cuda on host", marks=needs_compiler)
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)
COMPILED = ("numpy", "numba", CUDA_ON_HOST, CUDA)
ALL = ("reference", *COMPILED)


@cache
def named(name):
    if name == "cuda on host":
        return CudaBackend([HostDevice()])
    return choose(name).backend
