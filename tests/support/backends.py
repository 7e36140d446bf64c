"""Backends by the name a test gives them, among them the CUDA kernels without a GPU.

``cuda on host`` runs the kernels' own PTX on the CPU, as a pretended device. ``cuda`` is a real
one, for tests marked gpu.
"""

from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from gpu_engine import choose
from gpu_engine.cuda_backend import CudaBackend
from support.host_device import HostDevice, needs_compiler

CUDA_ON_HOST = pytest.param("cuda on host", marks=needs_compiler)
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)
#: Whoever comes first compiles for all processes of a test run.
LOCK = Path(__file__).resolve().parents[2] / ".cache" / "backend.lock"
COMPILED = ("numpy", "numba", CUDA_ON_HOST, CUDA)
ALL = ("reference", *COMPILED)


@cache
def named(name):
    if name == "cuda on host":
        return CudaBackend([HostDevice()])
    with FileLock(LOCK):
        return choose(name).backend
