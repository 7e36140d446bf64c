"""Post a message to a web address, signed after Standard Webhooks.

The scheme is that of https://www.standardwebhooks.com, for which libraries exist in many languages:
the signature is HMAC-SHA256 over ``ID.TIMESTAMP.BODY``, in Base64 after ``v1,``. No redirect is
followed, and nothing of the answer but its status is kept: it may repeat the address.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from pipeline import __version__
from pipeline.errors import UserError
from pipeline.market_data.exchange.network import AS_USUAL, new_session
from pipeline.notices.quiet import quiet
from pipeline.notices.receipt import Receipt
from pipeline.results.jsonable import dumps
from pipeline.results.records import utc_now

#: Seconds that a receiver may take to be connected to, and between two bytes of its answer.
CONNECT, READ = 5.0, 10.0
#: At most so long a receiver may ask to be left alone.
LONGEST_WAIT = timedelta(hours=1)

PREFIX = "whsec_"
#: Bytes of a key, as Standard Webhooks bounds them.
FEWEST, MOST = 24, 64

#: Statuses by which a receiver asks for patience; any other of 400 to 499 refuses the message.
_LATER = (408, 425, 429)


def new_secret() -> str:
    """Return a new random secret, to be given to sender and receiver."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def key_of(secret: str) -> bytes:
    """Return the key of a secret.

    Raises
    ------
    ValueError
        When it is no Base64 of 24 to 64 bytes; the secret is not repeated.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"it is no Base64 after {PREFIX}") from None
    if not FEWEST <= len(key) <= MOST:
        raise ValueError(f"it has {len(key)} bytes, and {FEWEST} to {MOST} are allowed")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Sign a message with one key: ``v1,`` and 32 bytes in Base64."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii")


def complaint(url: str) -> str | None:
    """Say why an address cannot be posted to, without repeating it; None where it can."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "it is no address"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "it must begin with https://HOST (http://HOST for a receiver of your own network)"
    return None


@dataclass(frozen=True)
class Webhook:
    """One web address; it is signed with every key, so that a receiver can change its own."""

    name: str
    url: str = field(repr=False)
    keys: Sequence[bytes] = field(repr=False)

    def send(self, body: dict[str, Any]) -> Receipt:
        """Post a message once."""
        text, timestamp = dumps(body).encode(), int(time.time())
        signatures = (signature(key, body["id"], timestamp, text) for key in self.keys)
        headers = {
            "content-type": "application/json",
            "user-agent": f"sweep-trainer/{__version__}",
            "webhook-id": body["id"],
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signatures),
        }
        if (reason := _exposed(self.url)) is not None:
            return Receipt(reason)
        return _post(self.url, text, headers)


def _exposed(url: str) -> str | None:
    """Say why a message would travel in the clear where others may read it; None where not."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return None
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return "its name is not known"
    hosts = [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
    if all(host.is_private for host in hosts):
        return None
    return "http:// is only for this machine and private networks: give it an https:// address"


def _post(url: str, text: bytes, headers: dict[str, str]) -> Receipt:
    import requests

    try:
        with new_session(AS_USUAL) as session, quiet():
            answer = session.post(
                url,
                data=text,
                headers=headers,
                timeout=(CONNECT, READ),
                allow_redirects=False,
                stream=True,
            )
            answer.close()
    except UserError as error:  # of a proxy, or certificates, that the environment names
        return Receipt(str(error))
    except requests.RequestException as error:
        return Receipt(_reason(error))
    return _receipt(answer.status_code, answer.headers.get("retry-after"))


def _reason(error: BaseException) -> str:
    """Say what failed; what the error says itself repeats the address."""
    import requests

    said: dict[type[BaseException], str] = {
        requests.exceptions.ProxyError: "the proxy did not let it through",
        requests.exceptions.SSLError: "its certificate is not trusted, or it speaks no TLS",
        requests.exceptions.ConnectTimeout: f"it was not reached within {CONNECT:g} s",
        requests.exceptions.Timeout: f"it did not answer within {READ:g} s",
        requests.exceptions.ConnectionError: "it cannot be reached, or closed the connection",
    }
    return next(
        (words for kind, words in said.items() if isinstance(error, kind)),
        f"it could not be asked ({type(error).__name__})",
    )


def _receipt(status: int, retry_after: str | None) -> Receipt:
    if 200 <= status < 300:
        return Receipt()
    if 300 <= status < 400:
        return Receipt(f"it answered {status}: redirects are not followed", refused=True)
    said = f"it answered {status}"
    if status == 410:
        return Receipt(f"{said}: it wants this no more", refused=True, ended=True)
    refused = 400 <= status < 500 and status not in _LATER
    return Receipt(said, refused=refused, wait=_wait(retry_after))


def _wait(retry_after: str | None) -> timedelta | None:
    """Read what ``Retry-After`` asks for: seconds or a date."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdecimal():
            asked = timedelta(seconds=min(int(retry_after), LONGEST_WAIT.total_seconds()))
        else:
            asked = parsedate_to_datetime(retry_after) - utc_now()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(asked, timedelta(0)), LONGEST_WAIT)
