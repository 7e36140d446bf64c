"""Which backend runs, and why: the one place that decides.

``auto`` may fall back and says why; a backend asked for by name and not available is an error
that says what to do. Every backend is a module with the functions of `Backend`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.cuda_backend import CudaBackend
from gpu_engine.device import CupyDevice, cuda_problem, current_device, device_count
from gpu_engine.records import Batch, Float, Window

NAMES = ("auto", "reference", "numpy", "numba", "cuda")

#: Combinations a search below which ``auto`` stays on the CPU even where a device works. Open: 0
#: until `scripts/gpu` has measured it on one (docs/performance.md).
CROSSOVER = 0


class BackendUnavailableError(Exception):
    """The backend asked for cannot run here; the message says what would make it run."""


class Backend(Protocol):
    """What a backend module provides. ``loaded`` is whatever its ``load`` returned."""

    name: str

    def load(self, book: EventBook) -> Any:
        """Prepare a book once: outcomes, copies to the device."""
        ...

    def evaluate(self, loaded: Any, batch: Batch, windows: tuple[Window, ...]) -> NDArray[Any]:
        """Metrics of shape (W, len(batch))."""
        ...

    def daily_returns(self, loaded: Any, batch: Batch, window: Window) -> Float:
        """Daily equity returns of shape (len(batch), D)."""
        ...

    def trades(self, loaded: Any, batch: Batch, window: Window) -> NDArray[Any]:
        """Trades of a batch of one combination."""
        ...


class Choice(NamedTuple):
    """A backend and the reason it was taken."""

    backend: Backend
    reason: str


def choose(
    name: str = "auto", devices: Sequence[int] | None = None, combinations: int | None = None
) -> Choice:
    """Return the backend called ``name``; ``devices`` are GPU numbers, None the current one.

    ``combinations`` of one search decide with ``auto`` whether a device is worth it; None is many.

    Raises
    ------
    BackendUnavailableError
        When it is unknown, or named and cannot run here, or a device does not exist.
    """
    if name not in NAMES:
        raise BackendUnavailableError(f"backend must be one of {', '.join(NAMES)}; got '{name}'")
    if name == "auto":
        return _automatic(devices, combinations)
    if name == "cuda":
        problem = cuda_problem()
        if problem is not None:
            raise BackendUnavailableError(
                f"backend 'cuda' cannot run: {problem}; or use backend=numba or numpy"
            )
        cuda = _cuda(devices)
        return Choice(cuda, f"as asked: {cuda.devices[0].description}")
    if name == "numba" and not _installed("numba"):
        raise BackendUnavailableError(
            "backend 'numba' needs the package numba; install it or use backend=numpy"
        )
    return Choice(_module("reference" if name == "reference" else f"{name}_backend"), "as asked")


def array_module(backend: Backend) -> ModuleType:
    """Return the module whose arrays live where ``backend`` computes: CuPy on a GPU, else NumPy."""
    if isinstance(backend, CudaBackend) and isinstance(backend.devices[0], CupyDevice):
        return importlib.import_module("cupy")
    return np


def _automatic(devices: Sequence[int] | None, combinations: int | None) -> Choice:
    problem = cuda_problem()
    if problem is not None:
        without = f"no GPU, {problem}"
    elif combinations is not None and combinations < CROSSOVER:
        without = f"the GPU is slower below {CROSSOVER:,} combinations"
    else:
        cuda = _cuda(devices)
        return Choice(cuda, f"auto: {cuda.devices[0].description}")
    if _installed("numba"):
        return Choice(_module("numba_backend"), f"auto: compiled, all cores; {without}")
    return Choice(_module("numpy_backend"), f"auto: Numba is not installed; {without}")


def _cuda(devices: Sequence[int] | None) -> CudaBackend:
    numbers, existing = [current_device()] if devices is None else list(devices), device_count()
    if not numbers or not set(numbers) <= set(range(existing)):
        raise BackendUnavailableError(
            f"devices must be some of {list(range(existing))}, the GPUs of this machine;"
            f" got {numbers}"
        )
    return CudaBackend([CupyDevice(number) for number in numbers])


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _module(name: str) -> Backend:
    return cast(Backend, importlib.import_module(f"gpu_engine.{name}"))
