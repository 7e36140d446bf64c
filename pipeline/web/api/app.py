"""Build the FastAPI application: routes, refusals, and the guard in front of everything."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache, partial

from fastapi import FastAPI, HTTPException, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pipeline.web.api import candles, configurations, signals, training
from pipeline.web.api.access import Security
from pipeline.web.api.events import Events
from pipeline.web.api.guard import BodyLimit, Departures, Guard, HeadOfGet, Places, RateLimit
from pipeline.web.api.problems import Elsewhere, handle, rules
from pipeline.web.api.reference import rendered
from pipeline.web.api.signals import SignalStream
from pipeline.web.service.health import Health
from pipeline.web.service.service import Service

#: Bytes of a request's body: the largest sensible start has some ten thousand.
BODY_LIMIT = 256 * 1024
STARTS_A_MINUTE = 30
#: Event streams and WebSockets of one address.
LASTING = 256

_DESCRIPTION = """Trains crypto strategies and says what luck would have done.

Mistakes are answered with a sentence in `detail`. Where the server has a token, every request sends
`Authorization: Bearer TOKEN`."""


def create_app(
    service: Service,
    security: Security | None = None,
    *,
    starts_a_minute: int = STARTS_A_MINUTE,
    body_limit: int = BODY_LIMIT,
    lasting: int = LASTING,
) -> FastAPI:
    """Make the application; `pipeline.serve` runs it, and the Studio mounts itself on it.

    Parameters
    ----------
    service : Service
        What it is a skin of.
    security : Security or None
        Rules of access; None is loopback without a token.
    starts_a_minute, body_limit, lasting : int
        Starts in any minute, and estimates; bytes of a body; event streams and WebSockets that one
        address has open.
    """
    events, stream = Events(service.repository.jobs), SignalStream(service.signals)
    places = Places(lasting)

    async def place(request: Request) -> AsyncIterator[None]:
        """Hold a place until the answer has ended."""
        with places.one(request.scope) as free:
            if not free:
                sentence = "Too many event streams are open: close one, or try again in 5 s."
                raise HTTPException(429, sentence, {"Retry-After": "5"})
            yield

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with events.running(), stream.running():
            yield

    app = FastAPI(
        title="Strategy trainer",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's pages load their scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        dependencies=rules(service),
        lifespan=lifespan,
    )
    handle(app)
    # Estimates have a count of their own: looking at costs must not use up the starts.
    starts, estimates = RateLimit(starts_a_minute), RateLimit(starts_a_minute)
    for section in (
        training.router(service, events, starts, estimates, place),
        configurations.router(service),
        configurations.table_router(service),
        configurations.comparison_router(service),
        signals.router(service, stream, place),
        training.sweep_router(service),
        candles.router(service, RateLimit(starts_a_minute)),
    ):
        app.routes.extend(section.routes)  # to include a router would build each route twice

    lookers = ThreadPoolExecutor(4)  # all other threads may wait for a database

    @app.get("/api/health", tags=["health"], responses={503: {"model": Health}})
    async def health(response: Response) -> Health:
        """Say whether the server works; 503 and the reason where it does not."""
        look = partial(service.queue.health, streams=events.is_alive and stream.is_alive)
        found = await asyncio.get_running_loop().run_in_executor(lookers, look)
        response.status_code = 200 if found.healthy else 503
        return found

    page = cache(lambda: rendered(app.openapi()))

    @app.get("/api/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:  # in no thread: FastAPI describes its routes once at a time
        text, policy = page()
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    app.routes.append(Route("/api{rest:path}", Elsewhere(app.routes), include_in_schema=False))
    app.add_middleware(HeadOfGet)
    app.add_middleware(Departures)
    larger = {candles.IMPORTS: service.settings.import_bytes}
    app.add_middleware(BodyLimit, limit=body_limit, larger=larger)
    app.add_middleware(Guard, security=security or Security(), places=places)
    app.state.events, app.state.signals = events, stream
    return app
