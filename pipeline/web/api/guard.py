"""Hold requests to the rules of access, to a size and to a rate; give every answer safe headers."""

import logging
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import UserError
from pipeline.web.api.access import COOKIE, Security
from pipeline.web.api.problems import ENDLESS, problem

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
#: JSON is never a page: it may load nothing at all.
_API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
#: NiceGUI compiles its templates in the browser and places scripts and styles in the page.
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
    " connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)


_UNANSWERED = "No response returned."
_LOG = logging.getLogger("pipeline.web.api")


class Places:
    """Gives each address ``each`` places for what lasts: event streams and WebSockets."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, scope: Scope) -> Iterator[bool]:
        """Take a place for as long as the block runs; False where the address has no other."""
        peer = (scope.get("client") or ("",))[0]
        free = self._taken[peer] < self._each
        self._taken[peer] += free
        try:
            yield free
        finally:
            self._taken[peer] -= free
            if not self._taken[peer]:
                del self._taken[peer]


#: A page's script that sends this header with 1 is refused with status 200, and the real one in
#: ``X-Status``: a browser would write any other into its console, whatever the script does with it.
REFUSAL_IN_BODY = "x-refusal-in-body"


class Guard:
    """Asks `Security` about every request and WebSocket, and adds headers to every answer."""

    def __init__(self, app: ASGIApp, security: Security, places: Places) -> None:
        self._app, self._security, self._places = app, security, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # A WebSocket begins with a GET that changes things: it is held to the rules of a POST.
        method = scope["method"] if scope["type"] == "http" else "POST"
        refused = self._security.refusal(headers, method)
        if scope["type"] == "websocket":
            with self._places.one(scope) as free:
                if refused is None and free:
                    await self._app(scope, receive, self._adding(scope, headers, send))
                else:
                    await receive()
                    await send({"type": "websocket.close", "code": 1008})
        elif refused is None:
            await self._app(scope, receive, self._adding(scope, headers, send))
        else:
            answer = problem(*refused)
            if refused[0] == 401:
                answer.headers["WWW-Authenticate"] = 'Basic realm="API token as password"'
            await answer(scope, receive, self._adding(scope, None, send))

    def _adding(self, scope: Scope, headers: Headers | None, send: Send) -> Send:
        """Return ``send`` with headers added; ``headers`` are a request's that was let through."""
        policy = _API_POLICY if scope["path"].startswith("/api") else _PAGE_POLICY
        in_body = Headers(scope=scope).get(REFUSAL_IN_BODY) == "1"
        session = None
        if headers is not None and headers.get("authorization", "").lower().startswith("basic "):
            session = self._security.session()

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                # NiceGUI's socket would let any page read its answers.
                message["headers"] = [
                    (name, value)
                    for name, value in message.get("headers", ())
                    if not name.lower().startswith(b"access-control-")
                ]
                out = MutableHeaders(scope=message)
                if in_body and message["status"] >= 400:
                    out["X-Status"], message["status"] = str(message["status"]), 200
                for name, value in _EVERYWHERE.items():
                    out[name] = value
                out.setdefault("Content-Security-Policy", policy)
                if policy is _API_POLICY:
                    out.setdefault("Cache-Control", "no-store")
                if session is not None:
                    cookie = f"{COOKIE}={session}; HttpOnly; SameSite=Strict; Path=/"
                    out.append("Set-Cookie", cookie)
            await send(message)

        return adding


class BodyLimit:
    """Answers 413 to a body of more than ``limit`` bytes, whether its length was announced or not.

    ``larger`` has the limits of single addresses.
    Starlette has such a limit, whose refusal is plain text and passes by the headers of `Guard`.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int] | None = None) -> None:
        self._app, self._limit, self._larger = app, limit, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._limit)
        said = f"The body is too large: at most {limit:,} bytes are read."
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:18]) > limit:
            await problem(413, said)(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise HTTPException(413, said)  # where the body is read, and answered there
            return message

        await self._app(scope, counted, send)


class Departures:
    """Ends quietly what a client has left: nobody is there to be answered, and nothing failed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        left = False

        async def heard() -> Message:
            nonlocal left
            message = await receive()
            left = left or message["type"] == "http.disconnect"
            return message

        try:
            await self._app(scope, heard, send)
        except (ClientDisconnect, RuntimeError) as error:
            # Starlette's middlewares say the second where what they wrap was left unanswered.
            unanswered = isinstance(error, ClientDisconnect) or str(error) == _UNANSWERED
            if not left or not unanswered:
                raise
            _LOG.debug("a client has left %s", scope["path"])


class HeadOfGet:
    """Answers HEAD under ``/api`` with the head of a GET; not of what streams without an end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if not is_head(scope):
            await self._app(scope, receive, send)
            return

        async def headless(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, headless)


def is_head(scope: Scope) -> bool:
    """Tell whether a request is a HEAD that is answered."""
    api = scope["type"] == "http" and scope["path"].startswith("/api")
    return api and scope["method"] == "HEAD" and not scope["path"].endswith(ENDLESS)


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

    def give_back(self) -> None:
        """Count the last one no more: nothing came of it."""
        with self._lock:
            if self._passed:
                self._passed.pop()

    async def check(self) -> AsyncIterator[None]:
        """Refuse what comes too often; what is refused for another reason does not count."""
        if wait := self.wait():
            sentence = f"Too many such requests: try again in {wait} s."
            raise HTTPException(429, sentence, {"Retry-After": str(wait)})
        try:
            yield
        except (RequestValidationError, UserError):
            self.give_back()
            raise
