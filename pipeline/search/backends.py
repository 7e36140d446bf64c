"""The backend a command runs on, and the backends it compares with one another."""

from collections.abc import Sequence

from gpu_engine import Backend, BackendUnavailableError, Choice
from gpu_engine import backend as backends
from pipeline.config import BackendConfig
from pipeline.errors import Note, UserError, suggestion
from pipeline.executors.share import cores

#: Those that need no device, from the definition of correct to the fastest.
CPU_BACKENDS = ("reference", "numpy", "numba")


def named_backend(name: str) -> Backend:
    """Return the backend called ``name``; errors as in `named_choice`."""
    return named_choice(name).backend


def named_choice(
    name: str, devices: Sequence[int] | None = None, combinations: int | None = None
) -> Choice:
    """Return the backend called ``name`` and why it is the one (`gpu_engine.backend.choose`).

    Raises
    ------
    UserError
        If it is unknown or cannot run here; it says what would make it run.
    """
    try:
        return backends.choose(name, devices, combinations)
    except BackendUnavailableError as error:
        near = "" if name in backends.NAMES else suggestion(name, backends.NAMES)
        raise UserError(f"{error}.{near}") from None


def chosen_backend(config: BackendConfig, note: Note, combinations: int | None = None) -> Backend:
    """Return the backend that the configuration asks for, with its threads, and note why."""
    backend, reason = named_choice(config.name, config.devices, combinations)
    if not backends.set_threads(backend, config.threads) and config.threads is not None:
        note(f"backend.threads is for numba; {backend.name} ignores it")
    note(f"backend: {backend.name} ({reason})")
    return backend


def workers(backend: str, threads: int | None) -> int:
    """Count the processes of one thread that share the machine; a GPU is fed by one."""
    return 1 if backend == "cuda" else threads or cores()


def cpu_backends() -> list[Backend]:
    """Return every CPU backend that can run here."""
    usable = []
    for name in CPU_BACKENDS:
        try:
            usable.append(backends.choose(name).backend)
        except BackendUnavailableError:
            continue
    return usable
