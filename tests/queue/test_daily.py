"""What is switched on is verified once a day; what does not agree is refused until it does."""

from datetime import timedelta

import pytest

from pipeline import verify
from pipeline.config import StorageConfig
from pipeline.queue import daily
from pipeline.queue.daily import DailyChecks
from pipeline.results.database import open_database
from pipeline.results.records import utc_now
from pipeline.web.service.active import ActiveList
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
    assert checks.look() == daily.LOOK_EVERY
    assert identity in told.pop()
    assert served(repository, storage) == ([], ["its verification found: trades[3].ret"])
    checks.look()
    assert len(statuses) == 1, "it is due tomorrow"
    assert repository.checks.due(utc_now() + timedelta(seconds=1)) == [identity]
    monkeypatch.setattr(daily, "DAY", timedelta(0))
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
    assert "its verification found: " in reason
    artifact.write_text(text)
    ids, (reason,) = served(repository, storage)
    assert ids == []
    assert reason.startswith("its verification found: ")
    assert command(verify, fading.folder, identity, "--daily").status == 0
    assert served(repository, storage) == ([identity], [])


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
