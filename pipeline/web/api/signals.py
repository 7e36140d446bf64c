"""Route ``/api/signals``: what each active configuration holds and does at the next open."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from pipeline.results.signal_models import Signal
from pipeline.web.api.etags import tags_of
from pipeline.web.api.problems import described, section
from pipeline.web.api.signal_stream import SignalStream
from pipeline.web.api.training import UNBUFFERED, EventStream
from pipeline.web.service.answers import SignalPage
from pipeline.web.service.requests import LIST_LIMIT, ConfigurationId, shaped
from pipeline.web.service.service import Service

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
    shaped(r"^[0-9a-f]{0,32}$", "the id of the last event, or nothing"),
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
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
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
