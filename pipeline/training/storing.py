"""Store a run: its records in the database, and its artifacts."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from pipeline.config import StorageConfig, typed
from pipeline.errors import (
    AND_AGAIN,
    ConflictError,
    DiskFullError,
    IllegalTransitionError,
    NotOwnerError,
    NotStoredError,
    UnknownIdError,
    UnreachableError,
    UserError,
    first_line,
)
from pipeline.executors.background import tell
from pipeline.results.artifacts.artifact_set import write_artifacts
from pipeline.results.artifacts.digests import digests_of
from pipeline.results.artifacts.unstored_result import (
    FOLDER,
    Parcel,
    is_kept,
    remove_parcel,
    unpack,
    write_parcel,
)
from pipeline.results.damage import DamagedRowError
from pipeline.results.database import Repository
from pipeline.results.document.document import new_configuration_id
from pipeline.results.jsonable import jsonable
from pipeline.results.records import Configuration
from pipeline.training.record import artifacts_of, configuration_of
from pipeline.training.run import TrainingResult
from pipeline.validation.multiple_testing import after_searches

#: Seconds that a command which was told to end waits for a database.
HURRY = 5.0

#: Of the statistics: how often these days were searched before.
_EARLIER = "earlier_searches"

#: What keeps a result out of its database, and says nothing about the result.
UNSTORED = (SQLAlchemyError, UnreachableError, UnknownIdError, DamagedRowError)

_Placed = tuple[Path | None, dict[str, str]]


def store(
    trained: TrainingResult,
    repository: Repository,
    job_id: str,
    job: Mapping[str, Any],
    folder: Path | None,
) -> tuple[TrainingResult, str | None]:
    """Store a result and complete its job, or keep it as files where its database takes nothing.

    Parameters
    ----------
    job : mapping
        What `pipeline.results.access.ownership.new_job` takes.
    folder : Path or None
        Where it is kept (`pipeline.results.artifacts.unstored_result`); beside the artifacts where
        that cannot be written, and where it is None.

    Returns
    -------
    TrainingResult
        With what only the database could tell.
    str or None
        Id of the configuration; None when nothing admissible was found.

    Raises
    ------
    UnreachableError, DiskFullError, NotStoredError
        When the result is kept: it says how to store it.
    """
    storage, now = trained.config.storage, datetime.now(UTC)
    root = Path(storage.artifacts)
    folder = folder or root / FOLDER / job_id
    record = configuration_of(trained, new_configuration_id(trained.strategy, now), job_id, now)
    artifacts = None if trained.parameters is None else artifacts_of(trained)

    def place() -> _Placed:
        assert artifacts is not None
        folder = root / write_artifacts(root, record.id, artifacts)
        return folder, digests_of(folder)

    places = dict.fromkeys((folder, root / FOLDER / job_id))

    def kept() -> str:
        """Keep the result unless it is kept already; say where, or that it is nowhere."""
        for one in places:
            with suppress(OSError, UserError):
                if not is_kept(one):
                    row = None if artifacts is None else record
                    write_parcel(one, job_id, job, row, artifacts)
                return _where(one, storage)
        return (
            f"The result could not be kept in {' or '.join(map(str, places))} either. Make room,"
            " then run the same command again; a sweep takes retry_failed=true as well."
        )

    for one in places:
        remove_parcel(one)  # of an earlier try, and of no use
    # Before what may wait: a process may end while it waits. Its files are written twice so, for a
    # hundredth of the training's time. Links would be one file under two names, which one edit
    # spoils for both; moved files would leave half a result until the row is there.
    kept()
    with _telling(repository, job_id, kept):
        record = _with_earlier_searches(repository, record)
        _write(repository, job_id, None if artifacts is None else record, place)
    for one in places:
        remove_parcel(one)
    statistics = trained.statistics | {_EARLIER: record.statistics[_EARLIER]}
    trained = replace(trained, statistics=statistics)
    return trained, None if artifacts is None else record.id


def store_running(parcel: Parcel, repository: Repository, storage: StorageConfig) -> None:
    """Store a result kept beside the artifacts whose job this process runs, and remove the files.

    Raises
    ------
    UnreachableError, DiskFullError, NotStoredError
        When the result stays where it is.
    """
    root = Path(storage.artifacts)
    folder = root / FOLDER / parcel.job_id
    with _telling(repository, parcel.job_id, lambda: _where(folder, storage)):
        _store_parcel(parcel, repository, root)
    remove_parcel(folder)


def _where(folder: Path, storage: StorageConfig) -> str:
    dash = "./" if str(folder).startswith("-") else ""  # no option
    command = typed("scripts/store", f"{dash}{folder}", **storage.places)
    address = " The dots are the address given here." if "storage.url=..." in command else ""
    return f"The result is kept: {command} stores it.{address}"


@contextmanager
def _telling(repository: Repository, job_id: str, kept: Callable[[], str]) -> Iterator[None]:
    """Add what ``kept`` says, where the result is, to what stops it from being stored."""
    try:
        yield
    except KeyboardInterrupt:
        tell(kept())
        raise
    except IllegalTransitionError as error:
        raise NotStoredError(f"{ended_elsewhere(repository, job_id, error)} {kept()}") from None
    except (*UNSTORED, UserError, OSError) as error:
        kind: type[UserError] = (
            DiskFullError if isinstance(error, DiskFullError) else NotStoredError
        )
        if isinstance(error, UNSTORED):
            kind = type(error) if isinstance(error, UnreachableError) else UnreachableError
        said = str(error).replace(AND_AGAIN, ".")
        if not isinstance(error, UserError | UnknownIdError):
            what = "database" if isinstance(error, SQLAlchemyError) else "system"
            said = f"The {what} failed: {first_line(error)}."
        raise kind(f"{said} {kept()}") from None
    except Exception as error:
        error.add_note(kept())
        raise


def ended_elsewhere(repository: Repository, job_id: str, error: IllegalTransitionError) -> str:
    """Say what another process made of a job that this one runs, and why."""
    if isinstance(error, NotOwnerError):
        return "Another process took this job over."
    reason = None
    with suppress(*UNSTORED):
        reason = repository.jobs.read(job_id).error
    why = f": {reason.rstrip('.')}" if reason else ""
    return f"Another process marked this job {error.status}{why}."


def store_parcel(parcel: Parcel, repository: Repository, root: Path) -> bool:
    """Store a result that was kept, with its artifacts below ``root``; False: it is stored already.

    Raises
    ------
    ConflictError
        When a living process runs its job again, it was completed with another result, or what is
        stored of this one is not what was kept.
    """
    configuration, stored = parcel.configuration, repository.configurations.holds
    lost = configuration is not None and not stored(configuration.id, parcel.digests)
    if not repository.jobs.adopt(parcel.job_id, parcel.job, lost=lost):
        if configuration is not None:
            if not stored(configuration.id, parcel.digests):
                raise ConflictError(
                    f"Job {parcel.job_id} is complete with another result than {configuration.id},"
                    " so this one is not stored."
                )
            unpack(parcel, root)  # a row whose run could not know that it was written
        return False
    try:
        _store_parcel(parcel, repository, root)
    except Exception as error:
        with suppress(IllegalTransitionError, *UNSTORED):
            repository.jobs.fail(parcel.job_id, f"It could not be stored: {error}")
        raise
    return True


def _store_parcel(parcel: Parcel, repository: Repository, root: Path) -> None:
    record = parcel.configuration
    if record is not None:
        record = _with_earlier_searches(repository, record)
    _write(repository, parcel.job_id, record, lambda: (unpack(parcel, root), parcel.digests))


def _write(
    repository: Repository,
    job_id: str,
    configuration: Configuration | None,
    place: Callable[[], _Placed],
) -> None:
    """Store a configuration with its artifacts and complete the job.

    ``place`` writes the artifacts, then one transaction writes the configuration and ends the job.
    Without a configuration the job is complete alone: nothing admissible was found.
    """
    if configuration is None:
        repository.jobs.complete(job_id)
        return
    folder, digests = place()
    try:
        repository.configurations.save(replace(configuration, artifact_digests=digests))
    except BaseException as error:
        # An interrupt may arrive after the transaction: a row must not lose its artifacts.
        repository.patience.shorten(HURRY)
        stored = False
        with suppress(*UNSTORED):
            stored = not isinstance(error, UNSTORED) and repository.configurations.exists(
                configuration.id
            )
        if folder is not None and not stored:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _with_earlier_searches(repository: Repository, record: Configuration) -> Configuration:
    """Count the searches of the same market and days, and what they do to p.

    They decide no stage: it would depend on what else a database holds. Of two jobs at once the one
    that is stored last counts the other.
    """
    names = ("exchange", "pair", "timeframe", "synthetic", "provenance", "job_id")
    search = {name: getattr(record, name) for name in names}
    others = repository.configurations.earlier_searches(**search)
    p_after = after_searches(record.statistics["p_value"], others.count)
    earlier = jsonable({"count": others.count, "p_after": p_after})
    if others.uncounted:
        earlier["uncounted"] = list(others.uncounted)
    return replace(record, statistics=record.statistics | {_EARLIER: earlier})
