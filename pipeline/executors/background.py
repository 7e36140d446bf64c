"""Call a function again and again in a thread, beside what a process is doing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def repeated(action: Callable[[], float | None], first: float) -> Iterator[None]:
    """Call ``action`` in a thread until the context ends.

    Parameters
    ----------
    action : callable
        Returns the seconds until the next call, or None when it is not to be called again.
    first : float
        Seconds before the first call.
    """
    over = Event()

    def loop() -> None:
        wait: float | None = first
        while wait is not None and not over.wait(wait):
            wait = action()

    thread = Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
