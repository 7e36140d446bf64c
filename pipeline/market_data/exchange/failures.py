"""What a failed request means: whether it may pass, and what a person can do about it.

ccxt sorts failures into those that may pass (`OperationFailed`) and refusals (`ExchangeError`).
Some it sorts wrongly for somebody who only reads public data, and what an exchange says in words
that ccxt does not know is a refusal to it. Looked up in ccxt 4.5.90 (`base/exchange.py`:
``httpExceptions`` and ``fetch``; ``exceptions`` of the exchanges).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pipeline.market_data.exchange.network import Network, Proxy, proxy_of

if TYPE_CHECKING:
    import requests

#: Of an exchange that does not serve who asks; Bybit's 403 also tells of too many requests, and
#: then shuts the address out for ten minutes. 407 is a proxy's.
NOT_SERVED = (403, 407, 451)

#: Answers that come again however often one asks, which ccxt takes for an exchange that is away.
#: 511 is of a network that wants a login (RFC 6585, 6).
FINAL = (400, 401, 404, 405, 410, 501, 511)

#: What exchanges call a failure of their own, in words that ccxt takes for a refusal or does not
#: know. Kraken: "EService:Timeout", "EService:Deadline elapsed", "EService: Throttled"; Bybit:
#: 10000 "Server Timeout", 10016 "Server error", 170001 "Internal error"; OKX 50061 and Bybit 10429
#: for too many requests; Bitget 40015, Gate and others "please try again later". To mistake a
#: refusal for one of these costs the time of the attempts.
PASSING = re.compile(
    r"EService:"
    r"|\btime[d ]?[ -]?out\b|\bdeadline\b|\btry(ing)? (again )?later\b|\btry again\b|\bbusy\b"
    r"|\b(internal|server|system|service|gateway)[ -]?(internal[ -])?(error|exception|abnormal)\b"
    r"|\bsystem is abnormal\b|\btemporar(il)?y\b|\b(un|not )available\b|\boverload|\bmaintenance\b"
    r"|\bthrottled\b|\btoo (many|frequent)\b|\brate limit\b|\bfrequen(cy|tly)\b",
    re.IGNORECASE,
)

#: Faults of a certificate that a clock explains: it has expired, or is not valid yet
#: (X509_V_ERR_CERT_NOT_YET_VALID and ..._HAS_EXPIRED of OpenSSL).
_DATES = (9, 10)

_ELSEWHERE = (
    "Two ways out: a proxy in a place that is served (data.proxy=socks5h://HOST:PORT, or the"
    " variable HTTPS_PROXY), or the same pair at another exchange"
    " (market=EXCHANGE:SYMBOL:TIMEFRAME)"
)
#: Of a proxy, in what http.client and PySocks say: 407, and SOCKS "not allowed by ruleset" (RFC
#: 1928, 6).
_WANTS_PASSWORD = re.compile(r"Tunnel connection failed: 407\b")
_REFUSES = re.compile(r"(?:Tunnel connection failed: (?=4)|(?=0x02: ))([^'\")]+)")


class Cause(NamedTuple):
    """Why a request failed, as a part of a sentence, and whether asking again may help."""

    reason: str
    may_pass: bool


def cause_of(error: BaseException, network: Network) -> Cause | None:
    """Tell what a failed request means; None where ccxt has sorted it well.

    Parameters
    ----------
    error : Exception
        Of ccxt or of Requests.
    network : Network
        The way that was asked.
    """
    import ccxt
    import requests

    chain = [*_chain(error)]
    # What ccxt has no better word for.
    is_unsorted = type(error) in (ccxt.ExchangeError, ccxt.ExchangeNotAvailable)
    said = str(error)
    for deeper in chain:
        if isinstance(deeper, requests.HTTPError) and deeper.response is not None:
            response = deeper.response
            known = not is_unsorted and response.status_code not in (*NOT_SERVED, 511)
            worded = type(error) is ccxt.ExchangeError
            proxy = proxy_of(network, response.url)
            return None if known else _of_status(response, said, worded, proxy)
    asked = next((e for e in chain if isinstance(e, requests.RequestException)), None)
    url = str(asked.request.url) if asked is not None and asked.request is not None else ""
    proxy = proxy_of(network, url)
    certificate = next((e for e in chain if isinstance(e, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return _of_certificate(certificate, url)
    if proxy.address is not None and (cause := _of_proxy(chain, proxy)) is not None:
        return cause
    if any(isinstance(e, ssl.SSLError | requests.exceptions.SSLError) for e in chain):
        return Cause(f"the encrypted connection broke ({_said(chain)})", True)
    return Cause(said, True) if is_unsorted and PASSING.search(said) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error to the first cause of all."""
    while error is not None:
        yield error
        wrapped = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        error = error.__cause__ or error.__context__ or wrapped


