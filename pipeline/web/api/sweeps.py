"""Route ``/api/sweeps``: many markets that were trained and judged together."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from pipeline.web.api.problems import described
from pipeline.web.service.answers import SweepPage, SweepReport
from pipeline.web.service.requests import JobId
from pipeline.web.service.service import Service

SweepId = Annotated[JobId, Path(description="32 hexadecimal digits.")]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/sweeps", tags=["sweeps"], responses=described(401, 422, 503))

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

    @routes.post("/{sweep_id}/cancel", responses=described(404, 409))
    def cancel(sweep_id: SweepId) -> SweepReport:
        """Cancel what waits or runs of a sweep of the queue; what has ended is judged."""
        return service.cancel_sweep(sweep_id)

    return routes
