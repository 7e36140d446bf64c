"""Wait for what happens, on a machine that may have other work."""

import time

#: Seconds that a test waits at most.
PATIENCE = 180.0


def until(answer):
    """Ask until there is an answer, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := answer()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)
    return found
