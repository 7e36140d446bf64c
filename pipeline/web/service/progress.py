"""Reckon how far a sweep is over all stages of all its markets, and how long the rest takes."""

from collections.abc import Sequence

from pipeline.results.records import ENDED, JobSummary, SweepView, utc_now
from pipeline.web.service.answers import SweepProgress

#: Where each stage of a job begins and ends, in 0…1 of the whole. Searches take most of the time;
#: surrogates are made where every other gate has passed, and the bar jumps to the end elsewhere.
STAGES = {
    "candles": (0.0, 0.15),
    "search": (0.2, 0.6),
    "whole history": (0.6, 0.65),
    "reality check": (0.65, 0.7),
    "surrogates": (0.7, 1.0),
    "storing": (1.0, 1.0),
}
#: Of a stage that is not named there, such as checks, which come before and after the search.
_ELSEWHERE = (0.15, 0.2)


def share(job: JobSummary) -> float:
    """Return how far one job is over all its stages, in 0…1."""
    if job.status in ENDED:
        return 1.0
    if job.status != "running" or job.stage_of_work is None:
        return 0.0
    begin, end = STAGES.get(job.stage_of_work, _ELSEWHERE)
    return begin + (end - begin) * job.progress


def seconds_of(job: JobSummary) -> float | None:
    """Return how long a job took, or None where it has not begun and ended."""
    if job.started_at is None or job.finished_at is None:
        return None
    return (job.finished_at - job.started_at).total_seconds()


def seconds_taken(jobs: Sequence[JobSummary]) -> list[float]:
    """Return how long each took that is complete."""
    times = [seconds_of(job) for job in jobs if job.status == "completed"]
    return [seconds for seconds in times if seconds is not None]


def progress_of(sweep: SweepView, jobs: Sequence[JobSummary], concurrent: int) -> SweepProgress:
    """Say how far a sweep is.

    Parameters
    ----------
    jobs : sequence of JobSummary
        Of its markets.
    concurrent : int
        Jobs that run at a time: what is left is divided among so many.
    """
    ended = sum(job.status in ENDED for job in jobs)
    done = sum(share(job) for job in jobs)
    left = None
    if sweep.status == "running" and 0 < ended < len(jobs):
        elapsed = (utc_now() - sweep.created_at).total_seconds()
        times = seconds_taken(jobs)
        mean = sum(times) / len(times) if times else elapsed / ended
        left = mean * (len(jobs) - done) / min(concurrent, len(jobs) - ended)
    statuses = [job.status for job in jobs]
    return SweepProgress(
        ended=ended,
        failed=statuses.count("failed"),
        cancelled=statuses.count("cancelled"),
        total=len(jobs),
        progress=done / max(len(jobs), 1),
        seconds_left=left,
    )
