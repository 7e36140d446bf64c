"""Bound what a connection may take: time for head, body and answer, and places for each peer.

Uvicorn ends a connection that is idle, and bounds a head in bytes. It waits for ever for the rest
of a head or of a body, and for a peer that does not read; and it knows no peers.
"""

import asyncio
from collections.abc import Iterable
from itertools import count
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any, ClassVar, NamedTuple

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Connections of one address, and the share of them that event streams and WebSockets may be.
A_PEER, LASTING = 512, 0.5


class Bounds(NamedTuple):
    """What one connection and one peer may take.

    ``head`` and ``body`` are the seconds in which a request's head and its body must have come,
    however many bytes come in them; ``answer`` those that an answer may wait for a peer that does
    not read. ``a_peer`` and ``in_all`` are connections; the latter three
    quarters of the files that the process may open.
    """

    head: float = 10.0
    body: float = 30.0
    answer: float = 30.0
    a_peer: int = A_PEER
    in_all: int = max(64, getrlimit(RLIMIT_NOFILE)[0] * 3 // 4)


class Connection(H11Protocol):
    """An HTTP connection within `Bounds`.

    Where a peer has as many as it may, its newest takes the place of the one that has kept the
    server waiting for a request the longest. So nobody who sends whole requests is kept out by
    connections that send none; not even from the same address, as behind a proxy.
    """

    bounds: ClassVar[Bounds] = Bounds()
    _turns = count()  # the loop's clock is too coarse to tell who came first

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase: str | None = None
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self.turn = next(self._turns)

    @property
    def waiting(self) -> bool:
        """Whether it is the peer's turn: no whole request is here."""
        return self._phase is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place."""
        super().connection_made(transport)
        self._watch()
        peer = self.client[0] if self.client else ""
        own = [c for c in self.connections if (getattr(c, "client", None) or ("",))[0] == peer]
        if len(own) > self.bounds.a_peer:
            self._make_room(own)
        elif len(self.connections) > self.bounds.in_all:
            self._make_room(self.connections)

    def _make_room(self, connections: Iterable[asyncio.Protocol]) -> None:
        others = (one for one in connections if isinstance(one, Connection) and one is not self)
        waiting = [one for one in others if one.waiting and not one.transport.is_closing()]
        if waiting:
            min(waiting, key=lambda one: one.turn).transport.abort()
        else:
            self._refuse(503, b"Too many connections of this address: try again in 5 s.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget its times."""
        super().connection_lost(exc)
        for timer in (self._late, self._unread):
            if timer is not None:
                timer.cancel()

    def handle_events(self) -> None:
        """Take what has come."""
        super().handle_events()
        self._watch()

    def _watch(self) -> None:
        """Give a head or a body its time when it begins; none to who has sent a whole request."""
        begun = {h11.IDLE: "head", h11.SEND_BODY: "body"}.get(self.conn.their_state)
        if self not in self.connections:
            begun = None  # a WebSocket took it
        if begun == self._phase:
            return
        self._phase, self.turn = begun, next(self._turns)
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if begun is not None:
            seconds = self.bounds.head if begun == "head" else self.bounds.body
            self._late = self.loop.call_later(seconds, self._too_late, begun, seconds)

    def _too_late(self, what: str, seconds: float) -> None:
        if what == "head" and not self.conn.trailing_data[0]:
            self.transport.close()  # it has asked nothing
        else:
            self._refuse(408, f"The request's {what} did not come within {seconds:g} s.".encode())

    def _refuse(self, status: int, sentence: bytes) -> None:
        """Say why, where nothing was answered yet and the peer reads, and hang up."""
        fresh = self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not fresh or self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        body = b'{"detail": "%s", "reference": null}' % sentence
        headers = [("content-type", "application/json"), ("connection", "close")]
        headers += [("content-length", str(len(body))), ("retry-after", "5")]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """Give a peer that does not read its time."""
        super().pause_writing()
        self._hurry()

    def resume_writing(self) -> None:
        """Go on: it has read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _hurry(self) -> None:
        if self._unread is None:
            self._unread = self.loop.call_later(self.bounds.answer, self.transport.abort)

    def on_response_complete(self) -> None:
        """Wait for the next request; what closes is not waited for for ever."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._hurry()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, whether its peer reads the rest or not."""
        super().timeout_keep_alive_handler()
        self._hurry()


def within(bounds: Bounds) -> type[Connection]:
    """Return the class of connections within these bounds."""
    return type("Connection", (Connection,), {"bounds": bounds})
