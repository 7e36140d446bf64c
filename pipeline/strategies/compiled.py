"""Find the compiled kernels of the event tables, where Numba runs; NumPy gives the same without."""

import importlib
import sys
from functools import cache
from typing import Any

import numpy as np

from gpu_engine.backend import numba_problem

#: Modules of backends other than Numba's, loaded where one of them computes.
OTHERS = ("cupy", "gpu_engine.numpy_backend")


def kernels() -> Any:
    """Return `numba_kernels`, ready to run; None where Numba does not run.

    Where another backend computes and nobody asked for Numba, it is not loaded for this alone: that
    takes longer than the event tables of 30 markets.
    """
    named = numba_problem.cache_info().currsize > 0
    return _kernels() if named or not any(name in sys.modules for name in OTHERS) else None


@cache
def _kernels() -> Any:
    if numba_problem() is not None:
        return None
    numba_cache: Any = importlib.import_module("gpu_engine.numba_cache")
    module: Any = importlib.import_module("pipeline.strategies.numba_kernels")
    try:
        _call(module)
    except Exception:
        if not numba_cache.KEEPS:
            return None
        numba_cache.KEEPS = False  # what is on disk may be damaged, or the disk full
        try:
            _call(importlib.reload(module))
        except Exception:
            return None
    return module


def _call(kernels: Any) -> None:
    """Call every kernel once: compiled, or loaded compiled, they take these types only."""
    numbers, ranks, rows = np.ones(1), np.zeros(1, np.int32), np.zeros(1, np.int64)
    kernels.wilder(numbers, 0, numbers)
    kernels.sums_before(numbers, rows, 0, numbers)
    kernels.pierced(numbers, ranks, ranks, numbers, numbers, numbers, rows, numbers, rows)
