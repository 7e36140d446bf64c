"""Build and run the server: the REST API and the Strategy Studio in one application."""

import gc
import socket
from collections.abc import Callable, Iterable

import uvicorn
from fastapi import FastAPI

from pipeline.config.commands import ServeConfig
from pipeline.queue.supervisor import Supervisor
from pipeline.results.database import Repository
from pipeline.web.api.access import Security
from pipeline.web.api.app import BODY_LIMIT, create_app
from pipeline.web.connections import Bounds, within
from pipeline.web.service.jobs import Settings
from pipeline.web.service.service import Service
from pipeline.web.studio.mounting import mount

#: Seconds that open connections are given to end.
PATIENCE = 3

#: Bytes of a request's header.
LONGEST_HEADER = 32 * 1024


class Server(uvicorn.Server):
    """Uvicorn's server, which says when it is there, and whose streams end when it is told to."""

    def __init__(
        self,
        config: uvicorn.Config,
        ends: Iterable[Callable[[], None]],
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._ends, self._ready = ends, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so once it listens."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what lives as long as the server: to look through it stops a page for 0.2 s
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams first: they would wait for their jobs."""
        for end in self._ends:
            end()
        await super().shutdown(sockets)


def application(
    repository: Repository,
    config: ServeConfig,
    security: Security,
    supervisor: Supervisor | None = None,
    read_only: str | None = None,
) -> FastAPI:
    """Make the application over a database; ``read_only`` says why nothing may be changed in it."""
    settings = Settings(
        config.storage, config.store, config.concurrent, read_only, config.import_bytes
    )
    service = Service(repository, settings, supervisor)
    service.warm_up()
    app = create_app(
        service,
        security,
        starts_a_minute=config.starts_a_minute,
        lasting=config.connections_a_peer // 2,
    )
    mount(app, service)
    return app


def server_of(app: FastAPI, ready: Callable[[], None], bounds: Bounds) -> Server:
    """Make the server of an application; ``ready`` is called once it listens."""
    settings = uvicorn.Config(
        app,
        http=within(bounds),
        h11_max_incomplete_event_size=LONGEST_HEADER,
        ws_max_size=BODY_LIMIT,
        log_level="warning",
        use_colors=False,  # to know it would ask a standard output, which may be closed
        access_log=False,  # addresses may hold what is nobody's business
        server_header=False,
        timeout_graceful_shutdown=PATIENCE,
    )
    return Server(settings, (app.state.events.close, app.state.signals.close), ready)
