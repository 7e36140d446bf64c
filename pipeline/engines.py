"""The backends that a command compares with one another."""

from __future__ import annotations

from gpu_engine import backend as backends
from gpu_engine.backend import Backend, BackendUnavailableError
from pipeline.errors import UserError, suggestion

#: Those that need no device, from the definition of correct to the fastest.
CPU_BACKENDS = ("reference", "numpy", "numba")


def named_backend(name: str) -> Backend:
    """Return the backend called ``name``.

    Raises
    ------
    UserError
        If it is unknown or cannot run here; it says what would make it run.
    """
    try:
        return backends.choose(name).backend
    except BackendUnavailableError as error:
        near = "" if name in backends.NAMES else suggestion(name, backends.NAMES)
        raise UserError(f"{error}.{near}") from None


def cpu_backends() -> list[Backend]:
    """Return every CPU backend whose packages are installed."""
    found = []
    for name in CPU_BACKENDS:
        try:
            found.append(backends.choose(name).backend)
        except BackendUnavailableError:
            continue
    return found
