"""The way to an exchange: through which proxy, and whose certificates are trusted.

`new_session` makes every HTTP session of this program that leaves the machine: that of ccxt and
that of the archives. Keys of the configuration come first, then the variables that other programs
read too. Neither ccxt's session nor this one reads ``~/.netrc``: no password goes to an exchange.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pipeline.config.data import NO_PROXY, is_proxy
from pipeline.config.data import Network as Network
from pipeline.errors import UserError

if TYPE_CHECKING:
    import requests

#: Variables that name a file of certificates, the first that is set: of Requests, curl and OpenSSL.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

#: Kinds of proxies that Requests knows; with an h or an a the proxy looks the host's name up.
KINDS = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


class Proxy(NamedTuple):
    """The proxy of an address, and the key or variable that names it; no address: there is none."""

    address: str | None
    origin: str

    @property
    def shown(self) -> str:
        """The address without user and password, with what named it."""
        parts = urlsplit(self.address or "")
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]} ({self.origin})"


def proxy_of(network: Network, url: str) -> Proxy:
    """Return the proxy through which ``url`` is asked."""
    from requests.utils import get_environ_proxies, select_proxy

    if network.proxy is not None:
        return Proxy(None if network.proxy == NO_PROXY else network.proxy, "data.proxy")
    address = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if address and "://" not in address:
        address = f"http://{address}"
    kind = urlsplit(url).scheme.upper()
    names = [f"{kind}_PROXY", f"{kind.lower()}_proxy", "ALL_PROXY", "all_proxy"]
    return Proxy(address, next((name for name in names if os.environ.get(name)), names[0]))


def authorities_of(network: Network) -> str | bool:
    """Return the file or folder of trusted authorities; True: those that come with Requests.

    Raises
    ------
    UserError
        When it cannot be read or holds none.
    """
    given = [(name, os.environ.get(name)) for name in CA_VARIABLES]
    for origin, path in [("data.ca", network.ca), *given]:
        if path:
            return _readable(Path(path).expanduser(), origin)
    return True


#: What the environment says.
AS_USUAL = Network()


def _readable(path: Path, origin: str) -> str:
    """Return a path of certificates that OpenSSL can read."""
    try:
        if not path.is_dir():
            _load(str(path), path.stat().st_mtime_ns)
    except OSError as error:  # what is no certificate is an ssl.SSLError, which is an OSError
        reason = "it holds no certificate in PEM" if error.filename is None else error.strerror
        raise UserError(
            f"{origin}={path} cannot be used: {reason}. It must name a PEM file of the authorities"
            " that sign certificates here."
        ) from None
    return str(path)


@lru_cache(maxsize=4)  # some twenty milliseconds, which each webhook would take anew
def _load(path: str, changed: int) -> None:
    ssl.create_default_context(cafile=path)


def new_session(network: Network) -> requests.Session:
    """Make the HTTP session with which an exchange and its archive are asked.

    What the network says holds for every request, whatever that says itself: ccxt says
    ``verify=True`` and knows no ``NO_PROXY``.

    Raises
    ------
    UserError
        See `authorities_of`.
    """
    import requests

    session = requests.Session()
    session.trust_env = False  # the environment's proxies are looked up here, its passwords never
    merge, authorities = session.merge_environment_settings, authorities_of(network)

    def settings(url: str, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        proxy = proxy_of(network, url)
        through = dict.fromkeys(("http", "https"), proxy.address) if proxy.address else {}
        kind = (proxy.address or "").partition("://")[0].lower()
        if proxy.address and kind not in KINDS and is_proxy(f"http{proxy.address[len(kind) :]}"):
            raise UserError(
                f"The proxy {proxy.shown} is of no kind that is known: write {', '.join(KINDS)} in"
                " front of ://HOST:PORT."
            )
        if proxy.address and not is_proxy(proxy.address):
            raise UserError(
                f"{proxy.origin} is no address of a proxy: write {', '.join(KINDS)} in front of"
                " ://HOST:PORT or ://USER:PASSWORD@HOST:PORT, with %40, %2F and %23 for @, / and #"
                " in a password."
            )
        return merge(url, through, stream, authorities, cert)

    session.merge_environment_settings = settings  # type: ignore[method-assign]
    return session
