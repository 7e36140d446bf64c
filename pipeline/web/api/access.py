"""Decide who may use the server by host, origin and token, before a request is looked at.

The server listens on loopback, where any page that the user's browser has open can reach it. Three
checks keep such a page out: the Host header must name loopback (against DNS rebinding), an Origin
header must name this server (against forged requests and WebSockets), and no CORS header is ever
sent. Elsewhere than on loopback every request must bring the token as well: as ``Authorization:
Bearer TOKEN``, or as the password of the browser's own question, after which a cookie stands for
it, because browsers send no such header with a WebSocket.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from starlette.datastructures import Headers

#: A token shorter than this can be guessed.
TOKEN_LENGTH = 16
COOKIE = "pipeline_session"

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+))(?::[0-9]{0,5})?")


@dataclass(frozen=True)
class Security:
    """Rules of access: which requests a server lets through.

    Attributes
    ----------
    host : str
        The address that it listens on.
    token : str or None
        What every request must bring; None: nothing. Never shown, not even by ``repr``.
    """

    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < TOKEN_LENGTH:
            raise UserError(
                f"The API token must have at least {TOKEN_LENGTH} characters; the one given has"
                f" {len(self.token)}. Make one: python -c 'import secrets;"
                " print(secrets.token_urlsafe(32))'"
            )
        if not self.loopback and self.token is None:
            raise UserError(
                f"host={self.host} lets other machines in, which needs an API token: put one in the"
                " environment variable API_TOKEN or in a file (token_file=FILE), or leave"
                " host=127.0.0.1."
            )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return _is_loopback(self.host)

    def refusal(self, headers: Headers, method: str) -> tuple[int, str] | None:
        """Return status and sentence where a request is refused; None lets it through."""
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if self.loopback and not _is_loopback(_without_port(host)):
            return 421, "This server answers to 127.0.0.1 and localhost only."
        origin = headers.get("origin")
        if origin is not None and method not in ("GET", "HEAD") and not _same(origin, host):
            return 403, "Requests from pages of other servers are refused."
        if self.token is not None and not self._has_token(headers):
            return 401, "The API token is missing or wrong: send it as Authorization: Bearer TOKEN."
        return None

    def session(self) -> str | None:
        """Return what the cookie holds once the token was shown: it proves it and hides it."""
        if self.token is None:
            return None
        return hmac.new(self.token.encode(), b"studio session", hashlib.sha256).hexdigest()

    def _has_token(self, headers: Headers) -> bool:
        assert self.token is not None, "called only where there is one"
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _equal(credentials.strip(), self.token)
        if scheme.lower() == "basic":
            return _equal(_password(credentials), self.token)
        return _equal(_cookie(headers.get("cookie", "")), self.session() or "")


def _equal(claim: str, secret: str) -> bool:
    """Compare in a time that tells nothing of the secret (and nothing of its length either)."""
    digests = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (claim, secret))
    return hmac.compare_digest(*digests)


def _password(credentials: str) -> str:
    try:
        pair = base64.b64decode(credentials, validate=True).decode("utf-8", "replace")
        return pair.partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _cookie(header: str) -> str:
    try:
        cookie = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie is not None else ""


def _without_port(host: str) -> str:
    """``[::1]:8080`` to ``::1``, ``localhost:8080`` to ``localhost``; else nothing."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]) if match else ""


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _same(origin: str, host: str) -> bool:
    """Whether an Origin header names the server that the Host header names."""
    return origin.partition("://")[2].lower() == host.lower() != ""
