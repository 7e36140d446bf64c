"""Route ``/api/signals``: what each active configuration holds and does at the next open.

Any number of readers is told of new signals from one look at the database. While anybody waits or
listens, one poller asks for the version of the signals every 50 ms, and reads them when it has
changed. A reader gets the newest state and never a queue of old ones: one that does not keep up
hears of less, and of nothing wrong. So an event's id is the tag of the whole state after it. A
reader that comes back with the tag of what is true hears nothing; any other hears everything.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence, Set
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from pipeline.results.document.signal_models import Signal
from pipeline.web.api.events import HEARTBEAT, HEARTBEAT_EVERY, UNBUFFERED, EventStream, Poller
from pipeline.web.api.problems import described, section
from pipeline.web.api.tables import tags_of
from pipeline.web.service.answers import SignalPage
from pipeline.web.service.requests import LIST_LIMIT, ConfigurationId, Offset, text_of
from pipeline.web.service.service import Service
from pipeline.web.service.signals import Board, Signals, changes

#: Seconds between two looks at the database.
POLL_EVERY = 0.05


class SignalStream(Poller):
    """Hands boards to readers."""

    def __init__(self, signals: Signals) -> None:
        super().__init__()
        self._signals = signals
        self._board: Board | None = None
        self._readers = 0
        self._wanted = asyncio.Event()
        self._changed: asyncio.Future[None] | None = None
        #: Readers that need a board of a look that begins after they came.
        self._new: list[asyncio.Future[Board]] = []

    def close(self) -> None:
        """Let all readers go: the server is going down."""
        self._closed = True
        self._wake()

    async def wait(self, ids: Sequence[str], known: Set[str], seconds: float) -> Board:
        """Return the board of some ids (none: all) once its tag is not among ``known``.

        After so many seconds, or when the server goes down, whatever it is.
        """
        end = asyncio.get_running_loop().time() + seconds
        with self._reading():
            board = await self._look()
            while (mine := board.of(ids)).tag in known and not self._closed:
                left = end - asyncio.get_running_loop().time()
                if left <= 0 or not await self._change(board, left):
                    break
                board = self._board or board
            return mine

    async def follow(self, ids: Sequence[str], last: str) -> AsyncIterator[bytes]:
        """Yield events of some ids (none: all) until the reader leaves or the server ends.

        ``last`` is the id of the last event that the reader has.
        """
        with self._reading():
            board = await self._look()
            mine = board.of(ids)
            yield HEARTBEAT if mine.tag == last else _messages(None, mine)
            while not self._closed:
                if not await self._change(board, HEARTBEAT_EVERY):
                    yield HEARTBEAT
                    continue
                board, before = self._board or board, mine
                mine = board.of(ids)
                yield HEARTBEAT if mine.tag == before.tag else _messages(before, mine)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._readers += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._wanted.clear()

    async def _look(self) -> Board:
        """Return what a look that begins now finds.

        Never what one found that began before: it could be older than what the reader knows.
        """
        new: asyncio.Future[Board] = asyncio.get_running_loop().create_future()
        self._new.append(new)
        return await new

    async def _change(self, board: Board, seconds: float) -> bool:
        """Wait until there is another board; whether there is one."""
        if self._board is not board or self._closed:
            return not self._closed
        if self._changed is None or self._changed.done():
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._changed], timeout=seconds)
        return self._board is not board and not self._closed

    async def _poll(self) -> None:
        while True:
            await self._wanted.wait()
            new, self._new = self._new, []
            try:
                newer = await asyncio.to_thread(self._signals.newer, self._board)
            except Exception as error:  # a database that is away for a moment ends no stream
                self._say(f"Signals cannot be read: {str(error).partition(chr(10))[0]}")
                _answer(new, error)
            else:
                self._said = None
                if newer is not None:
                    self._board = newer
                    self._wake()
                _answer(new, self._board)
            await asyncio.sleep(POLL_EVERY)

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


def _answer(waiting: list[asyncio.Future[Board]], answer: Board | Exception | None) -> None:
    for one in waiting:
        if one.done():  # its reader has left
            continue
        if isinstance(answer, Exception):
            one.set_exception(answer)
        elif answer is not None:
            one.set_result(answer)


def _messages(before: Board | None, after: Board) -> bytes:
    """Write what changed; the id stands at the last event, after which all of it is known."""
    *first, last = [f"event: {kind}\ndata: {data}\n" for kind, data in changes(before, after)]
    return "\n".join([*first, f"id: {after.tag}\n{last}", ""]).encode()


#: Signals of a page: more than anybody follows, so that nobody misses one who asks for no page.
MOST_SIGNALS = 10_000
#: Seconds that an answer may be waited for.
LONGEST_WAIT = 60.0

Ids = Annotated[
    list[ConfigurationId],
    Query(alias="id", max_length=LIST_LIMIT, description="These alone; else all."),
]
Wait = Annotated[
    float,
    Query(
        ge=0,
        le=LONGEST_WAIT,
        allow_inf_nan=False,
        description="Seconds to wait for another tag than those of If-None-Match.",
    ),
]
LastTag = Annotated[
    str,
    Header(alias="Last-Event-ID"),
    text_of(r"^[0-9a-f]{0,32}$", "the id of the last event, or nothing"),
]


def router(
    service: Service, stream: SignalStream, place: Callable[..., AsyncIterator[None]]
) -> APIRouter:
    """Return the routes; ``place`` holds one of an address's places for what lasts."""
    held = asynccontextmanager(place)

    async def place_to_wait(request: Request, wait: Wait = 0.0) -> AsyncIterator[None]:
        """Hold a place where there is something to wait for."""
        async with held(request) if wait else nullcontext():
            yield

    routes = section(service, "/api/signals", "signals", 401, 422, 503)

    @routes.get(
        "",
        response_model=SignalPage,
        responses=described(429) | {304: {"description": "It is as If-None-Match has it."}},
        dependencies=[Depends(place_to_wait)],
    )
    async def signals(
        response: Response,
        ids: Ids = [],  # noqa: B006 (FastAPI's way)
        wait: Wait = 0.0,
        limit: Annotated[int, Query(ge=1, le=MOST_SIGNALS)] = MOST_SIGNALS,
        offset: Offset = 0,
        if_none_match: Annotated[list[str] | None, Header()] = None,
    ) -> SignalPage | Response:
        """Show the newest signal of all that is switched on.

        With ``wait`` and If-None-Match it answers as soon as there is another, or with 304. A
        signal that is stale, or was never made, has a ``refusal`` that says what to do, and size 0.
        """
        known = tags_of(if_none_match)
        if wait and "*" in known:  # whatever it is now: the next one
            known = {(await run_in_threadpool(service.signals.read)).of(ids).tag}
        if wait and known:
            board = await stream.wait(ids, known, wait)
        else:
            board = (await run_in_threadpool(service.signals.read)).of(ids)
        headers = {"ETag": f'"{board.tag}"', "Cache-Control": "no-cache"}
        if known & {"*", board.tag}:
            return Response(status_code=304, headers=headers)
        response.headers.update(headers)
        return board.page(limit, offset)

    # Before {configuration_id}: routes are tried in order.
    @routes.get(
        "/events",
        response_class=EventStream,
        dependencies=[Depends(place)],
        responses=described(429),
    )
    async def signal_events(
        ids: Ids = [],  # noqa: B006 (FastAPI's way)
        last_event_id: LastTag = "",
    ) -> EventStream:
        """Stream signals: first all of them, then each that changes.

        Kinds: ``signal``, ``refused``, and ``active`` with the ids of all that have a signal.
        Last-Event-ID goes on after that one where nothing has changed since.
        """
        return EventStream(stream.follow(ids, last_event_id), headers=UNBUFFERED)

    @routes.get("/{configuration_id}", responses=described(404, 409))
    def signal(
        configuration_id: Annotated[ConfigurationId, Path(description="PATTERN_DATE_TIME_HEX")],
    ) -> Signal:
        """Show the newest signal of one configuration that is switched on."""
        service.configuration(configuration_id)
        return service.signals.one(configuration_id)

    return routes
