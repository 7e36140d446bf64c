"""Which backend runs, and why: the one place that decides.

``auto`` may fall back and says why; a backend asked for by name and not available is an error
that says what to do. Every backend is a module with the functions of `Backend`.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, NamedTuple, Protocol, cast

from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.records import Batch, Float, Window

NAMES = ("auto", "reference", "numpy", "numba", "cuda")


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


def choose(name: str = "auto") -> Choice:
    """Return the backend called ``name``.

    Raises
    ------
    BackendUnavailableError
        When it is unknown, or named and cannot run here.
    """
    if name == "auto":
        if _installed("numba"):
            return Choice(_module("numba_backend"), "auto: compiled, all cores")
        return Choice(_module("numpy_backend"), "auto: Numba is not installed")
    if name == "cuda":
        raise BackendUnavailableError(
            "backend 'cuda' is not part of this version; use backend=auto, numba or numpy"
        )
    if name not in NAMES:
        raise BackendUnavailableError(f"backend must be one of {', '.join(NAMES)}; got '{name}'")
    if name == "numba" and not _installed("numba"):
        raise BackendUnavailableError(
            "backend 'numba' needs the package numba; install it or use backend=numpy"
        )
    return Choice(_module("reference" if name == "reference" else f"{name}_backend"), "as asked")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _module(name: str) -> Backend:
    return cast(Backend, importlib.import_module(f"gpu_engine.{name}"))
