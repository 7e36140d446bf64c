"""A proxy on the loopback: HTTP (CONNECT and absolute addresses) and SOCKS 5, on one port.

    with LoopbackProxy({"api.binance.com": exchange.port}) as proxy:
        Network(proxy.http) ; Network(proxy.socks)

It reaches nothing but the ports it is given: whatever host is asked for, it connects to 127.0.0.1.
"""

import base64
import random
import socket
import struct
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

SOCKS, NO_AUTH, BY_PASSWORD, REFUSED = 5, 0, 2, 0xFF
DONE, NOT_ALLOWED, UNREACHABLE = 0, 2, 4


class LoopbackProxy:
    """A context manager that serves while it is open; ``asked`` are the hosts, oldest first.

    Parameters
    ----------
    ports : dict of str to int
        The local port that stands for a host; of one that is missing nothing answers.
    password : (str, str), optional
        User and password to ask for.
    allows : bool
        Whether it connects to anything.
    drops : float
        Share of the connections that fail, drawn with ``seed``; ``dropped`` counts them.
    """

    def __init__(self, ports, password=None, allows=True, drops=0.0, seed=0):
        self.ports, self.password, self.allows, self.asked = ports, password, allows, []
        self.drops, self.dropped, self.rng = drops, 0, random.Random(seed)
        proxy = self

        class Handler(_Handler):
            serving = proxy

        self.server = _Server(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def http(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def socks(self):
        return self.http.replace("http", "socks5h")

    def connect(self, host):
        """Return a connection to what stands for ``host``; None where there is none."""
        self.asked.append(host)
        if self.rng.random() < self.drops:
            self.dropped += 1
            return None
        if host not in self.ports:
            return None
        return socket.create_connection(("127.0.0.1", self.ports[host]), timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class _Server(ThreadingTCPServer):
    daemon_threads, allow_reuse_address, block_on_close = True, True, False

    def handle_error(self, *_):
        """Take no notice of a client that has left."""


class _Handler(StreamRequestHandler):
    rbufsize = 0  # what follows the greeting belongs to the exchange

    def handle(self):
        if self.request.recv(1, socket.MSG_PEEK) == bytes([SOCKS]):
            self._socks()
        else:
            self._http()

    def _http(self):
        method, address, version = self.rfile.readline().decode().split()
        lines = [*iter(self.rfile.readline, b"\r\n")]
        headers = dict(line.decode().strip().split(": ", 1) for line in lines)
        serving = self.serving
        if serving.password is not None:
            expected = base64.b64encode(":".join(serving.password).encode()).decode()
            if headers.get("Proxy-Authorization") != f"Basic {expected}":
                self._say("407 Proxy Authentication Required")
                return
        if not serving.allows:
            self._say("403 Forbidden")
            return
        if method == "CONNECT":
            upstream = serving.connect(address.rpartition(":")[0])
            if upstream is None:
                self._say("502 Bad Gateway")
                return
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            url = urlsplit(address)
            upstream = serving.connect(url.hostname)
            if upstream is None:
                self._say("502 Bad Gateway")
                return
            target = address.partition(url.netloc)[2] or "/"
            upstream.sendall(
                f"{method} {target} {version}\r\n".encode() + b"".join(lines) + b"\r\n"
            )
        self._join(upstream)

    def _say(self, status):
        self.wfile.write(
            f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )

    def _socks(self):
        """Speak RFC 1928, and RFC 1929 where there is a password."""
        _, count = self._read(2)
        methods = self._read(count)
        wanted = NO_AUTH if self.serving.password is None else BY_PASSWORD
        self.wfile.write(bytes([SOCKS, wanted if wanted in methods else REFUSED]))
        if wanted not in methods:
            return
        if wanted == BY_PASSWORD:
            given = []
            self._read(1)
            for _ in range(2):
                given.append(self._read(self._read(1)[0]).decode())
            right = tuple(given) == self.serving.password
            self.wfile.write(bytes([1, 0 if right else 1]))
            if not right:
                return
        *_, kind = self._read(4)
        if kind == 3:
            host = self._read(self._read(1)[0]).decode()
        else:
            host = socket.inet_ntoa(self._read(4))
        self._read(2)
        upstream = self.serving.connect(host) if self.serving.allows else None
        status = DONE if upstream else UNREACHABLE if self.serving.allows else NOT_ALLOWED
        self.wfile.write(struct.pack("!BBBBIH", SOCKS, status, 0, 1, 0, 0))
        if upstream:
            self._join(upstream)

    def _read(self, count):
        taken = b""
        while len(taken) < count:
            more = self.request.recv(count - len(taken))
            if not more:
                raise ConnectionError
            taken += more
        return taken

    def _join(self, upstream):
        """Pass on what either side says until one has left."""
        with upstream:
            Thread(target=_pass_on, args=(self.request, upstream), daemon=True).start()
            _pass_on(upstream, self.request)


def _pass_on(source, target):
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
