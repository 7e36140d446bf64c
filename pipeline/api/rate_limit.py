"""So many starts a minute, and no more: a loop gone wild fills neither the queue nor the disk."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from threading import Lock


class RateLimit:
    """Lets ``count`` through in any stretch of ``seconds``; ``clock`` is in seconds."""

    def __init__(
        self, count: int, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count, self._seconds, self._clock = count, seconds, clock
        self._passed: deque[float] = deque()
        self._lock = Lock()

    def wait(self) -> int:
        """Return 0 and count this one, or the whole seconds until one would be let through."""
        with self._lock:
            now = self._clock()
            while self._passed and now - self._passed[0] >= self._seconds:
                self._passed.popleft()
            if len(self._passed) < self._count:
                self._passed.append(now)
                return 0
            return max(1, math.ceil(self._passed[0] + self._seconds - now))
