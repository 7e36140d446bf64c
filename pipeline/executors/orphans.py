"""Processes of a `concurrent.futures` pool that must not outlive whoever started them.

They wait for work from a queue whose other end they hold themselves, so when their parent is killed
they would wait for ever.
"""

from __future__ import annotations

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """Have this process end as soon as its parent has, whatever ended it."""
    Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = parent_process()
    assert parent is not None, "called in a process of multiprocessing"
    parent.join()
    os._exit(0)  # the whole process: sys.exit would end this thread
