"""What is switched on is verified once a day; what does not agree is refused until it does."""

from datetime import timedelta

import pytest

from pipeline import verify
from pipeline.config import StorageConfig
from pipeline.queue import supervisor
from pipeline.queue.supervisor import DailyChecks
from pipeline.results.database import open_database
from pipeline.results.records import utc_now
from pipeline.web.service.signals import ActiveList
from support.namespaces import after, read_only
from support.stored import command, sql

#: A return of this trade is another than the reference path gives.
SPOILT = "json_set(out_of_sample, '$.sortino_ratio', 9.0)"


@pytest.fixture
def active(fading):
    """Switch the configuration of a training on; yield repository, storage and id."""
    url = f"sqlite:///{fading.folder}/var/trainings.db"
    storage = StorageConfig(url=url, artifacts=f"{fading.folder}/var/artifacts", patience=0)
    with open_database(url) as repository:
        (row,) = repository.configurations.find()
        repository.configurations.set_active(row.id, True, "a dry run", forced=True)
        yield repository, storage, row.id


def served(repository, storage):
    answer = ActiveList(repository, storage).read()
    return [one.id for one in answer.configurations], [one.reason for one in answer.refused]


def test_what_is_due_is_verified_and_told_of(active, monkeypatch):
    repository, storage, identity = active
    statuses, told = [1, 0], []

    def verified(checks, one):
        repository.checks.record(one, "trades[3].ret" if statuses[0] else None)
        return statuses.pop(0)

    monkeypatch.setattr(DailyChecks, "_verify", verified)
    checks = DailyChecks(repository, storage, told.append)
    assert checks.look() == supervisor.CHECK_EVERY
    assert identity in told.pop()
    ids, (reason,) = served(repository, storage)
    assert ids == []
    assert "found: trades[3].ret (scripts/verify" in reason
    checks.look()
    assert len(statuses) == 1, "it is due tomorrow"
    assert repository.checks.due(utc_now() + timedelta(seconds=1)) == [identity]
    monkeypatch.setattr(supervisor, "DAY", timedelta(0))
    checks.look()
    assert served(repository, storage) == ([identity], [])
    kinds = [event.kind for event in repository.configurations.events(identity)]
    assert kinds == ["stored", "activated", "verification", "verification"]
    assert not told


def test_a_verification_of_the_day_keeps_its_outcome(fading, active):
    repository, storage, identity = active
    assert command(verify, fading.folder, identity, "--daily").status == 0
    assert repository.checks.due(utc_now() - timedelta(hours=1)) == []
    assert served(repository, storage) == ([identity], [])
    (artifact,) = (fading.folder / "var/artifacts").glob("*/windows.json")
    text = artifact.read_text()
    artifact.write_text(text.replace("1", "2", 1))
    assert command(verify, fading.folder, identity, "--daily").status == 1
    _, (reason,) = served(repository, storage)
    assert "artifact windows.json is not what was stored; the daily check of " in reason
    artifact.write_text(text)
    ids, (reason,) = served(repository, storage)
    assert ids == []
    assert reason.startswith("the daily check of ")
    end = f"(scripts/verify {identity} --daily looks again)"
    assert reason.endswith(end)
    stored = command(verify, fading.folder, identity, "--stored")
    assert stored.status == 0
    assert f"still refuse it: {reason}." in " ".join(stored.out.split())
    assert command(verify, fading.folder, identity, "--daily").status == 0
    assert "still refuse" not in command(verify, fading.folder, identity, "--stored").out
    assert served(repository, storage) == ([identity], [])


def test_what_the_daily_check_found_stands_once(fading, active):
    repository, storage, identity = active
    (artifact,) = (fading.folder / "var/artifacts").glob("*/trades.parquet")
    clause = "artifact trades.parquet is not what was stored"
    repository.checks.record(identity, clause)
    artifact.write_bytes(artifact.read_bytes()[:-1])
    _, (reason,) = served(repository, storage)
    assert reason.count(clause) == 1
    assert reason.startswith("the daily check of ")


@pytest.mark.parametrize("empty", [True, False])
def test_a_disk_that_is_not_mounted_is_no_edit(fading, active, empty):
    repository, storage, identity = active
    root = fading.folder / "var/artifacts"
    root.rename(away := fading.folder / "away")
    if empty:
        root.mkdir()
    before = repository.checks.heads(identity)
    ended = command(verify, fading.folder, identity, "--daily")
    assert (ended.status, ended.out) == (2, "")
    assert "storage.artifacts=FOLDER" in ended.err
    assert repository.checks.heads(identity) == before
    assert repository.checks.due(utc_now() - timedelta(hours=1)) == [identity], "it looks again"
    ids, (reason,) = served(repository, storage)
    assert (ids, "its artifacts cannot be compared: " in reason) == ([], True)
    if empty:
        root.rmdir()
    away.rename(root)
    assert served(repository, storage) == ([identity], [])


def test_a_folder_that_is_gone_from_its_root_is_a_difference(fading, active):
    repository, storage, identity = active
    root = fading.folder / "var/artifacts"
    (root / "of_another").mkdir()
    (root / identity).rename(fading.folder / "away")
    assert command(verify, fading.folder, identity, "--daily").status == 1
    (fading.folder / "away").rename(root / identity)
    ids, (reason,) = served(repository, storage)
    assert (ids, "found: the artifacts cannot be read: No such file" in reason) == ([], True)


def test_where_nothing_may_be_written_the_outcome_is_said_and_not_kept(fading, active):
    repository, _, identity = active
    repository.close()
    words = ["verify", identity, "--daily"]
    (ended,) = after(read_only(fading.folder / "var"), fading.folder, words)
    assert ended.status == 0, ended.err
    assert "is not kept: this database may only be read" in " ".join(ended.out.split())
    with open_database(f"sqlite:///{fading.folder}/var/trainings.db") as again:
        assert again.checks.due(utc_now() - timedelta(hours=1)) == [identity]


def test_a_day_without_its_candles_compares_what_is_stored(fading, active):
    repository, storage, identity = active
    (fading.folder / "candles.parquet").unlink()
    finished = command(verify, fading.folder, identity, "--daily")
    assert finished.status == 2
    assert "Nothing was computed again: " in finished.out
    assert "Verified" not in finished.out
    assert repository.checks.due(utc_now() - timedelta(hours=1)) == [identity]
    assert served(repository, storage) == ([identity], [])
    sql(fading, f"UPDATE trained_configurations SET out_of_sample = {SPOILT}")
    finished = command(verify, fading.folder, identity, "--daily")
    assert finished.status == 1
    assert "NOT verified: column out_of_sample is not what was stored" in finished.out
    assert served(repository, storage) == ([], ["column out_of_sample is not what was stored"])


@pytest.mark.slow
def test_a_process_of_its_own_verifies(active, fading, monkeypatch):
    monkeypatch.chdir(fading.folder)
    repository, storage, identity = active
    told = []
    DailyChecks(repository, storage, told.append).look()
    assert repository.checks.due(utc_now() - timedelta(hours=1)) == []
    assert not told
    sql(fading, "UPDATE trained_configurations SET sample_size = 9, verified_at = NULL")
    DailyChecks(repository, storage, told.append).look()
    assert identity in told[0]
