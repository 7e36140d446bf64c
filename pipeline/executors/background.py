"""Call a function again and again in a thread, beside what a process is doing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from pipeline.cli.console import printable

#: Seconds before an action that raised is called again; they double up to the limit.
AGAIN_AFTER, AGAIN_AT_LEAST_EVERY = 1.0, 60.0


class Pulse:
    """How a repeated action is.

    Attributes
    ----------
    error : str or None
        What its last call raised, in words; None where it ended well.
    """

    def __init__(self) -> None:
        self.error: str | None = None
        self._ended = time.monotonic()

    def ended(self, error: str | None) -> None:
        """Write down that a call has ended."""
        self._ended, self.error = time.monotonic(), error

    @property
    def age(self) -> float:
        """Seconds since the last call ended."""
        return time.monotonic() - self._ended


@contextmanager
def repeated(action: Callable[[], float | None], first: float, name: str) -> Iterator[Pulse]:
    """Call ``action`` in a thread until the context ends.

    An action that raises is told of on standard error and called again: its thread never dies
    unseen.

    Parameters
    ----------
    action : callable
        Returns the seconds until the next call, or None when it is not to be called again.
    first : float
        Seconds before the first call.
    name : str
        What a person calls the thread.
    """
    over, pulse = Event(), Pulse()

    def loop() -> None:
        wait: float | None = first
        again = AGAIN_AFTER
        while wait is not None and not over.wait(wait):
            try:
                wait = action()
            except (Exception, SystemExit) as error:  # SystemExit: Rich, at a broken pipe
                wait, again = again, min(2 * again, AGAIN_AT_LEAST_EVERY)
                said = f"{type(error).__name__}: {error}".partition("\n")[0]  # no statement
                tell(f"The thread {name} failed ({said}). It is tried again in {wait:.0f} s.")
                pulse.ended(said)
            else:
                again = AGAIN_AFTER
                pulse.ended(None)

    thread = Thread(target=loop, name=name, daemon=True)
    thread.start()
    try:
        yield pulse
    finally:
        over.set()
        thread.join()


def tell(text: str) -> None:
    """Write a line on standard error, if anybody is left to read it."""
    with suppress(OSError, ValueError, AttributeError):  # full, gone, closed, never there
        print(printable(text), file=sys.stderr, flush=True)
