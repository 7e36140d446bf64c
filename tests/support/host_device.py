"""Run the CUDA kernels on the CPU: the same text, compiled by the host's C++ compiler.

Slow and meant to be: threads run one after another. It lets every check of the CUDA backend but
speed run where there is no GPU.
"""

import ctypes
import fcntl
import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from gpu_engine.device import (
    KERNELS,
    MAX_BLOCKS_X,
    MAX_BLOCKS_Y,
    OutOfDeviceMemoryError,
    block_size,
    definitions,
)
from support import needs

#: `host.cpp` and `shim.h`, which make the kernels a library for the CPU.
HOST_SOURCES = Path(__file__).parent / "kernels"
#: Compiled libraries, by a hash of all that they are made of; test processes share them.
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kernels"
#: -ffp-contract=off is the host's --fmad=false; -Wpedantic refuses what only GNU C++ allows.
FLAGS = ["-O2", "-shared", "-fPIC", "-std=c++17", "-ffp-contract=off"]
FLAGS += ["-Wall", "-Wpedantic", "-Werror"]
COMPILER = next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), None)
needs_compiler = needs.program(COMPILER, "no C++ compiler for the kernels: install g++")


class HostDevice:
    """A device made of the CPU (see `gpu_engine.device.Device`).

    It has ``memory`` bytes, so that a larger array is refused, and ``multiprocessors`` that hold
    ``wave`` threads at once (see `block_size`).
    """

    description = "CPU, kernels compiled by the host compiler"

    def __init__(self, memory=1 << 40, multiprocessors=1, wave=1):
        self.wave = wave
        self._multiprocessors = multiprocessors
        self._memory = memory

    def synchronize(self):
        """Do nothing: every launch has ended when it returns."""

    def put(self, array):
        """Copy an array, as a device would."""
        self._check(array.nbytes)
        return np.array(array, order="C", copy=True)

    def empty(self, shape, dtype):
        """Return memory full of rubbish, to catch who relies on zeros."""
        result = self.zeros(shape, dtype)
        result.view(np.uint8)[...] = 0xA5
        return result

    def zeros(self, shape, dtype):
        """Return memory set to zero."""
        self._check(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.zeros(shape, dtype)

    def get(self, array):
        """Copy an array back."""
        return array.copy()

    def address(self, array):
        """Return where an array begins."""
        return array.ctypes.data

    def free_bytes(self):
        """Return the pretended memory."""
        return self._memory

    def launch(self, kernel, n_thresholds, threads, arguments):
        """Run a kernel over as many whole blocks as cover ``threads``; no more than CUDA would."""
        size = block_size(threads, self._multiprocessors)
        blocks = -(-threads[0] // size)
        if not (0 < blocks <= MAX_BLOCKS_X and 0 < threads[1] <= MAX_BLOCKS_Y):
            raise ValueError(f"CUDA launches no {blocks:,} x {threads[1]:,} blocks")
        values = [_by_value(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        function = getattr(library(n_thresholds), f"host_{kernel}")
        function(*(ctypes.c_longlong(n) for n in (blocks, threads[1], size)), pointers)

    def _check(self, size):
        if size > self._memory:
            raise OutOfDeviceMemoryError(
                f"the device has no room for {size:,} bytes; {self._memory:,} are free"
            )


@cache
def library(n_thresholds):
    """Compile the kernels for the host, once for each text of theirs, and load them."""
    options = [*FLAGS, *definitions(n_thresholds), f"-I{KERNELS}"]
    sources = [path.read_text("utf-8") for path in sorted(HOST_SOURCES.iterdir())]
    digest = hashlib.sha256("\n".join([*options, *sources]).encode()).hexdigest()
    path = CACHE / f"kernels-{digest[:16]}.so"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one compiles
        if not path.exists():
            draft = path.with_suffix(".draft")
            command = [COMPILER, *options, str(HOST_SOURCES / "host.cpp"), "-o", str(draft)]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            assert run.returncode == 0, f"{COMPILER} refused the kernels:\n{run.stderr}"
            draft.replace(path)
    return ctypes.CDLL(str(path))


def _by_value(argument):
    """Return what the kernel finds behind its pointer: a value, or an array's address."""
    if isinstance(argument, np.ndarray) and argument.ndim:
        return np.array(argument.ctypes.data, np.uint64)
    return np.asarray(argument)
