"""No body is read beyond so many bytes, whether its length was announced or not.

Starlette has such a limit, whose refusal is plain text and passes by the headers of
`pipeline.web.api.guard.Guard`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.web.api.problems import problem


class BodyLimit:
    """Answers 413 to a body of more than ``limit`` bytes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit
        self._said = f"The body is too large: at most {limit:,} bytes are read."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:18]) > self._limit:
            await problem(413, self._said)(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit:
                raise HTTPException(413, self._said)  # where the body is read, and answered there
            return message

        await self._app(scope, counted, send)


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
