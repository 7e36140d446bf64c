"""Route ``/api/candles``: what the store of candles holds."""

from typing import Annotated

from fastapi import APIRouter, Query

from pipeline.web.api.problems import described
from pipeline.web.service.answers import CandlePage
from pipeline.web.service.service import Service


def router(service: Service) -> APIRouter:
    """Return the route."""
    routes = APIRouter(prefix="/api/candles", tags=["candles"], responses=described(401, 422, 503))

    @routes.get("")
    def candles(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> CandlePage:
        """List the markets whose candles are stored, by exchange, symbol and timeframe."""
        return service.candles(limit, offset)

    return routes
