"""Route ``/api/sweeps``: many markets that were trained and judged together."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from pipeline.report.lists import markets_table
from pipeline.report.rows import MarketRow
from pipeline.web.api.problems import described, section
from pipeline.web.api.tables import TableQuery, described_table
from pipeline.web.service.answers import Page, SweepPage, SweepReport
from pipeline.web.service.requests import JobId
from pipeline.web.service.service import Service

SweepId = Annotated[JobId, Path(description="32 hexadecimal digits.")]


class MarketPage(Page):
    """A page of the markets of a sweep, in its order."""

    markets: list[MarketRow]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = section(service, "/api/sweeps", "sweeps", 401, 422, 503)

    @routes.get("")
    def sweeps(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> SweepPage:
        """List sweeps, newest first; what was edited is in ``refused`` with the reason."""
        return service.sweeps(limit, offset)

    @routes.get("/{sweep_id}", responses=described(404, 409))
    def sweep(sweep_id: SweepId) -> SweepReport:
        """Show a sweep, how far it is, and what became of each of its markets."""
        return service.sweep_report(sweep_id)

    @routes.get("/{sweep_id}/markets", responses=described(404, 409) | described_table(MarketPage))
    def markets(sweep_id: SweepId, query: Annotated[TableQuery, Depends()]) -> Response:
        """List its markets as a table: figures out of sample, p, q, and the ids."""
        table = partial(markets_table, service.swept(sweep_id)[1])
        return query.answer("markets", f"sweep_{sweep_id}", None, table)

    @routes.post("/{sweep_id}/cancel", responses=described(404, 409))
    def cancel(sweep_id: SweepId) -> SweepReport:
        """Cancel what waits or runs of a sweep of the queue; what has ended is judged."""
        return service.cancel_sweep(sweep_id)

    return routes
