"""Keep a result that no database takes as a folder of files, and read it back.

The folder ``unstored`` holds the job (``job.json``), the configuration (``configuration.json``,
null where nothing admissible was found), its artifacts and the digests of all of them
(``SHA256SUMS``, which ``sha256sum -c`` reads too). It is there whole or not at all.
"""

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.errors import NotFoundError, UserError
from pipeline.results.artifacts import ArtifactSet, write_artifacts
from pipeline.results.file_digests import sha256_of
from pipeline.results.jsonable import dumps, jsonable
from pipeline.results.records import Configuration

FOLDER, _SUMS, _ARTIFACTS = "unstored", "SHA256SUMS", "artifacts"


@dataclass(frozen=True)
class Parcel:
    """A result that was kept.

    ``job`` is what `pipeline.results.jobs.new_job` takes, ``artifacts`` the folder of the
    configuration's files; both this and the configuration are None where nothing was found.
    """

    job_id: str
    job: Mapping[str, Any]
    configuration: Configuration | None
    artifacts: Path | None


def write_parcel(
    folder: Path,
    job_id: str,
    job: Mapping[str, Any],
    configuration: Configuration | None,
    artifacts: ArtifactSet | None,
) -> None:
    """Write ``folder/unstored``, in place of what an earlier try left there.

    Raises
    ------
    OSError
        When it cannot be written.
    """
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
        shutil.rmtree(place, ignore_errors=True)
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read_parcel(folder: Path) -> Parcel:
    """Read back what `write_parcel` wrote, with every digest checked.

    Raises
    ------
    NotFoundError
        When nothing was kept there.
    UserError
        When a file is missing, is one too many, or is not as it was written.
    """
    place = folder / FOLDER
    try:
        lines = (place / _SUMS).read_text("utf-8").splitlines()
    except OSError:
        raise NotFoundError(
            f"{folder} keeps no result that waits to be stored ({place / _SUMS} is not there). Name"
            " the folder that the run said."
        ) from None
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    present = _digests(place)
    present.pop(_SUMS)
    if differing := sorted(n for n in sums.keys() | present if sums.get(n) != present.get(n)):
        raise UserError(
            f"{place / differing[0]} is not as the run wrote it, so nothing of {place} is stored."
        )
    job = json.loads((place / "job.json").read_text("utf-8"))
    row = json.loads((place / "configuration.json").read_text("utf-8"))
    if row is None:
        return Parcel(job.pop("id"), job, None, None)
    row["created_at"] = datetime.fromisoformat(row["created_at"])
    configuration = Configuration(**row)
    return Parcel(job.pop("id"), job, configuration, place / _ARTIFACTS / configuration.id)


def unpack(parcel: Parcel, root: Path) -> Path | None:
    """Copy the artifacts of a parcel below ``root``; None where they are there, or there are none.

    Returns
    -------
    Path or None
        The new folder.
    """
    if parcel.artifacts is None:
        return None
    place = root / parcel.artifacts.name
    draft = root / f".{place.name}.{uuid.uuid4().hex}"
    if place.is_dir():
        return None
    try:
        shutil.copytree(parcel.artifacts, draft)
        return draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in folder.rglob("*")
        if path.is_file()
    }
