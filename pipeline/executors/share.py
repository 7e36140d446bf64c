"""Divide a machine among processes: its cores, its linear algebra threads, its GPUs."""

import os
from collections.abc import Sequence
from pathlib import Path

#: Cores of this process where somebody divided the machine; Numba's own name, so that it obeys too.
CORES = "NUMBA_NUM_THREADS"

#: Threads of linear algebra and OpenMP; read once, when the libraries are loaded.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

#: The GPUs that CUDA shows a process, by number or UUID.
GPUS = "CUDA_VISIBLE_DEVICES"


def cores() -> int:
    """Cores this process may take: its share of an executor, or all it is allowed to run on."""
    share = os.environ.get(CORES, "")
    return int(share) if share.isdecimal() and int(share) else allowed_cores()


def gpus() -> tuple[str, ...]:
    """GPUs this process may take, as `GPUS` names them; none where CUDA has no device files.

    No library is asked: that would start a driver in a process that only hands out work.
    """
    visible = os.environ.get(GPUS)
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip())
    return tuple(str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*")))


def environment(n_cores: int, gpus: Sequence[str] | None) -> dict[str, str]:
    """Return the variables that hold a process to ``n_cores``, and to ``gpus`` unless None."""
    threads = dict.fromkeys((CORES, *THREADS), str(n_cores))
    return threads if gpus is None else threads | {GPUS: ",".join(gpus)}


def allowed_cores() -> int:
    """Return how many cores the system lets this process run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux: containers and task sets count
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