def _said(chain: list[BaseException]) -> str:
    """Return what the first cause of all says."""
    return getattr(chain[-1], "strerror", None) or str(chain[-1]) or type(chain[-1]).__name__


def _of_status(response: requests.Response, said: str, worded: bool, proxy: Proxy) -> Cause | None:
    """Tell what an HTTP status means that ccxt has no word for; ``worded``: the exchange has."""
    status, answer = response.status_code, f"{response.status_code} {response.reason}".strip()
    if status == 407:
        return _no_password(proxy)
    if status in NOT_SERVED:
        way = "" if proxy.address is None else f" through the proxy {proxy.shown}"
        also = ", or has shut it out for a while" if status == 403 else ""
        return Cause(
            f"the exchange does not serve the country or network that asks{way}{also} ({answer})."
            f" {_ELSEWHERE}. It said: {said}",
            False,
        )
    if status in FINAL and not worded:
        return Cause(
            f"it answers {answer}, and asking again would change nothing: the network or a proxy"
            " answers in place of the exchange, or ccxt is too old for it (pip install --upgrade"
            f" ccxt). It said: {said}",
            False,
        )
    passes = status in (408, 425, 429) or status >= 500 or (worded and PASSING.search(said))
    return Cause(said, True) if passes else None


def _of_certificate(error: ssl.SSLCertVerificationError, url: str) -> Cause:
    """Tell what is wrong with a certificate."""
    fault = (
        f"the certificate of {urlsplit(url).hostname} is not accepted"
        f" ({error.verify_message.rstrip('.')})"
    )
    if error.verify_code in _DATES:
        return Cause(f"{fault}. Check the clock of this machine", False)
    return Cause(
        f"{fault}. Where a proxy or a company signs the connections, name its authorities:"
        " data.ca=FILE.pem, or the variable SSL_CERT_FILE",
        False,
    )


def _no_password(proxy: Proxy) -> Cause:
    return Cause(
        f"the proxy {proxy.shown} asks for a password, or refuses the one given: write"
        " USER:PASSWORD@ in front of its host",
        False,
    )


def _of_proxy(chain: list[BaseException], proxy: Proxy) -> Cause | None:
    """Tell what a proxy did; None where the failure is not the proxy's."""
    from requests import exceptions

    words = " ".join(str(error) for error in chain)
    # PySocks is no import of this file: Python may lack it.
    socks = [type(error).__name__ for error in chain if type(error).__module__ == "socks"]
    if any(isinstance(error, exceptions.InvalidSchema) for error in chain):
        return Cause(
            f"the proxy {proxy.shown} needs the package PySocks, which this Python lacks:"
            " pip install pysocks",
            False,
        )
    if _WANTS_PASSWORD.search(words) or any(name.endswith("AuthError") for name in socks):
        return _no_password(proxy)
    if refusal := _REFUSES.search(words):
        return Cause(
            f"the proxy {proxy.shown} refuses to connect to the exchange ({refusal[1].strip()}):"
            " choose another proxy",
            False,
        )
    if not socks and not any(isinstance(error, exceptions.ProxyError) for error in chain):
        return None
    return Cause(
        f"the proxy {proxy.shown} gives no connection ({_said(chain)}): check its address, and that"
        " it runs; data.proxy=direct goes without one",
        True,
    )
