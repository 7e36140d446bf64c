"""Notice a PostgreSQL server that is silent: its connections stay open, and nothing answers.

A server that is frozen and a network that drops what is sent end no connection, and libpq waits for
them for ever. So psycopg2 waits here, through its wait callback, with a clock. After `SILENCE`
seconds without a byte another connection asks whether anybody is there. If nobody is, the
connection is given up like one that broke, and `pipeline.results.access.outages` tries again. If
somebody is, the server works on the statement or waits for a lock: that may take as long as the
command is patient. So `SILENCE` may be short, however long a statement takes.

In this mode libpq leaves the time limit of a new connection, and the next address of a host, to the
caller: `Silence.connect` sees to both.
"""

from __future__ import annotations

import math
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Lock
from typing import Any

from sqlalchemy import Engine, event

from pipeline.results.access.outages import Patience

#: Seconds without a byte after which somebody asks, and those in which an answer must come.
SILENCE, LOOK = 5.0, 2.0

#: Seconds that a statement may take on a server that lives, where the command waits not at all. A
#: page of 100,000 configurations takes a tenth of one (docs/performance.md).
LONGEST = 30.0

#: Seconds between two tries to connect to a silent server, by all threads together.
TRY_EVERY = 1.0

#: The request for TLS, of protocol 3.0. A server answers it with one byte before it asks who comes
#: (https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest).
_ANYBODY = struct.pack("!ii", 8, 80877103)

#: A session whose client is out of reach gives its locks back within half a minute.
_KEEP_ALIVE = (
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
)


class Silence:
    """Watches over the connections of one engine.

    Parameters
    ----------
    engine : Engine
        Of psycopg2, before its first connection.
    patience : Patience
        How long the command waits, and whom it tells.

    Attributes
    ----------
    is_opening : bool
        Whether tables are made or migrated, which takes what it takes.
    writes : bool
        Whether a connection must be to a server that can be written to. A standby, which may lag
        behind, is none: it is waited for until it takes over.
    """

    def __init__(self, engine: Engine, patience: Patience) -> None:
        self.is_opening = self.writes = False
        self._patience = patience
        self._driver: Any = engine.dialect.loaded_dbapi
        self._since = self._next_try = math.inf
        self._turn = Lock()
        self._driver.extensions.set_wait_callback(_waiter(self._driver.extensions))
        self._watched = _watched(self._driver.extensions.connection)
        event.listen(engine, "do_connect", self.connect)

    def connect(self, _: object, __: object, ___: object, parameters: dict[str, Any]) -> Any:
        """Connect to the first address that answers in time.

        While the server is silent one thread at a time tries. The others fail at once: a server's
        many requests shall not all wait.

        Raises
        ------
        psycopg2.OperationalError
            When no address answers.
        """
        since = self._since
        if since == math.inf:
            return self._connect(parameters, since)
        if time.monotonic() < self._next_try or not self._turn.acquire(blocking=False):
            raise self._error(since)
        try:
            return self._connect(parameters, since)
        finally:
            self._turn.release()

    def _connect(self, parameters: dict[str, Any], since: float) -> Any:
        bound = float(parameters.get("connect_timeout") or math.inf)
        error = None
        for address in _addresses(parameters):
            if since != math.inf and _is_silent(*_peer(address)):
                error = self._silent(since)
                continue
            try:
                connection = self._driver.connect(
                    **parameters | address,
                    connection_factory=lambda dsn: self._watched(dsn, self, bound),
                )
                if _begun(connection) or not self.writes:
                    return connection
                connection.close()
                error = self._driver.OperationalError("it may only be read, as a standby may")
            except self._driver.OperationalError as failure:
                error = failure
        raise error or self._driver.OperationalError("no address was given")

    def answers(self) -> None:
        """Note that the server answers."""
        self._since = math.inf

    def check(self, connection: Any, since: float) -> None:
        """Look after a connection that has had no answer ``since`` then.

        Raises
        ------
        psycopg2.OperationalError
            When the server does not answer anybody, or this wait has been long enough.
        """
        limit = self._limit(connection)
        if time.monotonic() - since < limit:
            if connection.bound is not None:
                return
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as own:
                if _is_there(own.family, own.getpeername()):
                    self._patience.say_away(self._error(since))
                    return
        raise self._silent(since)

    def _limit(self, connection: Any) -> float:
        """Seconds that a server that lives may take."""
        if connection.bound is not None:
            return float(connection.bound)
        if self.is_opening:
            return math.inf
        patience = self._patience
        return patience.limit if patience.is_short else max(patience.limit, LONGEST)

    def _silent(self, since: float) -> Exception:
        """Note that nobody answers; return the error that says so."""
        self._since = min(self._since, since)
        self._next_try = time.monotonic() + TRY_EVERY
        return self._error(self._since)

    def _error(self, since: float) -> Exception:
        error: Exception = self._driver.OperationalError(
            f"the server has not answered for {time.monotonic() - since:.0f} s, and its connections"
            " stay open"
        )
        return error


