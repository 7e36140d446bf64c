"""Route ``/api/candles``: what the store of candles holds, and the candles themselves."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from pipeline.report.rows import CandleRow
from pipeline.report.tables import candles_table
from pipeline.web.api.problems import described
from pipeline.web.api.tables import MOST_ROWS, SOME_ROWS, TableQuery, described_table
from pipeline.web.service.answers import CandlePage, Page
from pipeline.web.service.requests import CandleFilter, Moment, shaped
from pipeline.web.service.service import Service

Part = Annotated[
    str, shaped(r"^[A-Za-z0-9:_-]{1,64}$", "a part of a market's id, as /api/candles lists them")
]


class CandleSeriesPage(Page):
    """A page of the candles of a market, oldest first.

    ``level`` is the length of each, ``timeframe`` that of those that are stored.
    """

    id: str
    timeframe: str
    level: str
    candles: list[CandleRow]


class CandleListQuery(CandleFilter):
    """`CandleFilter` as an address has it: all text, so numbers are read from it."""

    model_config = CandleFilter.model_config | {"strict": False}


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/candles", tags=["candles"], responses=described(401, 422, 503))

    @routes.get("")
    def candles(query: Annotated[CandleListQuery, Query()]) -> CandlePage:
        """List the markets whose candles are stored, by exchange, pair and timeframe."""
        return service.candles.markets(query)

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
            Moment | None, Query(description="Else from the first stored one.")
        ] = None,
        until: Annotated[
            Moment | None, Query(description="Not included; else to the last.")
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
