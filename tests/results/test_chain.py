"""The audit trail vouches for the row: whatever is edited by hand no longer agrees with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from pipeline.results.damage import DamagedRowError
from pipeline.results.database import Repository
from pipeline.results.jsonable import dumps
from pipeline.results.records import Configuration, ConfigurationEvent, Judgement
from pipeline.results.rows import chain
from pipeline.results.rows.checks import Checked

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
#: Numbers whose text is another after a way through PostgreSQL.
NUMBERS = [1e22, 1e23, -0.0, 1.0, 5e-324, 1.7976931348623157e308, 0.1, 2**63 - 1, 1e-7, 2.0**53]


@given(VALUES)
def test_a_digest_survives_the_way_through_json(value: Any) -> None:
    assert chain.digest(json.loads(dumps(value))) == chain.digest(value)


@given(st.dictionaries(st.text(), SCALARS, min_size=2))
def test_the_order_of_names_says_nothing(value: dict[str, Any]) -> None:
    assert chain.digest(dict(reversed(value.items()))) == chain.digest(value)


@given(SCALARS, SCALARS)
def test_two_values_have_one_digest_only_where_they_are_equal(one: Any, two: Any) -> None:
    one, two = json.loads(dumps(one)), json.loads(dumps(two))
    same = one == two and isinstance(one, bool) == isinstance(two, bool)
    assert (chain.digest([one]) == chain.digest([two])) is same


def test_a_digest_is_what_it_always_was() -> None:
    value = {"b": [1.0, 1e22, -0.0, 0.1, None, True], "a": {"é": "\n"}}
    assert chain.canonical(value) == (
        '{"a":{"é":"\\n"},"b":[1,10000000000000000000000,0,0.1,null,true]}'
    )
    assert chain.digest(value) == (
        "d42605982819de1ae0bf28695ee52e9acba32e5d25127c0dfd2478f4aececacb"
    )


@pytest.fixture
def stored(
    repository: Repository, running_job: str, example: Callable[..., Configuration]
) -> Configuration:
    record = example(running_job, provenance={"numbers": NUMBERS, "text": "ünïcode \u2028"})
    repository.configurations.save(record)
    return record


def live(repository: Repository, stored: Configuration) -> None:
    """Give it an event of every kind."""
    configurations = repository.configurations
    configurations.set_active(stored.id, True, "fills look right")
    move = ConfigurationEvent(
        stored.id, "monitor", "VALIDATION", "DECAY", "It lost.", {"n": NUMBERS}
    )
    configurations.record_event(move, lambda document: document | {"status": "DECAY"})
    judgement = Judgement(
        "execution", "PAPER", {"p_value": 0.5}, [], {"status": "PAPER"}, "Few fills.", {"fill": 0.1}
    )
    configurations.rejudge(stored.id, lambda *_: judgement)


def clauses(repository: Repository, stored: Configuration) -> list[str]:
    (checked,) = repository.checks.of([stored.id])
    return list(checked.clauses)


def sql(repository: Repository, statement: str, **values: Any) -> None:
    with repository.engine.begin() as connection:
        connection.execute(text(statement), values)


def test_what_the_program_writes_agrees(repository: Repository, stored: Configuration) -> None:
    assert clauses(repository, stored) == []
    before = repository.checks.heads(stored.id)
    live(repository, stored)
    assert clauses(repository, stored) == []
    repository.configurations.set_active(stored.id, False, "enough")
    assert clauses(repository, stored) == []
    heads = repository.checks.heads(stored.id)
    assert heads[0] == before[0]
    assert {len(head) for head in heads} == {64}
    assert len(set(heads)) == 5


@pytest.mark.parametrize(
    ("edit", "clause"),
    [
        ("trained_configurations SET sample_size = 41", "column sample_size is not what was"),
        ("trained_configurations SET oos_sharpe_ratio = 1.6", "column oos_sharpe_ratio is not"),
        ("trained_configurations SET p_value = NULL", "column p_value is not what was stored"),
        ("trained_configurations SET is_active = false", "column is_active is not what was"),
        ("trained_configurations SET lifecycle_stage = 'MATURE'", "column lifecycle_stage is not"),
        ('trained_configurations SET document = \'{"status": "MATURE"}\'', "column document is"),
        ("trained_configurations SET artifacts = 'elsewhere'", "column artifacts is not what was"),
        ("trained_configurations SET head = 'f'", "the last event (execution) or the head of"),
        ("training_jobs SET seed = 8", "the job's row, with what it was told, is not what was"),
        ("training_jobs SET config = '{\"seed\": 8}'", "the job's row, with what it was told, is"),
        ("configuration_events SET reason = 'x' WHERE number = 3", "the last event (execution) or"),
        (
            "configuration_events SET reason = 'x' WHERE number = 1",
            "the audit trail was changed at event 2 or 3 of 4 (m",
        ),
        (
            "configuration_events SET figures = '{}' WHERE number = 2",
            "the audit trail was changed at event 3 or 4 of 4 (e",
        ),
        (
            "configuration_events SET number = 9 WHERE number = 2",
            "the audit trail was changed at event 2 or 3 of 4 (e",
        ),
    ],
)
def test_an_edit_is_named(
    repository: Repository, stored: Configuration, edit: str, clause: str
) -> None:
    live(repository, stored)
    sql(repository, f"UPDATE {edit}")
    assert clauses(repository, stored)[0].startswith(clause)


@pytest.mark.parametrize("number", range(4))
def test_an_event_that_is_gone_is_missed(
    repository: Repository, stored: Configuration, number: int
) -> None:
    live(repository, stored)
    sql(repository, "DELETE FROM configuration_events WHERE number = :number", number=number)
    assert clauses(repository, stored)


def test_an_edit_is_not_sealed_by_what_is_written_later(
    repository: Repository, stored: Configuration
) -> None:
    live(repository, stored)
    sql(repository, "UPDATE trained_configurations SET sample_size = 400")
    before = repository.configurations.events(stored.id)
    event = ConfigurationEvent(stored.id, "monitor", "PAPER", "PAPER", "It won.", {})
    with pytest.raises(chain.EditedError, match="column sample_size is not what was stored"):
        repository.configurations.record_event(event, dict)
    with pytest.raises(chain.EditedError, match=stored.id):
        repository.configurations.rejudge(stored.id, lambda *_: pytest.fail("judged"))
    with pytest.raises(chain.EditedError, match=stored.id):
        repository.configurations.members([stored.id])
    assert repository.configurations.events(stored.id) == before


def test_what_was_edited_can_be_switched_off_but_not_on(
    repository: Repository, stored: Configuration
) -> None:
    live(repository, stored)
    sql(repository, "UPDATE trained_configurations SET sample_size = 400")
    assert repository.configurations.set_active(stored.id, False, "it was edited")
    assert clauses(repository, stored) == ["column sample_size is not what was stored"]
    with pytest.raises(chain.EditedError):
        repository.configurations.set_active(stored.id, True, "why not")
    sql(repository, "UPDATE trained_configurations SET sample_size = 40")
    assert clauses(repository, stored) == []
    assert repository.configurations.set_active(stored.id, True, "it was restored")


EDITS = {
    "the row": "UPDATE trained_configurations SET lifecycle_stage = 'MATURE'",
    "the last event": "UPDATE configuration_events SET to_stage = 'MATURE' WHERE number = 3",
    "its reason": "UPDATE configuration_events SET reason = 'x' WHERE number = 3",
    "its digests": "UPDATE configuration_events SET digests = '{\"lifecycle_stage\": 1}'",
    "a damaged row": "UPDATE trained_configurations SET document = '[]', lifecycle_stage = 'DECAY'",
}


@pytest.mark.parametrize("name", EDITS)
def test_switching_off_copies_no_edited_stage(
    repository: Repository, stored: Configuration, name: str
) -> None:
    live(repository, stored)
    kept = ("lifecycle_stage", "document"), ("to_stage", "reason", "digests")
    tables = ("trained_configurations", "configuration_events")
    for table, columns in zip(tables, kept, strict=True):
        names = ", ".join(("id", *columns))
        sql(repository, f"CREATE TABLE kept_{table} AS SELECT {names} FROM {table}")
    sql(repository, EDITS[name])
    assert repository.configurations.set_active(stored.id, False, "it was edited")
    assert clauses(repository, stored)
    for table, columns in zip(tables, kept, strict=True):
        copy = f"(SELECT {{}} FROM kept_{table} k WHERE k.id = {table}.id)"
        sets = ", ".join(f"{column} = {copy.format(column)}" for column in columns)
        ids = f"SELECT id FROM kept_{table}"
        sql(repository, f"UPDATE {table} SET {sets} WHERE id IN ({ids})")
        sql(repository, f"DROP TABLE kept_{table}")
    assert clauses(repository, stored) == []
    last = repository.configurations.events(stored.id)[-1]
    assert (last.kind, last.from_stage, last.to_stage) == ("deactivated", "PAPER", "PAPER")


def test_a_copy_of_the_row_alone_is_not_enough_but_one_with_its_events_is(
    repository: Repository, stored: Configuration
) -> None:
    live(repository, stored)
    for table in ("trained_configurations", "configuration_events"):
        sql(repository, f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
    sql(repository, "UPDATE trained_configurations SET parameters = '{}'")
    assert repository.configurations.set_active(stored.id, False, "it was edited")
    columns = ("parameters", "is_active", "head", "seal")
    copies = (f"{name} = (SELECT {name} FROM kept_trained_configurations)" for name in columns)
    sql(repository, f"UPDATE trained_configurations SET {', '.join(copies)}")
    assert clauses(repository, stored)[0].startswith("the row is older than its last event (deac")
    sql(repository, "DELETE FROM configuration_events")
    sql(repository, "INSERT INTO configuration_events SELECT * FROM kept_configuration_events")
    for table in ("trained_configurations", "configuration_events"):
        sql(repository, f"DROP TABLE kept_{table}")
    assert clauses(repository, stored) == []
    assert [one.id for one in repository.checks.active()] == [stored.id]


JSON_COLUMNS = ("document", "statistics", "provenance", "parameters", "gates")


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "-1e999", "9" * 400])
@pytest.mark.parametrize("column", JSON_COLUMNS)
def test_null_that_became_a_number_is_an_edit(
    repository: Repository,
    running_job: str,
    example: Callable[..., Configuration],
    column: str,
    number: str,
) -> None:
    if repository.engine.dialect.name == "postgresql" and number.strip("-")[0] in "IN":
        pytest.skip("its columns take nothing but JSON")
    value: Any = [{"value": None}] if column == "gates" else {"value": None}
    repository.configurations.save(record := example(running_job, **{column: value}))
    repository.configurations.set_active(record.id, True, "fills look right")
    assert clauses(repository, record) == []
    edited = json.dumps(value).replace("null", number)
    kind = "JSONB" if repository.engine.dialect.name == "postgresql" else "TEXT"
    statement = f"UPDATE trained_configurations SET {column} = CAST(:edited AS {kind})"
    sql(repository, statement, edited=edited)
    assert clauses(repository, record) != []
    (checked,) = repository.checks.active()
    assert checked.clauses
    with pytest.raises(DamagedRowError, match="which is no finite number"):
        repository.configurations.read(record.id)


@pytest.mark.parametrize("column", ["p_value", "oos_sharpe_ratio"])
def test_a_figure_that_is_not_finite_is_an_edit(
    repository: Repository, running_job: str, example: Callable[..., Configuration], column: str
) -> None:
    repository.configurations.save(record := example(running_job, statistics={"p_value": None}))
    assert clauses(repository, record) == []
    number = "9e999" if repository.engine.dialect.name == "sqlite" else "'Infinity'"
    sql(repository, f"UPDATE trained_configurations SET {column} = {number}")
    (clause,) = clauses(repository, record)
    assert "it holds inf, which is no finite number" in clause


def test_one_that_cannot_be_read_does_not_hide_the_others(
    repository: Repository, example_job: dict[str, Any], example: Callable[..., Configuration]
) -> None:
    if repository.engine.dialect.name == "postgresql":
        pytest.skip("its columns take nothing but JSON")
    ids = []
    for _ in range(3):
        job_id = repository.jobs.create(**example_job)
        repository.jobs.start(job_id)
        repository.configurations.save(record := example(job_id))
        ids.append(record.id)
    sql(repository, "UPDATE trained_configurations SET gates = '[' WHERE id = :id", id=ids[1])
    good, bad, other = repository.checks.of(ids)
    assert [good.clauses, other.clauses] == [(), ()]
    assert isinstance(bad, Checked)
    assert bad.configuration is None
    assert bad.clauses[0].startswith("row or trail cannot be read: ")
