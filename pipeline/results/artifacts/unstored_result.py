"""Keep a result that no database takes as a folder of files, and read it back.

The folder ``unstored`` holds the job (``job.json``), the configuration (``configuration.json``,
null where nothing admissible was found), its artifacts and the digests of all of them
(``SHA256SUMS``, which ``sha256sum -c`` reads too). It is there whole or not at all.
"""

import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.errors import NotFoundError, UserError
from pipeline.market_data.store.atomic_files import remove_abandoned, replace_folder
from pipeline.results.access.ownership import new_job
from pipeline.results.artifacts.artifact_set import ArtifactSet, unwritable, write_artifacts
from pipeline.results.artifacts.digests import differences, digest_of
from pipeline.results.jsonable import dumps, jsonable
from pipeline.results.records import Configuration

FOLDER, _SUMS, _ARTIFACTS = "unstored", "SHA256SUMS", "artifacts"

#: Name of the folder that holds the runs of one day (conf/hydra_settings.yaml).
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Parcel:
    """A result that was kept.

    ``job`` is what `pipeline.results.access.ownership.new_job` takes, ``artifacts`` the folder of
    the configuration's files; both this and the configuration are None where nothing was found.
    ``digests`` are those of these files by name, as the run wrote them.
    """

    job_id: str
    job: Mapping[str, Any]
    configuration: Configuration | None
    artifacts: Path | None
    digests: dict[str, str]


def write_parcel(
    folder: Path,
    job_id: str,
    job: Mapping[str, Any],
    configuration: Configuration | None,
    artifacts: ArtifactSet | None,
) -> None:
    """Write ``folder/unstored``, in place of what an earlier try left there.

    Drafts that processes left beside it, in the folders of other runs or jobs, are removed as those
    among the artifacts are (`pipeline.results.artifacts.artifact_set.check_root`).

    Raises
    ------
    OSError
        When it cannot be written.
    """
    _remove_abandoned(folder)
    draft, place = folder / f".{FOLDER}.{uuid.uuid4().hex}", folder / FOLDER
    try:
        draft.mkdir(parents=True)
        (draft / "job.json").write_text(dumps(jsonable({"id": job_id, **job})), "utf-8")
        row = None if configuration is None else vars(configuration)
        (draft / "configuration.json").write_text(dumps(jsonable(row)), "utf-8")
        if configuration is not None and artifacts is not None:
            write_artifacts(draft / _ARTIFACTS, configuration.id, artifacts)
        sums = (f"{digest}  {name}\n" for name, digest in sorted(_digests(draft).items()))
        (draft / _SUMS).write_text("".join(sums), "utf-8")
        replace_folder(draft, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        _remove_empty(folder)


def is_kept(folder: Path) -> bool:
    """Tell whether `write_parcel` has written there."""
    return (folder / FOLDER / _SUMS).is_file()


def read_parcel(folder: Path) -> Parcel:
    """Read back what `write_parcel` wrote, with every digest checked.

    Raises
    ------
    NotFoundError
        When nothing was kept there.
    UserError
        When a file is missing, is one too many, or is not as it was written, or when another
        version of the program wrote it.
    """
    place = folder / FOLDER
    if not (place / _SUMS).exists():
        raise NotFoundError(
            f"{folder} keeps no result that waits to be stored ({place / _SUMS} is not there). Name"
            " the folder that the run said."
        )
    present = _digests(place)
    sums = _sums(place / _SUMS) if present.pop(_SUMS) else {}
    names = [n for n in sums.keys() | present if not sums.get(n) or sums[n] != present.get(n)]
    if names or not sums:
        raise UserError(
            f"{place / (min(names) if sums else _SUMS)} is not as the run wrote it, so nothing of"
            f" {place} is stored."
        )
    with _of_this_version(place):
        job = json.loads((place / "job.json").read_text("utf-8"))
        row = json.loads((place / "configuration.json").read_text("utf-8"))
        job_id = job.pop("id")
        new_job(**job)
        if row is None:
            return Parcel(job_id, job, None, None, {})
        row["created_at"] = datetime.fromisoformat(row["created_at"])
        configuration = Configuration(**row)
    files = f"{_ARTIFACTS}/{configuration.id}/"
    digests = {n.removeprefix(files): digest for n, digest in sums.items() if n.startswith(files)}
    return Parcel(job_id, job, configuration, place / files, digests)


def _sums(path: Path) -> dict[str, str]:
    """Read digests by the name of their file; none of a file that is no text."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


@contextmanager
def _of_this_version(place: Path) -> Iterator[None]:
    """Say of what is unknown, or missing, in the rows of a parcel that another version wrote it."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise UserError(
            f"{place} was kept by another version of this program ({error}): store it with the"
            " version that trained it, or train the market again with this one."
        ) from None


def unpack(parcel: Parcel, root: Path) -> Path | None:
    """Copy the artifacts of a parcel below ``root``, in place of anything else that lies there.

    Returns
    -------
    Path or None
        The new folder; None where the very same files were there, or there are none.

    Raises
    ------
    DiskFullError, UserError
        When they are no longer those that were read, or ``root`` cannot be written to.
    """
    if parcel.artifacts is None:
        return None
    place = root / parcel.artifacts.name
    draft = root / f".{place.name}.{uuid.uuid4().hex}"
    if not differences(place, parcel.digests):
        return None
    try:
        draft.mkdir(parents=True)
        for path in parcel.artifacts.iterdir():  # one by one: each error has its number
            shutil.copyfile(path, draft / path.name)
        if clauses := differences(draft, parcel.digests):
            raise UserError(f"{parcel.artifacts} was changed: {'; '.join(clauses)}.")
        replace_folder(draft, place)
    except OSError as error:
        raise unwritable(root, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def remove_parcel(folder: Path) -> None:
    """Remove what `write_parcel` wrote, and the folder that was made for it."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    if folder.parent.name == FOLDER:  # not the run's own
        with suppress(OSError):
            folder.rmdir()


def _remove_abandoned(folder: Path) -> None:
    """Remove old drafts from folders such as this: of the runs of all days, of all jobs."""
    days = [path for path in folder.parents if _DAY.fullmatch(path.name)]
    above = (days or [folder])[0].parent
    folders = "*/" * len(folder.relative_to(above).parts)
    with suppress(OSError):
        for draft in above.glob(f"{folders}.{FOLDER}.*"):
            remove_abandoned([draft])
            _remove_empty(draft.parent)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of all that lies below a folder, by its path there; empty for what is no file."""
    return {
        path.relative_to(folder).as_posix(): digest_of(path)
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
