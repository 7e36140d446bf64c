"""Events move a configuration's stage and document, all or nothing, on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from pipeline.errors import StageMovedError, UnknownIdError
from pipeline.results.database import Repository
from pipeline.results.records import Configuration, ConfigurationEvent


@pytest.fixture
def stored(
    repository: Repository, running_job: str, example: Callable[..., Configuration]
) -> Configuration:
    record = example(running_job)
    repository.configurations.save(record)
    return record


def event(configuration_id: str, **changes: Any) -> ConfigurationEvent:
    fields: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "configuration_id": configuration_id,
        "at": datetime(2023, 5, 6, tzinfo=UTC),
        "kind": "monitor",
        "from_stage": "VALIDATION",
        "to_stage": "DECAY",
        "reason": "It lost.",
        "figures": {"data_hash": "abc", "new": {"net_profit": -0.1}},
    }
    return ConfigurationEvent(**(fields | changes))


def test_an_event_moves_the_stage_and_is_read_back(
    repository: Repository, stored: Configuration
) -> None:
    one = event(stored.id)
    assert repository.configurations.record_event(one, lambda _: {"status": "DECAY"}) is True
    first, *later = repository.configurations.events(stored.id)
    assert (first.kind, first.from_stage, first.to_stage) == ("stored", *["VALIDATION"] * 2)
    assert later == [one]
    after = repository.configurations.read(stored.id)
    assert (after.lifecycle_stage, after.document) == ("DECAY", {"status": "DECAY"})


def test_the_document_changes_from_what_it_is_by_then(
    repository: Repository, stored: Configuration
) -> None:
    first, second = (
        event(stored.id, to_stage="VALIDATION", figures={}),
        event(stored.id, figures={}),
    )
    repository.configurations.record_event(first, lambda _: {"status": "VALIDATION", "fills": 0.7})
    repository.configurations.record_event(second, lambda document: document | {"status": "DECAY"})
    assert repository.configurations.read(stored.id).document == {"status": "DECAY", "fills": 0.7}


def test_events_come_in_the_order_in_which_they_were_recorded(
    repository: Repository, stored: Configuration
) -> None:
    for day, data_hash in ((7, "b"), (6, "a"), (8, "c")):
        at = datetime(2023, 5, day, tzinfo=UTC)
        one = event(stored.id, at=at, to_stage="VALIDATION", figures={"data_hash": data_hash})
        assert repository.configurations.record_event(one, lambda _: stored.document)
    _, *later = repository.configurations.events(stored.id)
    assert [one.figures["data_hash"] for one in later] == ["b", "a", "c"]


def test_the_same_candles_change_nothing(repository: Repository, stored: Configuration) -> None:
    repository.configurations.record_event(
        event(stored.id, to_stage="VALIDATION"), lambda _: {"status": "VALIDATION"}
    )
    assert (
        repository.configurations.record_event(event(stored.id), lambda _: {"status": "DECAY"})
        is False
    )
    after = repository.configurations.read(stored.id)
    assert (after.lifecycle_stage, after.document) == ("VALIDATION", {"status": "VALIDATION"})
    assert len(repository.configurations.events(stored.id)) == 1 + 1


def test_another_kind_or_no_hash_is_not_the_same(
    repository: Repository, stored: Configuration
) -> None:
    for changes in ({}, {"kind": "other"}, {"figures": {}}, {"figures": {}}):
        one = event(stored.id, **({"to_stage": "VALIDATION"} | changes))
        assert repository.configurations.record_event(one, lambda _: stored.document) is True
    assert len(repository.configurations.events(stored.id)) == 1 + 4


def test_a_stage_that_moved_meanwhile_is_left_alone(
    repository: Repository, stored: Configuration
) -> None:
    with pytest.raises(StageMovedError, match="is in VALIDATION, not in MATURE"):
        repository.configurations.record_event(
            event(stored.id, from_stage="MATURE"), lambda _: {"status": "DECAY"}
        )
    assert repository.configurations.read(stored.id) == stored
    assert [one.kind for one in repository.configurations.events(stored.id)] == ["stored"]


def test_an_event_that_cannot_be_stored_moves_nothing(
    repository: Repository, stored: Configuration
) -> None:
    with pytest.raises(IntegrityError):
        repository.configurations.record_event(
            event(stored.id, to_stage="NOWHERE"), lambda _: {"status": "DECAY"}
        )
    assert repository.configurations.read(stored.id) == stored


def test_an_event_of_nothing(repository: Repository) -> None:
    with pytest.raises(UnknownIdError):
        repository.configurations.record_event(event("none"), lambda _: {})


def test_ids_newest_first(
    repository: Repository, example_job: dict[str, Any], example: Callable[..., Configuration]
) -> None:
    ids = []
    for day in (1, 3, 2):
        job_id = repository.jobs.create(**example_job)
        repository.jobs.start(job_id)
        created = datetime(2023, 1, day, tzinfo=UTC)
        record = example(job_id, created_at=created)
        repository.configurations.save(record)
        ids.append(record.id)
    assert repository.configurations.ids() == [ids[1], ids[2], ids[0]]
