"""The HTTP server: paths and queries in, JSON out, with or without a fault on the way."""

import json
import socket
import ssl
import struct
import sys
import time
from bisect import bisect_right
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import itemgetter
from threading import Thread
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from support.loopback.archives import MonthFiles
from support.loopback.clients import pointed
from support.loopback.faults import LIES, Fault, Faults, falsified

STATUS = {Fault.TOO_MANY: 429, Fault.BANNED: 418, Fault.UNAVAILABLE: 503}


UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class Request(NamedTuple):
    path: str
    query: dict
    fault: Fault | None


class Rows(NamedTuple):
    """Rows that answer a question, oldest first, all that there are, and most in an answer."""

    answer: list
    everything: list
    limit: int


class LoopbackExchange:
    """One market of an exchange; a context manager that serves while it is open.

    Parameters
    ----------
    candles : dict of str to list
        Rows ``[open time in ms, open, high, low, close, volume]`` by timeframe, oldest first, by
        time; those that opened after ``now`` are not served, and the one ``now`` is in is half
        formed: half of its volume, its close at its open.
    now : int
        Milliseconds since the epoch.
    trades : list, optional
        Rows ``(time in ns, price, volume, side)``, side ``b`` or ``s``, oldest first.
    faults : Faults, optional
    retry_after : int
        Seconds, sent with 429 and 418.
    slow_s : float
        Seconds before a slow answer.
    clock_error_ms : int
        How far ahead the clock is when it is off.
    tls : ssl.SSLContext, optional
        Of a server that speaks HTTPS; `certificates.Authority` makes one.
    """

    def __init__(
        self, candles, now, trades=(), faults=None,
        *, retry_after=0, slow_s=0.05, clock_error_ms=600_000, tls=None,
    ):  # fmt: skip
        self.history, self.now, self.trades = candles, now, trades
        self.faults = faults or Faults()
        self.retry_after, self.slow_s, self.clock_error_ms = retry_after, slow_s, clock_error_ms
        self.requests = []
        self.latency_s = 0.0
        self.archive = MonthFiles(self)
        exchange = self

        class Handler(_Handler):
            answering = exchange

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.is_tls, self.replies = tls is not None, []
        if tls is not None:
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    @property
    def url(self):
        scheme = "https" if self.is_tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def port(self):
        return self.server.server_port

    def client(self, **settings):
        """Make the client that the product makes, pointed here; its rate limit is 1 ms."""
        return pointed(self.name, self.url, **{"rateLimit": 1} | settings)

    def fail(self, *faults):
        """Do this to the next answers that it fits, before anything at random."""
        self.faults.script += faults

    def reply(self, status, body):
        """Answer the next question with this, whatever it is."""
        self.replies.append((status, body))

    def trouble(self):
        """Status and body of a failure that the exchange calls its own, in its own words."""
        return 503, self.complaint(503)

    def asked(self, path):
        """Queries of the requests whose path ends so, oldest first."""
        return [request.query for request in self.requests if request.path.endswith(path)]

    def rows(self, timeframe):
        """Candles by now; the last one is still forming."""
        length = self.step(timeframe)
        candles = self.history[timeframe]
        rows = candles[: bisect_right(candles, self.now, key=itemgetter(0))]
        if rows and rows[-1][0] + length > self.now:
            t, o, *_, volume = rows[-1]
            rows[-1] = [t, o, o, o, o, volume / 2]
        return rows

    @staticmethod
    def step(timeframe):
        """Length of a candle in milliseconds."""
        return int(timeframe[:-1]) * UNITS[timeframe[-1]]

    def respond(self, path, query):
        """Status, body and fault of the answer to a request."""
        if path.startswith("/data/"):
            return self.archive.respond(path)
        rows = self.rows_for(path, query)
        is_clock = path == self.clock_path
        fault = self.faults.draw((path, *sorted(query.items())), rows is not None, is_clock)
        self.requests.append(Request(path, query, fault))
        if self.replies:
            return *self.replies.pop(0), None
        if fault is Fault.OWN_WORDS:
            return *self.trouble(), fault
        if fault in STATUS:
            return STATUS[fault], self.complaint(STATUS[fault]), fault
        if fault is Fault.EMPTY_OBJECT:
            return 200, {}, fault
        if is_clock:
            ahead = self.clock_error_ms if fault is Fault.CLOCK_OFF else 0
            return 200, self.clock(self.now + ahead), fault
        if rows is None:
            return *self.describe(path), fault
        answer = rows.answer
        if fault in LIES:
            answer = falsified(fault, answer, rows.everything, rows.limit, self.faults.rng)
        return 200, self.page(path, answer), fault

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Take no notice of a client that was killed."""
        if not isinstance(sys.exc_info()[1], ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def date_time_string(self, timestamp=None):
        """The head of an answer tells the exchange's time."""
        return formatdate(self.answering.now / 1000, usegmt=True)

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        status, body, fault = self.answering.respond(url.path, query)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if self.answering.latency_s:
            time.sleep(self.answering.latency_s)
        if fault is Fault.RESET:
            self._reset()
            return
        if fault is Fault.SLOW:
            time.sleep(self.answering.slow_s)
        if fault is Fault.INVALID_JSON:
            content = content[: len(content) // 2]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status in (418, 429):
            self.send_header("Retry-After", str(self.answering.retry_after))
        self.end_headers()
        if fault is Fault.TRUNCATED:
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)

    def _reset(self):
        """Close with RST, as a router that lost the connection does."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_):
        pass
