"""Run a training job from its row in the database to its stored result."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gpu_engine import Advance
from pipeline import errors
from pipeline.config import TrainConfig
from pipeline.errors import IllegalTransitionError, UnknownIdError
from pipeline.executors.base import in_words
from pipeline.results.artifacts.unstored_result import FOLDER, Parcel, read_parcel
from pipeline.results.damage import UNREADABLE
from pipeline.results.database import Repository
from pipeline.results.jsonable import jsonable
from pipeline.training.provenance import config_hash, engine_hash
from pipeline.training.run import Reporter, TrainingResult, train
from pipeline.training.storing import HURRY, UNSTORED, ended_elsewhere, store, store_running

#: Seconds between two writes of a job's progress to the database.
HEARTBEAT_EVERY = 0.5

#: Of the time, the share that progress may cost: one in so many.
AT_MOST_ONE_IN = 20

#: Why a row cannot be told how its job ended. What ended the job is what is said.
_UNWRITABLE = (IllegalTransitionError, *UNSTORED)


#: What no row keeps: the database's password, and the way out of this machine's network.
PRIVATE: dict[str, Any] = {"storage": True, "data": {"proxy", "ca"}}


def description(config: TrainConfig) -> dict[str, Any]:
    """Describe a configuration as its job's row does: the arguments of `Repository.jobs.create`."""
    return {
        "exchange": config.market.exchange.name,
        "pair": config.market.pair,
        "timeframe": config.market.timeframe,
        "strategy": config.strategy.name,
        "optimizer": config.optimizer.name,
        "config": config.model_dump(mode="json", exclude=PRIVATE),
        "config_hash": config_hash(config),
        "seed": config.seed,
    }


@contextmanager
def started(config: TrainConfig, repository: Repository) -> Iterator[str]:
    """Store a running job of this process and yield its id; Ctrl-C, however early, cancels it."""
    try:
        job_id = repository.jobs.create(**description(config))
        repository.jobs.start(job_id)
        yield job_id
    except KeyboardInterrupt:
        repository.patience.shorten(HURRY)
        with suppress(*_UNWRITABLE):
            repository.jobs.cancel_owned()
        raise


def run(
    config: TrainConfig,
    repository: Repository,
    job_id: str,
    reporter: Reporter,
    folder: Path | None = None,
) -> tuple[TrainingResult, str | None]:
    """Train as a running job of this process says, and store the result.

    Parameters
    ----------
    reporter : Reporter
        Its progress and notes go into the job's row and events too.
    folder : Path or None
        Where a result is kept that the database does not take; None: beside the artifacts.

    Returns
    -------
    TrainingResult
        The result of the run.
    str or None
        Id of the stored configuration; None when nothing admissible was found.
    """
    with guard(repository, job_id):
        recorded = _Recorded(reporter, repository, job_id, goes_on=folder is not None)
        reporter = replace(reporter, progress=recorded, note=recorded.note)
        note_another_text(config, repository, reporter)
        trained = train(config, reporter)
        with recorded("storing", 0):
            return store(trained, repository, job_id, description(config), folder)


def note_another_text(config: TrainConfig, repository: Repository, reporter: Reporter) -> None:
    """Note where the newest result under a strategy's name is of another text of its file."""
    if config.strategy.text is None:
        return
    name = config.strategy.load().name
    for newest in repository.configurations.find(strategy=name, limit=1):
        try:
            strategy = repository.jobs.read(newest.job_id).config["strategy"]
        except (*UNREADABLE, LookupError):
            return  # another's damaged row stops no training
        if strategy.get("text") == config.strategy.text:
            return
        reporter.note(
            f"{name}: the file has changed since the newest result under this name ({newest.id}); a"
            " new rule is a new name"
        )


def run_again(config: TrainConfig, repository: Repository, job_id: str, reporter: Reporter) -> None:
    """Store the result that an earlier try of a running job kept, or `run` it.

    It is run where nothing is kept, or what is kept is damaged, or of another request or program.
    """
    with guard(repository, job_id):
        parcel = _kept(config, job_id, reporter)
        if parcel is not None:
            store_running(parcel, repository, config.storage)
            return
    run(config, repository, job_id, reporter)


