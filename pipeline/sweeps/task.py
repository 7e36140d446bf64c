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


@dataclass(frozen=True)
class Answer:
    """What a person should know of a run, and what went wrong, which its job's row may lack."""

    notes: tuple[str, ...]
    error: str | None


def train_market(shared: Shared, task: Task, advance: Advance) -> Answer:
    """Train one market and store its result.

    A training that fails says so in its job's row, where the sweep looks, if it can. A job that is
    complete already, because its worker died in the moment after, is left as it is.
    """
    notes, failure = list[str](), None
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
            failure = job.sentence(error)
            notes.append(failure)
    return Answer(tuple(notes), failure)