def _watched(base: type[Any]) -> type[Any]:
    """Return a connection of psycopg2 that knows who watches over it."""

    class Watched(base):  # type: ignore[misc]
        def __init__(self, dsn: str, silence: Silence, bound: float) -> None:
            self.silence = silence
            self.bound: float | None = bound  # seconds, while it is being made
            super().__init__(dsn)
            self.bound = None

    return Watched


def _waiter(extensions: Any) -> Callable[[Any], None]:
    """Return what psycopg2 calls to wait for an answer, in whatever thread."""
    events = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}

    def wait(connection: Any) -> None:
        silence: Silence | None = getattr(connection, "silence", None)  # None: somebody else's
        since = time.monotonic()
        while (state := connection.poll()) != extensions.POLL_OK:
            ready = select.poll()
            ready.register(connection.fileno(), events[state])
            if silence is None:
                ready.poll()
                continue
            bound = connection.bound
            while not ready.poll(1_000 * min(SILENCE, bound or SILENCE)):
                silence.check(connection, since)
            if bound is None:
                since = time.monotonic()
        if silence is not None:
            silence.answers()

    return wait


def _is_there(family: int, peer: Any) -> bool:
    """Ask over a connection of its own whether a server answers anybody; `OSError` where not."""
    with socket.socket(family, socket.SOCK_STREAM) as other:
        other.settimeout(LOOK)
        other.connect(peer)
        other.sendall(_ANYBODY)
        return bool(other.recv(1))


def _is_silent(family: int, peer: Any) -> bool:
    """Whether a server takes a connection and says nothing; False where libpq must find out."""
    try:
        return peer is not None and not _is_there(family, peer)
    except OSError as error:
        return isinstance(error, TimeoutError)


def _addresses(parameters: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield what to add to the parameters of a connection, for one address after the other."""
    if not parameters.get("host") or parameters.get("hostaddr"):
        yield {}
        return
    hosts = str(parameters["host"]).split(",")
    ports = str(parameters.get("port") or "5432").split(",")
    for host, port in zip(hosts, ports * (len(hosts) // len(ports)), strict=True):
        place = {"host": host, "port": port}
        try:
            numbers = [] if host.startswith(("/", "@")) else socket.getaddrinfo(host, port)
        except OSError:
            numbers = []  # libpq says what is wrong with the name
        for address in dict.fromkeys(str(number[4][0]) for number in numbers):
            yield place | {"hostaddr": address}
        if not numbers:
            yield place


def _peer(address: dict[str, str]) -> tuple[int, Any]:
    """Return the family and the address of the socket that one of `_addresses` leads to."""
    host, port = address.get("host", ""), address.get("port", "")
    if host.startswith("/"):
        return socket.AF_UNIX, f"{host}/.s.PGSQL.{port}"
    number = address.get("hostaddr", "")
    family = socket.AF_INET6 if ":" in number else socket.AF_INET
    return family, (number, int(port)) if number else None


def _begun(connection: Any) -> bool:
    """Set up a session; tell whether it may write.

    libpq could tell without asking (``target_session_attrs``). But it believes what it is told when
    it logs in, and a pooler repeats there what it heard of the server long ago.
    """
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"{_KEEP_ALIVE}; SHOW transaction_read_only")
        (read_only,) = cursor.fetchone()
    connection.autocommit = False
    return bool(read_only == "off")
