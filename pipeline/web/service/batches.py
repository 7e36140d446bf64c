"""Show sweeps and single jobs as batches: how far each is, what it was told, how long it takes.

What is left of a sweep can be cancelled.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.config import text_hash
from pipeline.errors import ConflictError, SweepTakenError, UnknownIdError, UserError
from pipeline.report.loading import SweptMarket, swept_markets
from pipeline.results.records import (
    ALTERED,
    ENDED,
    Job,
    JobSummary,
    Sweep,
    SweepMarket,
    SweepMarketView,
    SweepView,
)
from pipeline.results.rows.batches import Batch
from pipeline.results.rows.sweeps import QUEUE
from pipeline.validation.wording import duration, marked, plural, whole_percent
from pipeline.web.service.answers import (
    JobView,
    ListedSweep,
    RefusedRow,
    SweepPage,
    SweepProgress,
    SweepReport,
)
from pipeline.web.service.jobs import JobService, known, naming
from pipeline.web.service.progress import progress_of, seconds_of, seconds_taken, share


class SweepService(JobService):
    """Answers the requests for sweeps; `service.Service` answers the others too."""

    def sweeps(self, limit: int = 50, offset: int = 0) -> SweepPage:
        """Read a page of sweeps, newest first."""
        sweeps, refused = self.repository.sweeps.recent(limit, offset)
        rows = [RefusedRow(id=one, reason=why) for one, why in refused.items()]
        ends = self.repository.sweeps.outcomes([one.id for one in sweeps])
        listed = [
            ListedSweep(
                **{field.name: getattr(one, field.name) for field in fields(SweepView)},
                markets=len(markets := ends.get(one.id, [])),
                statuses=Counter(status for _, status, _ in markets),
                stages=Counter(stage for *_, stage in markets if stage is not None),
            )
            for one in sweeps
        ]
        total = self.repository.sweeps.count()
        return SweepPage(sweeps=listed, refused=rows, total=total, limit=limit, offset=offset)

    def may_cancel(self, sweep: Sweep, progress: SweepProgress) -> bool:
        """Whether something of a sweep is left that this server can cancel: no command runs it."""
        left = progress.ended < progress.total and self.read_only is None
        return left and sweep.status == "running" and sweep.owner == QUEUE

    def cancel_sweep(self, sweep_id: str, again: bool = True) -> SweepReport:
        """Cancel the jobs of a sweep that wait or run; the others are judged with what was asked.

        Raises
        ------
        ConflictError
            When it has ended, or a command runs it.
        """
        self.sweep(sweep_id)
        try:
            self._writable.sweeps.cancel_queued(sweep_id)
        except SweepTakenError:
            sweep, _ = self.sweep(sweep_id)
            if again and (sweep.status, sweep.owner) == ("running", QUEUE):  # begun again since
                return self.cancel_sweep(sweep_id, again=False)
            why = (
                "a command runs it: end it there with Ctrl-C"
                if sweep.status == "running"
                else f"it is {sweep.status}: there is nothing to cancel"
            )
            raise ConflictError(f"Sweep {sweep_id}: {why}.") from None
        return self.sweep_report(sweep_id)

    def sweep_report(self, sweep_id: str) -> SweepReport:
        """Read one sweep, how far it is, and its markets; see `sweep`."""
        sweep, markets = self.sweep(sweep_id)
        return SweepReport(
            sweep=sweep, progress=self.progress(sweep), markets=list[SweepMarketView](markets)
        )

    def queued_sweeps(self) -> list[tuple[Sweep, SweepProgress]]:
        """Read the sweeps of the queue that run, newest first, and how far each is."""
        sweeps = self.repository.sweeps
        shown = []
        for sweep_id in sweeps.running(QUEUE):
            with suppress(ConflictError, UnknownIdError):  # the page of sweeps says what was edited
                sweep = sweeps.whole(sweep_id)
                shown.append((sweep, self.progress(sweep)))
        return shown

    def progress(self, sweep: SweepView) -> SweepProgress:
        """Say how far a sweep is over all stages of all its markets."""
        jobs = self.repository.sweeps.jobs_of(sweep.id)
        return progress_of(sweep, jobs, self.settings.concurrent)

    def sweep(self, sweep_id: str) -> tuple[Sweep, list[SweepMarket]]:
        """Read one sweep and its markets.

        Raises
        ------
        ConflictError
            When it is not what was written.
        """
        with known("sweep", sweep_id):
            return self.repository.sweeps.whole(sweep_id), self.repository.sweeps.markets(sweep_id)

    def swept(self, sweep_id: str) -> tuple[Sweep, list[SweptMarket]]:
        """Read one sweep and its markets with what they stored; see `sweep`.

        What is not what was stored is not shown: its market says so in place of a stage.
        """
        sweep, rows = self.sweep(sweep_id)
        ids = [row.configuration_id for row in rows if row.configuration_id]
        checked = {one.id: one for one in self.repository.checks.listed(ids)}
        with naming("training_jobs", f"a market of sweep {sweep_id}"):
            markets = swept_markets(
                rows, lambda identity: checked[identity].configuration, self.repository.jobs.read
            )
        for place, row in enumerate(rows):
            found = checked.get(row.configuration_id or "")
            if found is not None and found.objections:
                why = f"{found.id}: {'; '.join(found.objections)}"
                change: dict[str, Any] = {"status": ALTERED, "error": why}
                markets[place] = replace(markets[place], configuration=None, **change)
        return sweep, markets


@dataclass(frozen=True)
class BatchView:
    """A batch as a row shows it; ``id`` is that of the sweep, or of the job.

    ``title`` says what it is of, ``status`` and ``said`` how far it is, ``settings`` how it
    searches, ``period`` on which days. ``progress`` is 0…1 over all stages of all its jobs. These
    are in the order in which they were asked for; ``first`` is what the first of them was told.
    ``configuration_id`` is what a single job stored, ``error`` why it failed or cannot be shown.
    """

    id: str
    is_sweep: bool
    title: str
    status: str
    said: str = ""
    settings: str = ""
    period: str = ""
    seed: int | None = None
    progress: float = 0.0
    asked: datetime | None = None
    jobs: Sequence[JobSummary] = ()
    first: Job | None = None
    configuration_id: str | None = None
    error: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("running", "pending")

    @property
    def is_cancellable(self) -> bool:
        """Whether there is something to cancel: of a sweep whose jobs all ended there is not."""
        ended = self.is_sweep and all(job.status in ENDED for job in self.jobs)
        return self.is_open and not ended


class BatchService(SweepService):
    """Answers what was asked for together; `service.Service` answers the other requests too."""

    def batch(self, one: Batch) -> BatchView:
        """Read a batch as a row shows it; of one that is damaged the reason."""
        try:
            return self._sweep_row(one.id) if one.is_sweep else self._job_row(one.id)
        except UserError as error:
            why = str(error)
        except (AttributeError, KeyError, TypeError, ValueError):
            why = "What it was told is not as it was stored."
        what = "Sweep" if one.is_sweep else "Job"
        return BatchView(one.id, one.is_sweep, f"{what} {one.id}", "damaged", error=why)

    def queue_left(self) -> str:
        """Say how long all that waits and runs takes still, by the jobs that have ended.

        The mean of the jobs of its own sweep that have ended, else of the newest of all, times what
        is left of each, divided among the jobs that run at a time; never less than a row says.
        """
        usual, left, longest = self.repository.batches.seconds(), 0.0, 0.0
        for one in self.repository.batches.unfinished():
            jobs = self._jobs_of(one)
            if not (todo := sum(1.0 - share(job) for job in jobs)):
                continue
            times = seconds_taken(jobs) or usual
            if not times:
                return "How long it takes is known when the first job has ended."
            row = self._row_left(one, jobs)
            left, longest = left + max(sum(times) / len(times) * todo, row), max(longest, row)
        if left == 0.0:
            return ""
        most = max(left / self.settings.concurrent, longest)
        return f"About {duration(most)} left for all of it."

    def judged(self) -> int:
        """Count the sweeps whose jobs have all ended, and which are being judged."""
        unfinished = self.repository.batches.unfinished()
        return sum(all(job.status in ENDED for job in self._jobs_of(one)) for one in unfinished)

    def cancel_all(self) -> int:
        """Cancel all that waits and runs; return how many jobs these were."""
        ended = self.cancel_waiting()
        for one in self.repository.batches.unfinished():
            for job in self._jobs_of(one):
                with suppress(ConflictError):  # it has ended in this moment
                    if job.status == "running":
                        self.cancel(job.id)
                        ended += 1
        return ended

    def _row_left(self, one: Batch, jobs: Sequence[JobSummary]) -> float:
        """Return the seconds left of a batch, or of its stage, that its row says; 0 where none."""
        if not one.is_sweep and jobs[0].status != "running":  # it is in no stage
            return 0.0
        with suppress(UserError):  # damaged: its row says so
            if one.is_sweep:
                return self.progress(self.repository.sweeps.whole(one.id)).seconds_left or 0.0
            return self.job(one.id).seconds_left or 0.0
        return 0.0

    def _jobs_of(self, one: Batch) -> Sequence[JobSummary]:
        if one.is_sweep:
            return self.repository.sweeps.jobs_of(one.id)
        return [self.repository.jobs.read(one.id)]

    def _job_row(self, job_id: str) -> BatchView:
        job = self.repository.jobs.read(job_id)
        view = self.job(job_id)
        stored = self.repository.batches.configurations([job_id])
        return BatchView(
            id=job_id,
            is_sweep=False,
            title=marked(job.market, job.synthetic),
            status=job.status,
            said=_progress(view),
            progress=share(job),
            jobs=[job],
            configuration_id=stored.get(job_id),
            error=job.error or "",
            **_request(job, [job.strategy]),
        )

    def _sweep_row(self, sweep_id: str) -> BatchView:
        sweep = self.repository.sweeps.whole(sweep_id)
        jobs = self.repository.sweeps.jobs_of(sweep_id)
        progress = self.progress(sweep)
        first = self.repository.jobs.read(jobs[0].id)
        markets = {job.market for job in jobs}
        strategies = list(dict.fromkeys(job.strategy for job in jobs))
        running = [job for job in jobs if job.status == "running"]
        waits = sweep.status == "running" and not running and progress.ended == 0
        said = progress.ends(str(progress.total)).removesuffix(" ended")
        if progress.is_judged(sweep.status):
            said += ", being judged"
        if progress.seconds_left is not None:
            said += f", about {duration(progress.seconds_left)} left"
        if running:
            now = running[0]
            stage = f"{now.stage_of_work or 'starting'} {whole_percent(now.progress)}"
            said += f". Now {now.market}: {stage}"
        return BatchView(
            id=sweep_id,
            is_sweep=True,
            title=f"Sweep of {plural(len(markets), marked('market', first.synthetic))}"
            + (f" with {len(strategies)} strategies" if len(strategies) > 1 else ""),
            status="pending" if waits else progress.state(sweep.status),
            said=said,
            progress=progress.progress,
            jobs=jobs,
            **_request(first, strategies) | {"asked": sweep.created_at},
        )


def stage_progress(job: JobView) -> str:
    """``search: 45 %, 12,000 a second, about 5 s left in this stage`` of a job that runs."""
    parts = [f"{job.stage_of_work or 'starting'}: {whole_percent(job.progress)}"]
    if job.rate is not None:
        parts.append(f"{job.rate:,.0f} a second")
    if job.seconds_left is not None:
        parts.append(f"about {duration(job.seconds_left)} left in this stage")
    return ", ".join(parts)


def _progress(job: JobView) -> str:
    """Say how far a job is in its stage; ``took 12 s`` of an ended one."""
    if job.status == "running":
        return stage_progress(job)
    seconds = seconds_of(job) if job.status in ENDED else None
    return "" if seconds is None else f"took {duration(seconds)}"


def _request(job: Job, strategies: Sequence[str]) -> dict[str, Any]:
    """Return what a job was told that was asked for with these strategies, and when."""
    config = job.config
    return {
        "settings": _settings(strategies, config),
        "period": _period(config.get("data") or {}),
        "seed": job.seed,
        "asked": job.created_at,
        "first": job,
    }


def _settings(strategies: Sequence[str], config: Mapping[str, Any]) -> str:
    """``liquidity_sweep, random 1,000, walk forward: train 90, gap 7, test 30 days``."""
    optimizer, validation = config.get("optimizer") or {}, config.get("validation") or {}
    budget = optimizer.get("samples") or optimizer.get("trials")
    searched = f"{optimizer.get('name')}{f' {budget:,}' if budget else ''}"
    days = {name: validation.get(name) for name in ("train", "gap", "test")}
    spans = ", ".join(f"{name} {count:g}" for name, count in days.items() if count is not None)
    digest = text_hash((config.get("strategy") or {}).get("text"))
    own = f" {digest[:8]}" if digest and len(strategies) == 1 else ""
    windows = str(validation.get("method")).replace("_", " ")
    return f"{', '.join(strategies)}{own}, {searched}, {windows}: {spans} days"


def _period(data: Mapping[str, Any]) -> str:
    """``2023-01-01 to 2023-12-30``, the last day included."""
    since, until = (
        datetime.fromisoformat(data[n]) if data.get(n) else None for n in ("since", "until")
    )
    if since or until:
        last = f"{until - timedelta(milliseconds=1):%Y-%m-%d}" if until else "now"
        return f"{f'{since:%Y-%m-%d}' if since else data.get('history') or 'all'} to {last}"
    if data.get("days"):
        return f"{data['days']} days"
    return str(data.get("history") or (data.get("path") and "a file") or "-")
