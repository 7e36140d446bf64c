"""Routes ``/api/training`` and ``/api/sweeps``: estimates, starts, jobs and their events."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from pipeline.report.lists import markets_table
from pipeline.report.rows import MarketRow
from pipeline.results.records import Status
from pipeline.web.api.events import UNBUFFERED, Events, EventStream
from pipeline.web.api.guard import RateLimit
from pipeline.web.api.problems import described, section
from pipeline.web.api.tables import TableQuery, described_table
from pipeline.web.service import composing, requests
from pipeline.web.service.answers import (
    Choices,
    JobPage,
    JobResults,
    JobView,
    Page,
    StrategyChoice,
    SweepPage,
    SweepReport,
)
from pipeline.web.service.service import Service
from pipeline.web.service.starts import EstimateAnswer, Started

JobId = Annotated[requests.JobId, Path(description="32 hexadecimal digits.")]
#: A database's integer holds it.
EventId = Annotated[int, Header(alias="Last-Event-ID", ge=0, le=2**63 - 1)]


def router(
    service: Service,
    events: Events,
    starts: RateLimit,
    estimates: RateLimit,
    place: Callable[..., AsyncIterator[None]],
) -> APIRouter:
    """Return the routes; ``place`` holds one of an address's places for what lasts."""
    routes = section(service, "/api/training", "training", 401, 422, 503)

    def check_known(job_id: JobId) -> None:
        """Refuse what is unknown before a stream begins with status 200."""
        service.job(job_id)

    @routes.get("/choices")
    def choices() -> Choices:
        """Say what a request may name: strategies, markets, methods."""
        return composing.choices()

    @routes.get("/choices/{strategy}", responses=described(404))
    def strategy(strategy: requests.StrategyWord) -> StrategyChoice:
        """Show the parameters of one strategy: unit, meaning, grid and range of each."""
        return composing.strategy_choice(strategy)

    @routes.post(
        "/start",
        status_code=202,
        dependencies=[Depends(starts.check)],
        responses=described(409, 413, 429, 503),
    )
    def start(request: requests.TrainingRequest) -> Started:
        """Put a job for every market into the queue, all or none; several are one sweep."""
        return service.start_training(request)

    @routes.post(
        "/estimate", dependencies=[Depends(estimates.check)], responses=described(413, 429)
    )
    def estimate(request: requests.TrainingRequest) -> EstimateAnswer:
        """Say what a start would take, from rates measured on this machine; nothing is stored."""
        return service.estimate(request)

    @routes.get("/jobs")
    def jobs(
        status: Annotated[list[Status] | None, Query(max_length=5)] = None,
        limit: requests.Limit = 50,
        offset: requests.Offset = 0,
    ) -> JobPage:
        """List jobs, newest first."""
        return service.jobs(*(status or ()), limit=limit, offset=offset)

    @routes.get("/jobs/{job_id}", responses=described(404))
    def job(job_id: JobId) -> JobView:
        """Show one job: status, progress, stage of work, rate, time left."""
        return service.job(job_id)

    @routes.get(
        "/jobs/{job_id}/events",
        response_class=EventStream,
        dependencies=[Depends(check_known), Depends(place)],
        responses=described(404, 429),
    )
    async def job_events(job_id: JobId, last_event_id: EventId = 0) -> EventStream:
        """Stream a job's events until it ends; Last-Event-ID goes on after that one."""
        return EventStream(events.follow(job_id, last_event_id), headers=UNBUFFERED)

    @routes.post("/jobs/{job_id}/cancel", responses=described(404, 409))
    def cancel(job_id: JobId) -> JobView:
        """Cancel a job that waits or runs."""
        return service.cancel(job_id)

    @routes.post("/jobs/{job_id}/restart", responses=described(404, 409, 503))
    def restart(job_id: JobId) -> JobView:
        """Put a job that failed or was cancelled into the queue again."""
        return service.restart(job_id)

    @routes.get("/jobs/{job_id}/results", responses=described(404, 409))
    def results(job_id: JobId) -> JobResults:
        """Show what a completed job found."""
        return service.results(job_id)

    return routes


class MarketPage(Page):
    """A page of the markets of a sweep, in its order."""

    markets: list[MarketRow]


def sweep_router(service: Service) -> APIRouter:
    """Return the routes of sweeps."""
    routes = section(service, "/api/sweeps", "sweeps", 401, 422, 503)

    @routes.get("")
    def sweeps(
        limit: requests.Limit = 50,
        offset: requests.Offset = 0,
    ) -> SweepPage:
        """List sweeps, newest first; what was edited is in ``refused`` with the reason."""
        return service.sweeps(limit, offset)

    @routes.get("/{sweep_id}", responses=described(404, 409))
    def sweep(sweep_id: JobId) -> SweepReport:
        """Show a sweep, how far it is, and what became of each of its markets."""
        return service.sweep_report(sweep_id)

    @routes.get("/{sweep_id}/markets", responses=described(404, 409) | described_table(MarketPage))
    def markets(sweep_id: JobId, query: Annotated[TableQuery, Depends()]) -> Response:
        """List its markets as a table: figures out of sample, p, q, and the ids."""
        table = partial(markets_table, service.swept(sweep_id)[1])
        return query.answer("markets", f"sweep_{sweep_id}", None, table)

    @routes.post("/{sweep_id}/cancel", responses=described(404, 409))
    def cancel(sweep_id: JobId) -> SweepReport:
        """Cancel what waits or runs of a sweep of the queue; what has ended is judged."""
        return service.cancel_sweep(sweep_id)

    return routes
