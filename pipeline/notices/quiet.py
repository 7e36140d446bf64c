"""Keep addresses out of logs: urllib3 writes the path of every request into its own."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_quiet = threading.local()


@contextmanager
def quiet() -> Iterator[None]:
    """Log nothing of the requests of this thread."""
    _quiet.now = True
    try:
        yield
    finally:
        _quiet.now = False


logging.getLogger("urllib3.connectionpool").addFilter(lambda _: not getattr(_quiet, "now", False))
