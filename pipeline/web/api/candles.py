"""Route ``/api/candles``: what the store of candles holds, and the candles themselves."""

from asyncio import CancelledError
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from pipeline.errors import UserError, full_disk
from pipeline.report.rows import CandleRow
from pipeline.report.tables import candles_table
from pipeline.web.api.guard import RateLimit
from pipeline.web.api.problems import described, section
from pipeline.web.api.tables import MOST_ROWS, SOME_ROWS, TableQuery, described_table
from pipeline.web.service import candle_models, requests
from pipeline.web.service.answers import Page
from pipeline.web.service.service import Service

Part = Annotated[
    str,
    requests.text_of(
        r"^[A-Za-z0-9:_-]{1,64}$", "a part of a market's id, as /api/candles lists them"
    ),
]


FetchId = Annotated[requests.JobId, Path(description="32 hexadecimal digits.")]

#: The address of an upload, whose body may be larger than any other.
IMPORTS = "/api/candles/imports"
_ANY_FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class CandleSeriesPage(Page):
    """A page of the candles of a market, oldest first.

    ``level`` is the length of each, ``timeframe`` that of those that are stored.
    """

    id: str
    timeframe: str
    level: str
    candles: list[CandleRow]


class CandleListQuery(candle_models.CandleFilter):
    """`CandleFilter` as an address has it: all text, so numbers are read from it."""

    model_config = candle_models.CandleFilter.model_config | {"strict": False}


class ImportAddress(candle_models.ImportQuery):
    """`ImportQuery` as an address has it."""

    model_config = candle_models.ImportQuery.model_config | {"strict": False}


def router(service: Service, changes: RateLimit) -> APIRouter:
    """Return the routes; ``changes`` counts imports and fetches."""
    routes = section(service, "/api/candles", "candles", 401, 422, 503)

    @routes.get("")
    def candles(query: Annotated[CandleListQuery, Query()]) -> candle_models.CandlePage:
        """List the markets whose candles are stored, by exchange, pair and timeframe."""
        return service.candles.markets(query)

    @routes.post(
        "/imports",
        dependencies=[Depends(changes.check)],
        responses=described(403, 408, 409, 413, 429),
        openapi_extra={"requestBody": {"required": True, "content": _ANY_FILE}},
    )
    async def imported(
        request: Request, query: Annotated[ImportAddress, Query()]
    ) -> candle_models.ImportAnswer:
        """Say what an import of the body would do, or do it where it says ``write``.

        The body is a file as `scripts/fetch market=MARKET import=FILE` takes it: CSV, JSON,
        Parquet, feather, or a zip of those.
        """
        imports = service.candles.imports
        config = await run_in_threadpool(imports.check, query)
        with imports.place(query.file) as path:
            await _receive(request, path)
            try:
                return await run_in_threadpool(imports.run, config, query, path)
            except CancelledError:  # its thread would keep a server that ends from ending
                imports.stop()
                raise HTTPException(
                    503, "The server has ended: send the file again when it is back."
                ) from None

    @routes.post(
        "/fetches",
        status_code=202,
        dependencies=[Depends(changes.check)],
        responses=described(403, 409, 413, 429),
    )
    def fetch(request: candle_models.FetchRequest) -> candle_models.FetchPage:
        """Fetch what the store lacks of markets, one after the other; all are queued, or none."""
        return service.candles.fetches.start(request)

    @routes.get("/fetches")
    def fetches(
        limit: requests.Limit = 50,
        offset: requests.Offset = 0,
    ) -> candle_models.FetchPage:
        """List the fetches of this server: what runs and waits by its turn, then newest first."""
        return service.candles.fetches.page(limit, offset)

    @routes.get("/fetches/{fetch_id}", responses=described(404))
    def one_fetch(fetch_id: FetchId) -> candle_models.FetchView:
        """Show one fetch: how far it is, or how it ended."""
        return service.candles.fetches.one(fetch_id)

    @routes.post("/fetches/{fetch_id}/cancel", responses=described(403, 404, 409))
    def cancel(fetch_id: FetchId) -> candle_models.FetchView:
        """Take a fetch out of the queue, or stop it; what has come is stored."""
        return service.candles.fetches.cancel(fetch_id)

    @routes.get(
        "/{exchange}/{base}/{quote}/{timeframe}",
        responses=described(404, 409) | described_table(CandleSeriesPage),
    )
    def series(
        exchange: Annotated[Part, Path(examples=["binance"])],
        base: Annotated[Part, Path(examples=["BTC"])],
        quote: Annotated[Part, Path(examples=["USDT", "USDT:USDT"])],
        timeframe: Annotated[Part, Path(examples=["5m"])],
        query: Annotated[TableQuery, Depends()],
        since: Annotated[
            requests.Moment | None, Query(description="Else from the first stored one.")
        ] = None,
        until: Annotated[
            requests.Moment | None, Query(description="Not included; else to the last.")
        ] = None,
        bars: Annotated[
            int | None,
            Query(
                ge=1,
                le=MOST_ROWS,
                description="Join candles to longer ones, until there are at most so many.",
            ),
        ] = None,
    ) -> Response:
        """List stored candles, as they are or at a level of detail for a chart.

        A longer candle opens at a multiple of its length from the epoch; ``since`` and ``until``
        are then widened to whole ones, so that a chart which moves finds those again that it has.
        """
        found = service.candles.series(f"{exchange}:{base}/{quote}:{timeframe}", since, until, bars)
        return query.answer(
            "candles",
            found.id.replace(":", "-").replace("/", "-"),
            found.tag,
            partial(candles_table, found.series, found.level),
            some=bars or SOME_ROWS,
            more={"id": found.id, "timeframe": timeframe, "level": found.level_name},
        )

    return routes


async def _receive(request: Request, path: FilePath) -> None:
    """Write the body of a request to a file as it comes."""
    try:
        with path.open("wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
    except ClientDisconnect:
        raise HTTPException(400, "The file did not come whole: send it again.") from None
    except OSError as error:
        if (full := full_disk(error, path.parents[2])) is not None:
            raise full from None
        raise UserError(f"{path.name} cannot be kept here: {error.strerror or error}.") from None
