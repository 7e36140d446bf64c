"""Choose the backend that runs, and give the reason.

``auto`` falls back and says why. A backend that is named and cannot run is an error that says what
to do. Every backend has the functions of `Backend`.
"""

import importlib
import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.cuda_backend import CudaBackend
from gpu_engine.device import CupyDevice, cuda_problem, current_device, device_count, in_one_line
from gpu_engine.records import Batch, Float, Window

NAMES = ("auto", "reference", "numpy", "numba", "cuda")

#: Combinations asked at once, below which ``auto`` stays on the CPU even where a device works: a
#: call costs a launch and some copies, whatever its size. Open: 0 until `scripts/gpu` has measured
#: it on one (docs/performance.md).
CROSSOVER = 0

#: What a user should know where Numba finds no folder for compiled code.
NOT_KEPT = (
    "every process compiles anew, since Numba cannot keep compiled code:"
    " set NUMBA_CACHE_DIR to a folder that you may write"
)


class BackendUnavailableError(Exception):
    """A backend cannot run here; the message says what would make it run."""


class Backend(Protocol):
    """The functions of a backend. ``loaded`` is whatever its ``load`` returned."""

    name: str

    def load(self, book: EventBook) -> Any:
        """Prepare a book once: outcomes, copies to the device."""
        ...

    def evaluate(
        self, loaded: Any, batch: Batch, windows: tuple[Window, ...], fields: tuple[str, ...]
    ) -> NDArray[Any]:
        """Compute `METRICS` of shape (W, len(batch)), of which only ``fields`` need be right."""
        ...

    def daily_returns(self, loaded: Any, batch: Batch, window: Window) -> Float:
        """Compute daily equity returns of shape (len(batch), D)."""
        ...

    def trades(self, loaded: Any, batch: Batch, window: Window) -> NDArray[Any]:
        """List the trades of a batch of one combination."""
        ...


class Choice(NamedTuple):
    """A backend and the reason it was taken."""

    backend: Backend
    reason: str


def choose(
    name: str = "auto", devices: Sequence[int] | None = None, combinations: int | None = None
) -> Choice:
    """Return the backend called ``name``; ``devices`` are GPU numbers, None the current one.

    ``auto`` takes the first of cuda, numba and numpy that can run. ``combinations`` asked at
    once decide whether it tries a device; None is many.

    Raises
    ------
    BackendUnavailableError
        When it is unknown, or named and cannot run here, or a device does not exist.
    """
    if name not in NAMES:
        raise BackendUnavailableError(f"backend must be one of {', '.join(NAMES)}; got '{name}'")
    if name == "auto":
        return _automatic(devices, combinations)
    problem = None
    if name == "cuda":
        problem = cuda_problem()
    elif name == "numba":
        problem = numba_problem()
    if problem is not None:
        others = "numba or numpy" if name == "cuda" else "numpy"
        raise BackendUnavailableError(
            f"backend '{name}' cannot run: {problem}; or use backend={others}"
        )
    return _choice(name, "as asked", [], devices)


def set_threads(backend: Backend, threads: int | None) -> bool:
    """Let the compiled CPU backend use ``threads`` cores, None all; False for another backend."""
    if backend.name != "numba":
        return False
    _module("numba_backend").set_threads(threads)
    return True


def array_module(backend: Backend) -> ModuleType:
    """Return the module whose arrays live where ``backend`` computes: CuPy on a GPU, else NumPy."""
    if isinstance(backend, CudaBackend) and isinstance(backend.devices[0], CupyDevice):
        return importlib.import_module("cupy")
    return np


@cache
def numba_problem() -> str | None:
    """Say what keeps Numba from running here, and what would mend it; None when it does."""
    if importlib.util.find_spec("numba") is None:
        return "Numba is not installed: install the package numba"
    try:
        numba_backend = _module("numba_backend")
    except Exception as error:  # whatever breaks as it is imported
        return f"Numba cannot be imported ({in_one_line(error)}): reinstall numba"
    try:
        numba_backend.prepare()
    except Exception as error:  # of Numba, LLVM, the linker or the threads
        variables = [n for n in os.environ if n.startswith("NUMBA_") and n != "NUMBA_CACHE_DIR"]
        remedy = f"unset {', '.join(variables)}" if variables else "reinstall numba"
        return f"Numba cannot compile or run ({in_one_line(error)}): {remedy}"
    return None


def _automatic(devices: Sequence[int] | None, combinations: int | None) -> Choice:
    """Take the first backend that can run; the reason says why not those before it."""
    if combinations is not None and combinations < CROSSOVER:
        problem: str | None = f"slower below {CROSSOVER:,} combinations at once"
    else:
        problem = cuda_problem()
    if problem is None:
        return _choice("cuda", "auto", [], devices)
    notes = [f"not cuda, {problem}"]
    problem = numba_problem()
    if problem is None:
        return _choice("numba", "auto", notes)
    return _choice("numpy", "auto", [*notes, f"not numba, {problem}"])


def _choice(
    name: str, why: str, notes: Sequence[str] = (), devices: Sequence[int] | None = None
) -> Choice:
    """Return a backend that can run; its reason ends in what else the user should know."""
    backend: Backend
    if name == "cuda":
        backend = cuda = _cuda(devices)
        notes = [*notes, cuda.devices[0].description]
    else:
        backend = _module(name if name == "reference" else f"{name}_backend")
    if name == "numba" and not _module("numba_cache").KEEPS:
        notes = [*notes, NOT_KEPT]
    return Choice(backend, ": ".join([why, "; ".join(notes)] if notes else [why]))


def _cuda(devices: Sequence[int] | None) -> CudaBackend:
    numbers, existing = [current_device()] if devices is None else list(devices), device_count()
    if not numbers or not set(numbers) <= set(range(existing)):
        raise BackendUnavailableError(
            f"devices must be some of {list(range(existing))}, the GPUs of this machine;"
            f" got {numbers}"
        )
    return CudaBackend([CupyDevice(number) for number in numbers])


def _module(name: str) -> Any:
    return importlib.import_module(f"gpu_engine.{name}")
