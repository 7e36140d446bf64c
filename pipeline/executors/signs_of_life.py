"""Read signs of life: what the process table says, and for how long something has not changed."""

import os
import time
from functools import cache

import psutil

#: Seconds between two beats of a process that owns something, and without a sign of life after
#: which somebody who looks again and again gives up.
BEAT_EVERY, SILENCE = 10.0, 90.0

#: Seconds that two looks count for at most. A looker that was stopped itself, whose machine was
#: suspended or whose database was away has not seen the time between them.
LONGEST_LOOK = 10.0


def started(pid: int) -> str | None:
    """Return when process ``pid`` started, in seconds after the boot; None where none lives here.

    A zombie is dead: it has ended, and only its parent has not looked yet. Both times that are
    subtracted move when the clock is set; their difference does not. So a process is taken for
    another only if it got the same id in the same hundredth of a second.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time() - psutil.boot_time():.2f}"
    except psutil.Error:
        return None


@cache
def _start_of(pid: int) -> str:
    return started(pid) or "unknown"


def own_start() -> str:
    """Return `started` of this process, which never changes."""
    return _start_of(os.getpid())


def is_stopped(pid: int) -> bool:
    """Tell whether a process lives but does nothing: SIGSTOP, Ctrl-Z."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def is_hidden(pid: int) -> bool:
    """Tell whether another user's process lives, which the process table may not show (hidepid)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


class Silence:
    """Adds up for how long a sign of life has stayed the same, as somebody sees who looks often.

    It counts in the looker's own monotonic time: a clock that is set makes nobody silent.
    """

    def __init__(self) -> None:
        self._sign: object = None
        self._looked = time.monotonic()
        self._seconds = 0.0

    def look(self, sign: object) -> float:
        """Return the seconds for which ``sign`` has been the same."""
        now = time.monotonic()
        passed = min(now - self._looked, LONGEST_LOOK) if sign == self._sign else -self._seconds
        self._sign, self._looked, self._seconds = sign, now, self._seconds + passed
        return self._seconds
