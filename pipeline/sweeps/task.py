"""Claim one market of a sweep, train it and store the result, in a worker process."""

from contextlib import chdir
from dataclasses import dataclass

from gpu_engine import Advance
from pipeline.config import StorageConfig, TrainConfig
from pipeline.errors import UnreachableError
from pipeline.results.address import FileIdentity
from pipeline.results.database import open_database
from pipeline.results.sweeps import Claim
from pipeline.training import job
from pipeline.training.run import Reporter


@dataclass(frozen=True)
class Shared:
    """What all workers of a sweep share.

    ``folder`` is where the sweep was started: paths of a configuration are relative to it.
    ``database`` tells the file of results from another of its name.
    """

    storage: StorageConfig
    folder: str
    database: FileIdentity | None
    claim: Claim


@dataclass(frozen=True)
class Task:
    """A market of the sweep by its position, and its configuration."""

    position: int
    market: str
    config: TrainConfig


def train_market(shared: Shared, task: Task, advance: Advance) -> tuple[str, ...]:
    """Train one market and store its result; return what a person should know of the run.

    A training that fails says so in its job's row, where the sweep looks. A job that is complete
    already, because its worker died in the moment after, is left as it is.
    """
    notes: list[str] = []
    storage = shared.storage
    with (
        chdir(shared.folder),
        open_database(storage.url, storage.patience, reopened=shared.database) as repository,
    ):
        try:
            job_id = repository.sweeps.claim_market(shared.claim, task.position)
            if job_id is not None:
                reporter = Reporter(note=notes.append)
                job.run_again(task.config, repository, job_id, reporter)
        except UnreachableError:  # no row says so: the sweep must
            raise
        except Exception as error:
            notes.append(job.sentence(error))
    return tuple(notes)
