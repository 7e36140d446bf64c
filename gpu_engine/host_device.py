"""The kernels on the CPU: the same text, compiled by the host's C++ compiler behind a small shim.

Slow and meant to be: threads run one after another. It lets every check of the CUDA backend but
speed run where there is no GPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpu_engine.device import (
    KERNELS,
    MAX_BLOCKS_X,
    MAX_BLOCKS_Y,
    OutOfDeviceMemoryError,
    block_size,
    definitions,
)

#: -ffp-contract=off is the host's --fmad=false; -Wpedantic refuses what only GNU C++ allows.
FLAGS = (
    *("-O2", "-shared", "-fPIC", "-std=c++17", "-ffp-contract=off"),
    *("-Wall", "-Wpedantic", "-Werror"),
)


class HostDevice:
    """A device made of the CPU (see `gpu_engine.device.Device`).

    Parameters
    ----------
    cache_dir : path
        Where compiled libraries are kept.
    memory : int
        Bytes of pretended device memory: an array that does not fit is refused.
    multiprocessors, wave : int
        What the pretended device has (see `block_size`) and holds at once.
    """

    description = "CPU, kernels compiled by the host compiler"

    def __init__(
        self, cache_dir: Path, memory: int = 1 << 40, multiprocessors: int = 1, wave: int = 1
    ) -> None:
        self.wave = wave
        self._multiprocessors = multiprocessors
        self._memory = memory
        self._library = cache(lambda n_thresholds: load_library(cache_dir, n_thresholds))

    def synchronize(self) -> None:
        """Do nothing: every launch has ended when it returns."""

    def put(self, array: NDArray[Any]) -> NDArray[Any]:
        """Copy an array, as a device would."""
        self._check(array.nbytes)
        return np.array(array, order="C", copy=True)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return memory full of rubbish, to catch who relies on zeros."""
        result = self.zeros(shape, dtype)
        result.view(np.uint8)[...] = 0xA5
        return result

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return memory set to zero."""
        self._check(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.zeros(shape, dtype)

    def get(self, array: NDArray[Any]) -> NDArray[Any]:
        """Copy an array back."""
        return array.copy()

    def address(self, array: NDArray[Any]) -> int:
        """Return where an array begins."""
        return array.ctypes.data

    def free_bytes(self) -> int:
        """Return the pretended memory."""
        return self._memory

    def launch(
        self, kernel: str, n_thresholds: int, threads: tuple[int, int], arguments: tuple[Any, ...]
    ) -> None:
        """Run a kernel over as many whole blocks as cover ``threads``; no more than CUDA would."""
        size = block_size(threads, self._multiprocessors)
        blocks = -(-threads[0] // size)
        if not (0 < blocks <= MAX_BLOCKS_X and 0 < threads[1] <= MAX_BLOCKS_Y):
            raise ValueError(f"CUDA launches no {blocks:,} x {threads[1]:,} blocks")
        held = [_by_value(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(held))(*(value.ctypes.data for value in held))
        function = getattr(self._library(n_thresholds), f"host_{kernel}")
        sizes = (ctypes.c_longlong(blocks), ctypes.c_longlong(threads[1]))
        function(*sizes, ctypes.c_longlong(size), pointers)

    def _check(self, size: int) -> None:
        if size > self._memory:
            raise OutOfDeviceMemoryError(
                f"the device has no room for {size:,} bytes; {self._memory:,} are free"
            )


def compiler() -> str | None:
    """Return the host's C++ compiler, or None."""
    return next((c for c in ("g++", "clang++", "c++") if shutil.which(c)), None)


def load_library(cache_dir: Path, n_thresholds: int) -> ctypes.CDLL:
    """Compile the kernels for the host, once for each text of theirs.

    Raises
    ------
    RuntimeError
        When there is no compiler, or it refuses.
    """
    options = (*FLAGS, *definitions(n_thresholds))
    digest = hashlib.sha256(" ".join(options).encode())
    library = cache_dir / f"kernels-{digest.hexdigest()[:16]}.so"
    if not library.exists():
        found = compiler()
        if found is None:
            raise RuntimeError("no C++ compiler: install g++ or clang++")
        cache_dir.mkdir(parents=True, exist_ok=True)
        draft = library.with_suffix(f".{os.getpid()}")
        command = [found, *options, str(KERNELS / "host.cpp"), "-o", str(draft)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"{found} refused the kernels:\n{run.stderr}")
        draft.replace(library)
    return ctypes.CDLL(str(library))


def _by_value(argument: Any) -> NDArray[Any]:
    """Return what the kernel finds behind its pointer: a value, or an array's address."""
    if isinstance(argument, np.ndarray) and argument.ndim:
        return np.array(argument.ctypes.data, np.uint64)
    return np.asarray(argument)
