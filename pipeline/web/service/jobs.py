"""Start trainings, and show, cancel and restart their jobs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import StorageConfig, TrainConfig, catalogue
from pipeline.errors import (
    ConflictError,
    IllegalTransitionError,
    NotFoundError,
    ReadOnlyError,
    SameStartError,
    SweepTakenError,
    UnknownIdError,
)
from pipeline.queue.supervisor import Supervisor
from pipeline.results.damage import DamagedRowError
from pipeline.results.damage import naming as naming  # sweeps take it here
from pipeline.results.database import Repository
from pipeline.results.records import Job, Status
from pipeline.sweeps.manifest import (
    SweepRequest,
    last_midnight,
    queue_request,
    queue_sweep,
    start_key,
)
from pipeline.training import job
from pipeline.web.service import answers, composing, estimates
from pipeline.web.service.answers import JobPage, JobView, RefusedRow
from pipeline.web.service.fetches import UPLOAD_LIMIT
from pipeline.web.service.health import Queue
from pipeline.web.service.requests import TrainingRequest
from pipeline.web.service.starts import EstimateAnswer, Started

#: Jobs that one wish cancels at most.
MOST_WAITING = 10_000


@dataclass(frozen=True)
class Settings:
    """Where a server's results and candles lie, and how many jobs it runs at a time.

    ``store`` is the folder of candles, ``read_only`` says in a sentence why nothing may be started
    or changed here (None where it may), ``import_bytes`` is the size of an uploaded file.
    """

    storage: StorageConfig
    store: str = "var/candles"
    concurrent: int = 1
    read_only: str | None = None
    import_bytes: int = UPLOAD_LIMIT


@contextmanager
def known(what: str, identity: str) -> Iterator[None]:
    """Raise `NotFoundError` for what has no row."""
    try:
        yield
    except UnknownIdError:
        raise NotFoundError(f"No {what} has the id {identity}.") from None


class JobService:
    """Answers the requests for trainings and their jobs; `service.Service` answers the others too.

    ``supervisor`` keeps the dispatcher of queued jobs alive, where there is one.
    """

    def __init__(
        self, repository: Repository, settings: Settings, supervisor: Supervisor | None = None
    ) -> None:
        self.settings = settings
        self.queue = Queue(repository, supervisor)
        self.repository = repository
        self.read_only = settings.read_only

    @property
    def _writable(self) -> Repository:
        """The repository, for what changes it; refused where this server may only read."""
        if self.read_only is not None:
            raise ReadOnlyError(self.read_only)
        return self.repository

    def warm_up(self) -> None:
        """Read the configuration files that every request needs: the first would wait for it."""
        self._compose(TrainingRequest(markets=[next(iter(catalogue.markets()))]))

    # Training

    def start_training(self, request: TrainingRequest) -> Started:
        """Put a job for every market into the queue, or none if any is refused.

        Several markets are a sweep: they are judged together when all have ended.

        Raises
        ------
        UserError
            When a name is unknown or a configuration is refused; it says what is allowed.
        ConflictError
            When the very same waits or runs already; it names that.
        UnreachableError
            When nobody would run it.
        """
        self.queue.check()
        configs, to = self._compose(request), self._writable
        earlier = estimates.earlier(self.repository.tries, configs)
        artifacts = Path(self.settings.storage.artifacts)
        try:
            if len(configs) == 1:
                key = {"start_key": start_key(configs)}
                ids = to.jobs.queue(job.description(one) | key for one in configs.values())
                return Started(job_ids=ids, earlier=earlier)
            sweep_id = queue_sweep(to.sweeps, configs, request.model_dump(mode="json"), artifacts)
        except (SameStartError, SweepTakenError):
            raise self._same_start(configs) from None
        ids = [market.job_id for market in to.sweeps.markets(sweep_id)]
        return Started(job_ids=ids, sweep_id=sweep_id, earlier=earlier)

    def _same_start(self, configs: Mapping[str, TrainConfig]) -> ConflictError:
        """Name what was started with the very same words, and waits or runs."""
        if len(configs) == 1:
            found = self.repository.jobs.of_start(start_key(configs))
            what, at = "job", f"/jobs/{found}"
        else:
            sweep = self.repository.sweeps.newest(queue_request(configs).key)
            found = None if sweep is None else sweep.id
            what, at = "sweep", f"/sweeps/{found}"
        if found is None:  # it has ended in this moment
            return ConflictError("The same start has just ended: start again.")
        return ConflictError(
            f"The very same is asked for already, and waits or runs as {what} {found}: see {at}."
            f" Cancel that {what} to start anew, or ask for something else. Another seed is another"
            " search.",
            f"/api{'/training' if what == 'job' else ''}{at}",
        )

    def estimate(self, request: TrainingRequest) -> EstimateAnswer:
        """Say what a start would take; nothing is fetched or stored."""
        configs = self._compose(request)
        earlier = estimates.earlier(self.repository.tries, configs)
        return estimates.estimate_all(configs, self.settings.concurrent, earlier)

    def _compose(self, request: TrainingRequest) -> Mapping[str, TrainConfig]:
        """Compose the configurations that a start runs: several are those of a sweep."""
        configs = composing.compose(request, self.settings.storage, self.settings.store)
        if len(configs) == 1:
            return configs
        return SweepRequest(configs, ()).pinned(last_midnight())

    # Jobs

    def jobs(
        self, *statuses: Status, limit: int = 50, offset: int = 0, running_first: bool = False
    ) -> JobPage:
        """Read a page of jobs in any of ``statuses`` (all when none is named), newest first."""
        jobs = self.repository.jobs.find(
            *statuses, limit=limit, offset=offset, running_first=running_first
        )
        refused = [RefusedRow(id=one.identity, reason=str(one)) for one in jobs.damaged]
        views = []
        for record in jobs:
            try:
                views.append(self._view(record))
            except DamagedRowError as error:
                refused.append(RefusedRow(id=record.id, reason=str(error)))
        total = self.repository.jobs.count(*statuses)
        return JobPage(jobs=views, refused=refused, total=total, limit=limit, offset=offset)

    def job(self, job_id: str) -> JobView:
        """Read one job."""
        with known("job", job_id):
            return self._view(self.repository.jobs.read(job_id))

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job that waits or runs; whoever runs it notices and ends.

        Raises
        ------
        ConflictError
            When it has ended.
        """
        return self._moved(
            job_id, lambda to: to.sweeps.cancel_market(job_id), "there is nothing to cancel"
        )

    def cancel_waiting(self) -> int:
        """Cancel all jobs that wait in the queue; return how many these were."""
        waiting, to = self.repository.jobs.waiting(MOST_WAITING), self._writable
        for job_id in waiting:
            with suppress(IllegalTransitionError):  # it has begun, or somebody was faster
                to.sweeps.cancel_market(job_id)
        return len(waiting)

    def restart(self, job_id: str) -> JobView:
        """Put a job that failed or was cancelled into the queue again, and open its sweep again.

        Raises
        ------
        ConflictError
            When it waits, runs or is complete, or the same was started again since.
        UnreachableError
            When nobody would run it.
        """
        self.queue.check()
        return self._moved(
            job_id,
            lambda to: to.sweeps.restart_market(job_id),
            "only what failed or was cancelled is restarted",
        )

    def _moved(
        self, job_id: str, move: Callable[[Repository], object], refusal: str, again: bool = True
    ) -> JobView:
        """Move a job to another status and read it again; ``refusal`` says why it may not be.

        Where somebody was faster, and undid it since, it is tried once more.
        """
        self.job(job_id)
        try:
            move(self._writable)
        except IllegalTransitionError as error:
            if again and self.job(job_id).status != error.status:
                return self._moved(job_id, move, refusal, again=False)
            raise ConflictError(f"Job {job_id} is {error.status}: {refusal}.") from None
        except SameStartError:
            raise ConflictError(
                f"Job {job_id}: the same was started again since, and waits or runs."
            ) from None
        return self.job(job_id)

    def _view(self, record: Job) -> JobView:
        running = record.status == "running"
        event = self.repository.jobs.newest_progress(record.id) if running else None
        with naming("training_jobs", record.id):
            return answers.job(record, None if event is None else event.payload)
