"""A kept result is stored as it was kept, whatever lies where its artifacts go."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from gpu_engine import TRADE
from pipeline.config import StorageConfig
from pipeline.errors import UserError
from pipeline.results.artifacts.artifact_set import ArtifactSet, DailySeries
from pipeline.results.artifacts.digests import differences, digests_of
from pipeline.results.artifacts.unstored_result import Parcel, read_parcel, write_parcel
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.results.rows.configurations import Configurations
from pipeline.training import storing

DAYS = np.arange(19_358, 19_388, dtype=np.int32)
SERIES = DailySeries(DAYS, np.linspace(-0.01, 0.01, 30))
ARTIFACTS = ArtifactSet(SERIES, SERIES, np.zeros(2, TRADE), [{"train": [0, 30]}])
KEPT = Path("unstored")
SEARCH = {
    "config_hash": "c0",
    "data_hash": "da",
    "seed": 7,
    "first_candle": "2023-01-01T00:00:00+00:00",
    "last_candle": "2023-01-31T00:00:00+00:00",
}


@pytest.fixture
def kept(
    tmp_path: Path,
    running_job: str,
    example_job: dict[str, Any],
    example: Callable[..., Configuration],
) -> Path:
    """The folder of a run that kept its result; its job runs."""
    record = example(running_job, artifacts="its folder", provenance=SEARCH)
    write_parcel(tmp_path / "run", running_job, example_job, record, ARTIFACTS)
    return tmp_path / "run"


@pytest.fixture
def store(repository: Repository, kept: Path, tmp_path: Path) -> Callable[[], bool]:
    """Store what was kept, as a process that finds its owner gone."""

    def store() -> bool:
        with repository.transaction() as session:
            session.execute(text("UPDATE training_jobs SET owner = 'long ago'"))
        return storing.store_parcel(read_parcel(kept), repository, tmp_path / "artifacts")

    return store


def as_kept(parcel: Parcel, repository: Repository, root: Path) -> bool:
    """Tell whether row and folder are those of the parcel, and nothing else is left."""
    assert parcel.configuration is not None
    row, name = repository.configurations.read(parcel.configuration.id), parcel.configuration.id
    assert [path.name for path in root.iterdir()] == [name]
    assert sorted(parcel.digests) == [
        "in_sample.parquet", "out_of_sample.parquet", "trades.parquet", "windows.json",
    ]  # fmt: skip
    return row.artifact_digests == parcel.digests == digests_of(root / name)


def emptied(place: Path) -> None:
    place.mkdir()


def truncated(place: Path) -> None:
    place.mkdir()
    (place / "trades.parquet").write_bytes(b"PAR1")


def a_file(place: Path) -> None:
    place.write_text("mine")


def a_dangling_link(place: Path) -> None:
    place.symlink_to("nowhere")


@pytest.mark.parametrize("present", [emptied, truncated, a_file, a_dangling_link])
@pytest.mark.parametrize("again", [False, True])
def test_what_lies_there_is_replaced_by_what_was_kept(
    repository: Repository,
    store: Callable[[], bool],
    kept: Path,
    tmp_path: Path,
    present: Callable[[Path], None],
    *,
    again: bool,
) -> None:
    parcel, root = read_parcel(kept), tmp_path / "artifacts"
    root.mkdir()
    assert parcel.artifacts is not None
    if again:
        assert store()
        shutil.rmtree(root / parcel.artifacts.name)
    present(root / parcel.artifacts.name)
    assert store() is not again
    assert as_kept(parcel, repository, root)


def test_one_changed_byte_of_the_artifacts_is_replaced(
    repository: Repository, store: Callable[[], bool], kept: Path, tmp_path: Path
) -> None:
    parcel, root = read_parcel(kept), tmp_path / "artifacts"
    assert parcel.artifacts is not None
    shutil.copytree(parcel.artifacts, root / parcel.artifacts.name)
    edited = root / parcel.artifacts.name / "windows.json"
    edited.write_text(edited.read_text("utf-8").replace("30", "31"), "utf-8")
    assert store()
    assert as_kept(parcel, repository, root)


def test_the_worker_of_a_job_stores_what_was_kept(
    repository: Repository,
    running_job: str,
    example_job: dict[str, Any],
    example: Callable[..., Configuration],
    tmp_path: Path,
) -> None:
    folder, record = (
        tmp_path / "unstored" / running_job,
        example(running_job, artifacts="x", provenance=SEARCH),
    )
    write_parcel(folder, running_job, example_job, record, ARTIFACTS)
    (tmp_path / record.id).mkdir()
    parcel = read_parcel(folder)
    place = StorageConfig(url="sqlite:///unused", artifacts=str(tmp_path), patience=0)
    storing.store_running(parcel, repository, place)
    assert repository.configurations.read(record.id).artifact_digests == parcel.digests
    assert differences(tmp_path / record.id, parcel.digests) == []
    assert not folder.exists()


def test_a_configuration_whose_row_is_gone_is_stored_again(
    repository: Repository, store: Callable[[], bool], kept: Path, tmp_path: Path
) -> None:
    parcel = read_parcel(kept)
    assert (store(), store()) == (True, False)
    with repository.transaction() as session:
        session.execute(text("DELETE FROM configuration_events"))
        session.execute(text("DELETE FROM trained_configurations"))
    assert (store(), store()) == (True, False)
    assert repository.jobs.read(parcel.job_id).status == "completed"
    assert as_kept(parcel, repository, tmp_path / "artifacts")


def test_a_row_with_other_artifacts_is_not_called_stored(
    repository: Repository, store: Callable[[], bool], tmp_path: Path
) -> None:
    assert store()
    with repository.transaction() as session:
        session.execute(text("UPDATE trained_configurations SET artifact_digests = '{}'"))
    with pytest.raises(UserError, match="its artifacts are others than those that the run wrote"):
        store()


def test_a_job_that_is_complete_with_another_result_keeps_it(
    repository: Repository,
    store: Callable[[], bool],
    kept: Path,
    running_job: str,
    example: Callable[..., Configuration],
) -> None:
    repository.configurations.save(example(running_job, id="ANOTHER"))
    with pytest.raises(UserError, match="is complete with another result"):
        store()
    assert [one.id for one in repository.configurations.find()] == ["ANOTHER"]


def pipe_beside(place: Path) -> str:
    os.mkfifo(place / "artifacts/pipe")
    return "artifacts/pipe"


def pipe_as_sums(place: Path) -> str:
    (place / "SHA256SUMS").unlink()
    os.mkfifo(place / "SHA256SUMS")
    return "SHA256SUMS"


def sums_in_latin(place: Path) -> str:
    (place / "SHA256SUMS").write_bytes(b"\xe9\xff")
    return "SHA256SUMS"


def link_to_the_same(place: Path) -> str:
    (place / "job.json").rename(place.parent / "job.json")
    (place / "job.json").symlink_to(place.parent / "job.json")
    return "job.json"


SPOILS = [pipe_beside, pipe_as_sums, sums_in_latin, link_to_the_same]


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_the_run_did_not_write_is_named(kept: Path, spoil: Callable[[Path], str]) -> None:
    name = spoil(kept / KEPT)
    with pytest.raises(UserError, match=f"{kept / KEPT / name}.* is not as the run wrote it"):
        read_parcel(kept)


@pytest.mark.parametrize("file", ["job.json", "configuration.json"])
def test_a_field_that_this_version_does_not_know(kept: Path, file: str) -> None:
    path, sums = kept / KEPT / file, kept / KEPT / "SHA256SUMS"
    before = sha256(path.read_bytes()).hexdigest()
    path.write_text(path.read_text("utf-8").replace("{", '{"horizon": 3, ', 1), "utf-8")
    after = sha256(path.read_bytes()).hexdigest()
    sums.write_text(sums.read_text("utf-8").replace(before, after), "utf-8")
    with pytest.raises(UserError, match=r"kept by another version of this program \(.*horizon"):
        read_parcel(kept)


@pytest.mark.parametrize(
    ("folder", "other"),
    [
        ("runs/2026-11-29/12-00-00-7", "runs/2026-11-20/09-30-00-1"),
        ("multirun/2026-11-29/12-00-00-7/1", "multirun/2026-11-20/09-30-00-1/0"),
        ("artifacts/unstored/a1", "artifacts/unstored/b2"),
        ("mine", "yours"),
    ],
)
def test_drafts_that_a_killed_process_left_are_removed_after_a_day(
    tmp_path: Path, example_job: dict[str, Any], folder: str, other: str
) -> None:
    beside, yesterday = tmp_path / other, time.time() - 25 * 3600
    old, fresh = (beside / f".unstored.{digit * 32}" for digit in "ab")
    others = [beside / "unstored", beside / ".unstored.mine", tmp_path / f"a/b/c/{old.name}"]
    for path in (old, fresh, *others):
        path.mkdir(parents=True)
        (path / "job.json").write_text("half")
    for path in (old, *others):
        os.utime(path, (yesterday, yesterday))
    write_parcel(tmp_path / folder, "a1", example_job, None, None)
    assert not old.exists()
    assert all((path / "job.json").is_file() for path in (fresh, *others))
    for path in beside.iterdir():
        shutil.rmtree(path)
    shutil.copytree(others[2], old)
    os.utime(old, (yesterday, yesterday))
    write_parcel(tmp_path / folder, "a1", example_job, None, None)
    assert beside.exists() == (beside.parent.name != "unstored")  # the folder was made for it


def test_what_cannot_be_kept_leaves_nothing(
    tmp_path: Path, example_job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("pipeline.results.artifacts.unstored_result.replace_folder", full)
    with pytest.raises(OSError, match=str(errno.ENOSPC)):
        write_parcel(tmp_path / "unstored/a1", "a1", example_job, None, None)
    assert list((tmp_path / "unstored").iterdir()) == []


def test_what_is_stored_was_on_the_disk_before_its_row(
    store: Callable[[], bool], kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, flush = set(), os.fsync

    def recorded(descriptor: int) -> None:
        flushed.add(os.fstat(descriptor).st_ino)
        flush(descriptor)

    def row(*_: object) -> None:
        place = tmp_path / "artifacts" / parcel.artifacts.name
        assert {path.stat().st_ino for path in (place.parent, place, *place.iterdir())} <= flushed
        raise InterruptedError

    parcel = read_parcel(kept)
    assert parcel.artifacts is not None
    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(Configurations, "save", row)
    with pytest.raises(InterruptedError):
        store()
