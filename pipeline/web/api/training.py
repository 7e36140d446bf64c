"""Route ``/api/training``: estimates, starts, jobs and their events."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from starlette.responses import StreamingResponse

from pipeline.results.records import Status
from pipeline.web.api.events import Events
from pipeline.web.api.guard import RateLimit
from pipeline.web.api.problems import described, section
from pipeline.web.service import composing
from pipeline.web.service.answers import Choices, JobPage, JobResults, JobView, StrategyChoice
from pipeline.web.service.requests import JobId as JobIdText
from pipeline.web.service.requests import StrategyWord, TrainingRequest
from pipeline.web.service.service import Service
from pipeline.web.service.starts import EstimateAnswer, Started

JobId = Annotated[JobIdText, Path(description="32 hexadecimal digits.")]
#: A database's integer holds it.
EventId = Annotated[int, Header(alias="Last-Event-ID", ge=0, le=2**63 - 1)]

UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """Server-sent events; each is a `pipeline.web.api.events.Message`."""

    media_type = "text/event-stream"


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
    def strategy(strategy: StrategyWord) -> StrategyChoice:
        """Show the parameters of one strategy: unit, meaning, grid and range of each."""
        return composing.strategy_choice(strategy)

    @routes.post(
        "/start",
        status_code=202,
        dependencies=[Depends(starts.check)],
        responses=described(409, 413, 429, 503),
    )
    def start(request: TrainingRequest) -> Started:
        """Put a job for every market into the queue, all or none; several are one sweep."""
        return service.start_training(request)

    @routes.post(
        "/estimate", dependencies=[Depends(estimates.check)], responses=described(413, 429)
    )
    def estimate(request: TrainingRequest) -> EstimateAnswer:
        """Say what a start would take, from rates measured on this machine; nothing is stored."""
        return service.estimate(request)

    @routes.get("/jobs")
    def jobs(
        status: Annotated[list[Status] | None, Query(max_length=5)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
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
