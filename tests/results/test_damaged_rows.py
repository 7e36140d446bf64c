"""A row that is gone or cannot be read is named, and stops nothing else."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text

from pipeline.config import StorageConfig
from pipeline.results.access.leases import Watch, read_owners
from pipeline.results.damage import DamagedRowError
from pipeline.results.rows.chain import EditedError
from pipeline.web.service.jobs import Settings
from pipeline.web.service.requests import ConfigurationQuery
from pipeline.web.service.service import Service
from pipeline.web.service.signals import ActiveList


@pytest.fixture
def service(repository, tmp_path):
    storage = StorageConfig(url="sqlite:///here.db", artifacts=str(tmp_path), patience=0)
    return Service(repository, Settings(storage))


@pytest.fixture
def store(repository, service, example_job, example):
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
    return ids, ActiveList(repository, service.settings.storage)


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


DEEP = "[" * 100_000 + "]" * 100_000
#: Damage of a row of each table, which only SQLite takes.
DAMAGE = {
    "no UTF-8": ("trained_configurations", "pair = CAST(x'4142ff' AS TEXT)"),
    "nested": ("trained_configurations", f"document = '{DEEP}'"),
    "no time": ("trained_configurations", "created_at = 'soon'"),
    "no JSON": ("trained_configurations", "document = x'00ff01'"),
    "job nested": ("training_jobs", f"config = '{DEEP}'"),
    "job no time": ("training_jobs", "created_at = 'soon'"),
    "event": ("configuration_events", "figures = '{'"),
    "digests null": ("trained_configurations", "artifact_digests = 'null'"),
    "digests 5": ("trained_configurations", "artifact_digests = '5'"),
    "no text": ("trained_configurations", "exchange = x'00ff01'"),
    "no truth value": ("trained_configurations", "synthetic = 'zzz'"),
    "job no text": ("training_jobs", "market = x'00ff01'"),
    "job no error": ("training_jobs", "error = x'00ff01'"),
    "job no seed": ("training_jobs", "seed = 'zzz'"),
    "job no object": ("training_jobs", "config = '5'"),
    "figures 5": ("configuration_events", "figures = '5'"),
    "figures null": ("configuration_events", "figures = 'null'"),
}


@pytest.fixture
def on_sqlite(repository):
    if repository.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL refuses such values")


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_row_is_named_and_the_others_are_read(
    repository, on_sqlite, service, store, name
):
    (first, other), served = store
    job_id = repository.configurations.read(first).job_id
    table, edit = DAMAGE[name]
    key = {"training_jobs": "id", "configuration_events": "configuration_id"}.get(table, "id")
    row = job_id if table == "training_jobs" else first
    change(repository, f"UPDATE {table} SET {edit} WHERE {key} = :id", id=row)
    answer = served.read()
    assert [one.id for one in answer.configurations] == [other]
    assert [one.id for one in answer.refused] == [first]
    assert served.tag() == answer.etag
    column = edit.split(" = ")[0]
    (refused,) = answer.refused
    if "cannot be read" in refused.reason or name in ("no JSON", "nested", "event"):
        assert f"column {column} " in refused.reason

    page = service.configurations(ConfigurationQuery())
    assert [one.id for one in page.configurations] == [other]
    assert [one.id for one in page.refused] == [first]
    jobs = service.jobs()
    assert len(jobs.jobs) + len(jobs.refused) == 2
    assert [one.id for one in jobs.refused] == [job_id] * (table == "training_jobs")
    with pytest.raises((DamagedRowError, EditedError), match=first):
        service.document(first)
    if table == "training_jobs":
        with pytest.raises(DamagedRowError, match=row):
            repository.jobs.read(row)
    if table == "configuration_events":
        with pytest.raises(DamagedRowError, match=table):
            service.audit_trail(first)


@pytest.mark.parametrize("value", ["x'00ff01'", "CAST(x'41ff42' AS TEXT)"])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("training_jobs", "id"),
        ("trained_configurations", "id"),
        ("trained_configurations", "job_id"),
    ],
)
def test_an_id_that_is_no_text_stops_no_list(
    repository, on_sqlite, service, store, table, column, value
):
    """The text of one that is no UTF-8 is shown as far as it is."""
    (other, first), served = store
    one = repository.configurations.read(first).job_id if table == "training_jobs" else first
    with closing(sqlite3.connect(repository.engine.url.database)) as connection, connection:
        connection.execute(f"UPDATE {table} SET {column} = {value} WHERE id = ?", [one])
    for refused in (served.read().refused, service.configurations(ConfigurationQuery()).refused):
        assert len(refused) == 1
        assert (refused[0].id == first) is ((table, column) != ("trained_configurations", "id"))
    assert [one.id for one in served.read().configurations] == [other]
    jobs = service.jobs()
    assert len(jobs.jobs) + len(jobs.refused) == 2
    assert len(jobs.refused) == (table == "training_jobs" and value.startswith("x"))


@pytest.mark.parametrize("value", ["2", "-1", "'yes'"])
def test_what_is_neither_on_nor_off_is_noticed_and_can_be_switched_off(
    repository, on_sqlite, service, store, value
):
    (first, other), served = store
    change(
        repository,
        f"UPDATE trained_configurations SET is_active = {value} WHERE id = :id",
        id=first,
    )
    assert [one.id for one in served.read().configurations] == [other]
    (checked,) = repository.checks.of([first])
    assert "neither 0 nor 1" in checked.clauses[0]
    assert service.deactivate(first, "it is damaged").is_active is False
    assert repository.checks.agreeing(first).is_active is False


#: More damage, of what an event needs too.
OFF = DAMAGE | {
    "figure": ("trained_configurations", "oos_sharpe_ratio = 9e999"),
    "edited": ("trained_configurations", "sample_size = 41"),
    "event number": ("configuration_events", "number = iif(number, number, 'x')"),
    "head": ("trained_configurations", "head = x'00'"),
    "look": ("trained_configurations", "verified_at = 'soon'"),
    "stage": ("trained_configurations", "lifecycle_stage = 'HIGH'"),
}


@pytest.mark.parametrize("name", OFF)
def test_what_is_damaged_is_switched_off(repository, on_sqlite, service, store, name):
    (first, other), served = store
    table, edit = OFF[name]
    job_id, column = repository.configurations.read(first).job_id, edit.split(" = ")[0]
    key = {"training_jobs": "id", "configuration_events": "configuration_id"}.get(table, "id")
    values = {"id": job_id if table == "training_jobs" else first}
    with repository.engine.begin() as connection:
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        before = f"SELECT rowid AS place, {column} AS was FROM {table} WHERE {key} = :id"
        rows = connection.execute(text(before), values).mappings().all()
        connection.execute(text(f"UPDATE {table} SET {edit} WHERE {key} = :id"), values)
        connection.execute(text("PRAGMA ignore_check_constraints = OFF"))

    answer = service.deactivate(first, "it is damaged")
    assert (answer.id, answer.is_active, bool(answer.reason)) == (first, False, True)
    again = service.deactivate(first, "once more")
    assert again.is_active is False
    active = served.read()
    assert ([one.id for one in active.configurations], active.refused) == ([other], [])
    with repository.engine.begin() as connection:
        flag = "SELECT is_active FROM trained_configurations WHERE id = :id"
        assert connection.execute(text(flag), {"id": first}).scalar_one() == 0
        for row in rows:
            back = text(f"UPDATE {table} SET {column} = :was WHERE rowid = :place")
            connection.execute(back, dict(row))
    (checked,) = repository.checks.of([first])
    kinds = [event.kind for event in repository.configurations.events(first)]
    if name == "head":
        assert "column is_active is not what was stored" in checked.clauses
        assert kinds == ["stored", "activated"]
        return
    assert kinds == ["stored", "activated", "deactivated"]
    assert bool(checked.clauses) is (name == "look")


@pytest.mark.parametrize("edit", [f"config = '{DEEP}'", "heartbeat_at = 'soon'"])
@pytest.mark.parametrize("owner", ["deadbeef", None])
def test_a_damaged_unfinished_job_ends_and_others_run(
    repository, on_sqlite, example_job, edit, owner
):
    damaged, other = repository.jobs.queue([example_job, example_job])
    status = "running" if owner else "pending"
    values = {"status": status, "owner": owner, "id": damaged}
    statement = f"UPDATE training_jobs SET {edit}, status = :status, owner = :owner WHERE id = :id"
    change(repository, statement, **values)
    reaped = repository.jobs.reap()
    assert [one.id for one in reaped] == [damaged] * (owner is not None)
    assert all("last sign of life at" in str(one.error) for one in reaped)
    assert repository.jobs.state(damaged).status == ("failed" if owner else "pending")
    assert repository.jobs.waiting(5)[-1] == other
    assert repository.jobs.take(other)


LEASE = (
    "INSERT INTO leases VALUES (:id, 'elsewhere', 'box', 7, '1.00', 5,"
    " strftime('%Y-%m-%d %H:%M:%f000', 'now', '-1000 seconds'))"
)


@pytest.mark.parametrize(
    "edit",
    ["pid = 'x'", "pid = -1", "pid = 9e99", "beat = 9e999", "renewed_at = 'soon'", "host = x'00'"],
)
def test_a_damaged_lease_is_named_and_the_others_are_judged(
    repository, on_sqlite, service, example_job, edit
):
    owners = {repository.jobs.create(**example_job): name for name in ("broken", "silent", "here")}
    own = repository.lease.identity
    for job_id, name in owners.items():
        if name != "here":
            change(repository, LEASE, id=name)
            set_owner = "UPDATE training_jobs SET owner = :owner WHERE id = :id"
            change(repository, set_owner, owner=name, id=job_id)
    change(repository, f"UPDATE leases SET {edit} WHERE identity IN ('broken', :own)", own=own)
    change(repository, "INSERT INTO dispatcher VALUES (1, 'broken')")
    owner, cause = repository.dispatcher.look(Watch())
    assert (owner.identity, cause) == ("broken", None)
    age, is_timeless = service.queue.health().dispatcher_beat_age, edit.startswith("renewed_at")
    assert age is None if is_timeless else age >= 1000
    with repository.transaction() as session:
        repository.lease.hold(session)  # the next beat of who lives
    errors = {owners[job.id]: job.error for job in repository.jobs.reap()}
    if is_timeless:  # its silence counts from now on
        assert errors.keys() == {"silent"}
        assert 0 <= service.queue.health().dispatcher_beat_age < 60
        late = "UPDATE leases SET renewed_at = datetime('now', '-1000 seconds')"
        change(repository, f"{late} WHERE identity = 'broken'")
        errors |= {owners[job.id]: job.error for job in repository.jobs.reap()}
    assert errors.keys() == {"broken", "silent"}
    assert is_timeless or "row of broken in leases cannot be read" in errors["broken"]
    assert "process 7 on box gave no sign of life" in errors["silent"]
    assert repository.dispatcher.claim()
    repository.jobs.reap()
    with repository.session() as session:
        assert read_owners(session).keys() == {own}


@pytest.mark.parametrize("edit", ["payload = '{'", "payload = '[]'", "at = 'soon'"])
def test_a_damaged_event_of_a_job_is_a_note_among_the_others(
    repository, on_sqlite, service, example_job, edit
):
    job_id = repository.jobs.create(**example_job)
    repository.jobs.start(job_id)
    repository.jobs.note(job_id, "the first")
    repository.jobs.progress(job_id, 0.5, "search", done=1, total=2, rate=4.0)
    repository.jobs.note(job_id, "the last")
    _, _, first, progress, last = repository.jobs.events(job_id=job_id)
    assert service.job(job_id).seconds_left == 0.25
    for broken in (first, progress):
        change(repository, f"UPDATE job_events SET {edit} WHERE id = :id", id=broken.id)
    events = repository.jobs.events(first.id - 1, job_id)
    assert [(one.id, one.kind) for one in events] == [
        (first.id, "note"), (progress.id, "note"), (last.id, "note"),
    ]  # fmt: skip
    assert f"row of {first.id} in job_events cannot be read" in events[0].payload["text"]
    notes = repository.jobs.notes(job_id)
    assert "the last" in notes
    assert len(notes) == 2
    assert service.job(job_id).seconds_left is None
    assert [one.id for one in service.jobs().jobs] == [job_id]


@pytest.mark.parametrize("column", ["started_at", "finished_at"])
def test_a_damaged_moment_of_a_job_is_left_out_of_how_long_jobs_take(
    repository, on_sqlite, service, example_job, column
):
    ids = [repository.jobs.create(**example_job) for _ in range(3)]
    for job_id in ids[:2]:
        repository.jobs.start(job_id)
        repository.jobs.complete(job_id)
    assert len(repository.batches.seconds()) == 2
    change(repository, f"UPDATE training_jobs SET {column} = 'x' WHERE id = :id", id=ids[0])
    assert len(repository.batches.seconds()) == 1
    assert service.queue_left().startswith("About ")


def test_bytes_for_the_name_of_a_strategy_take_no_list(repository, on_sqlite, store):
    (first, _), _ = store
    names = repository.configurations.strategies()
    edit = "UPDATE trained_configurations SET strategy = x'00ff' WHERE id = :id"
    change(repository, edit, id=first)
    assert repository.configurations.strategies() == names


def test_an_edited_event_is_named_where_it_is_shown(repository, service, store):
    (first, other), _ = store
    edit = "UPDATE configuration_events SET reason = 'forged' WHERE configuration_id = :id"
    change(repository, f"{edit} AND number = 1", id=first)
    assert [one.fault for one in service.audit_trail(other)] == [None, None]
    faults = {one.fault for one in service.audit_trail(first)}
    assert len(faults) == 1
    assert "activated" in str(faults.pop())


def test_a_forged_stage_is_not_listed(repository, service, store):
    (first, other), _ = store
    edit = "UPDATE trained_configurations SET lifecycle_stage = 'MATURE' WHERE id = :id"
    change(repository, edit, id=first)
    page = service.configurations(ConfigurationQuery())
    assert [one.id for one in page.configurations] == [other]
    reasons = [(one.id, one.reason) for one in page.refused]
    assert reasons == [(first, "column lifecycle_stage is not what was stored")]
