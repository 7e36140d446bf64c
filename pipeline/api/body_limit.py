"""No body is read beyond so many bytes, whether its length was announced or not.

Starlette has such a limit, whose refusal is plain text and passes by the headers of
`pipeline.api.security.Guard`.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.api.problems import problem


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
