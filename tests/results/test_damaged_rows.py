"""A row that is gone or cannot be read is named, and stops nothing else."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from pipeline.config import StorageConfig
from pipeline.web.service.active import ActiveList


@pytest.fixture
def store(repository, example_job, example, tmp_path):
    """Store configurations that are switched on; return their ids and what serves them."""
    ids = []
    for _ in range(2):
        job_id = repository.jobs.create(**example_job)
        repository.jobs.start(job_id)
        whole = example(job_id)
        allocation = {"max_position_size": 1.0, "current_allocation": 0.5, "kelly_fraction": 0.1}
        document = whole.document | {"risk_allocation": allocation}
        repository.configurations.save(replace(whole, gates=[], document=document))
        repository.configurations.set_active(whole.id, True, "a dry run", forced=True)
        ids.append(whole.id)
    return ids, ActiveList(
        repository, StorageConfig(url="sqlite://", artifacts=str(tmp_path), patience=0)
    )


def change(repository, statement, **values):
    with repository.engine.begin() as connection:
        connection.execute(text(statement), values)


def test_a_refused_configuration_that_is_deleted_is_left_out(repository, store):
    (first, other), served = store
    edit = "UPDATE trained_configurations SET sample_size = 41 WHERE id = :id"
    change(repository, edit, id=first)
    before = served.read()
    assert [one.id for one in before.refused] == [first]
    for table, column in (
        ("configuration_events", "configuration_id"),
        (
            "trained_configurations",
            "id",
        ),
    ):
        change(repository, f"DELETE FROM {table} WHERE {column} = :id", id=first)
    assert served.tag() != before.etag
    after = served.read()
    assert ([one.id for one in after.configurations], after.refused) == ([other], [])
    assert served.tag() == after.etag