def _kept(config: TrainConfig, job_id: str, reporter: Reporter) -> Parcel | None:
    """Read what an earlier try of a job kept; None where it is of no use."""
    folder = Path(config.storage.artifacts) / FOLDER / job_id
    try:
        parcel = read_parcel(folder)
    except errors.NotFoundError:
        return None
    except (errors.UserError, OSError, ValueError, KeyError, TypeError) as error:
        reporter.note(f"A result that was kept is not used: {in_words(error)}")
        return None
    request, row = (job_id, jsonable(description(config))), parcel.configuration
    code = None if row is None else row.provenance["engine_hash"]
    if (parcel.job_id, parcel.job) != request or code not in (None, engine_hash(config.strategy)):
        reporter.note(f"The result in {folder} is not used: the request or the program is another.")
        return None
    return parcel


@contextmanager
def guard(repository: Repository, job_id: str) -> Iterator[None]:
    """Record in its row how a job ended early: failed with its reason, or cancelled by Ctrl-C.

    A job that had ended already, or was given to another process, keeps the row it has; so does one
    of a database that is away, whose next command marks it.
    """
    try:
        yield
    except KeyboardInterrupt:
        repository.patience.shorten(HURRY)
        with suppress(*_UNWRITABLE):
            repository.jobs.cancel(job_id)
        raise
    except BaseException as error:  # SystemExit too: what Rich raises when its reader has gone
        if isinstance(error, errors.DatabaseAwayError):
            repository.patience.shorten(0)
        with suppress(*_UNWRITABLE):
            repository.jobs.fail(job_id, sentence(error))
        raise


def sentence(error: BaseException) -> str:
    """Say what went wrong: a user's mistake in its own words, anything else by its type."""
    if isinstance(error, DBAPIError):  # without the statement and what it was to write
        return f"The database failed: {' '.join(str(error.orig).split())}."
    return in_words(error)


class _Recorded:
    """Show progress and notes, and write them into the job's row and events, twice a second.

    A database that is away or busy costs a line of progress, never the job.
    """

    def __init__(
        self, reporter: Reporter, repository: Repository, job_id: str, goes_on: bool = False
    ) -> None:
        self._reporter, self._repository, self._job_id = reporter, repository, job_id
        self._goes_on = goes_on  # where another process took the job for dead
        self._next, self._is_gone = 0.0, False

    @contextmanager
    def __call__(self, stage: str, total: int) -> Iterator[Advance]:
        done, began = 0, time.monotonic()
        with self._reporter.progress(stage, total) as bar:

            def advance(n: int) -> None:
                nonlocal done
                done += n
                bar(n)
                now = time.monotonic()
                if now >= self._next:
                    fraction, rate = done / max(total, 1), done / max(now - began, 1e-6)
                    self._write(fraction, stage, done=done, total=total, rate=rate)

            self._write(0.0, stage, total=total)
            yield advance

    def _write(self, fraction: float, stage: str, **counted: Any) -> None:
        began = time.monotonic()
        with self._unless_written():
            self._repository.jobs.progress(self._job_id, fraction, stage, **counted)
        took = time.monotonic() - began  # as long as it takes to find that nobody answers
        self._next = time.monotonic() + max(HEARTBEAT_EVERY, AT_MOST_ONE_IN * took)

    def note(self, text: str) -> None:
        """Show a note, and write it into the job's events."""
        with self._unless_written():
            self._repository.jobs.note(self._job_id, text)
        self._reporter.note(text)

    @contextmanager
    def _unless_written(self) -> Iterator[None]:
        """Drop what cannot be written; say once when it will never be."""
        try:
            yield
        except SQLAlchemyError:
            pass
        except (errors.DatabaseGoneError, UnknownIdError, IllegalTransitionError) as error:
            said = sentence(error)
            if isinstance(error, IllegalTransitionError):
                said = ended_elsewhere(self._repository, self._job_id, error)
                if not self._goes_on or error.status == "cancelled":
                    raise errors.NotStoredError(said) from None
            if not self._is_gone:
                self._reporter.note(f"{said} The training goes on, and its result will be kept.")
            self._is_gone = True
