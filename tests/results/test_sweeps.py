"""The manifest of a sweep: what becomes of its rows, and who may write them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from pipeline.errors import ConflictError, SweepTakenError
from pipeline.results.access.leases import Owner, cause_of_death
from pipeline.results.database import Repository
from pipeline.results.records import Configuration, ConfigurationEvent, Sweep, SweepMarket
from pipeline.results.rows import sweep_rows
from pipeline.results.rows.chain import EditedError
from pipeline.results.rows.sweeps import Claim, MarketSpec, Sweeps

KEY = "5eed" * 16
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
SINCE = datetime(2025, 1, 1, tzinfo=UTC)

Make = Callable[..., Configuration]
Begin = Callable[..., Claim]
Train = Callable[[Claim, int], str]


def at_hand(configuration_id: str | None) -> bool:
    return True


@pytest.fixture
def sweeps(repository: Repository) -> Sweeps:
    return repository.sweeps


@pytest.fixture
def specs(example_job: dict[str, Any]) -> list[MarketSpec]:
    """Three markets, whose hashes are their names."""
    names = ("btc_1h", "eth_1h", "sol_1h")
    return [MarketSpec(name, name, example_job | {"pair": name[:3]}) for name in names]


@pytest.fixture
def begin(sweeps: Sweeps, specs: list[MarketSpec]) -> Begin:
    """Begin a sweep of these markets, with anything changed."""

    def begin(**changes: Any) -> Claim:
        asked: dict[str, Any] = {
            "key": KEY,
            "strategy": "liquidity_sweep",
            "optimizer": "grid",
            "config": {"markets": ["btc_1h", "eth_1h", "sol_1h"]},
            "since": SINCE,
            "until": UNTIL,
            "engine_version": "1",
            "markets": specs,
            "has_artifacts": at_hand,
        }
        return sweeps.begin(**(asked | changes))

    return begin


@pytest.fixture
def train(sweeps: Sweeps, repository: Repository, example: Make) -> Train:
    """Do a market as a worker would, and return the id of what it stored."""

    def train(claim: Claim, position: int) -> str:
        job_id = sweeps.claim_market(claim, position)
        assert job_id is not None
        found = example(job_id)
        repository.configurations.save(found)
        return found.id

    return train


def market(sweeps: Sweeps, claim: Claim, position: int) -> SweepMarket:
    return sweeps.markets(claim.sweep_id)[position]


def newest(sweeps: Sweeps) -> Sweep:
    sweep = sweeps.newest(KEY)
    assert sweep is not None
    return sweep


def lose(engine: Engine) -> None:
    """Let the owner of everything be a process of long ago."""
    with engine.begin() as connection:
        for table in ("sweeps", "training_jobs"):
            connection.execute(text(f"UPDATE {table} SET owner = 'long ago'"))


def fail_if_alive(owner: Owner | None) -> None:
    assert cause_of_death(owner) is not None


def test_a_sweep_begins_with_a_pending_job_a_market(
    sweeps: Sweeps, repository: Repository, begin: Begin
) -> None:
    claim = begin()
    rows = sweeps.markets(claim.sweep_id)
    assert [(row.market, row.status) for row in rows] == [
        ("btc_1h", "pending"), ("eth_1h", "pending"), ("sol_1h", "pending"),
    ]  # fmt: skip
    jobs = [repository.jobs.read(row.job_id) for row in rows]
    assert [(job.pair, job.status) for job in jobs] == [
        ("btc", "pending"), ("eth", "pending"), ("sol", "pending"),
    ]  # fmt: skip
    sweep = newest(sweeps)
    assert (sweep.status, sweep.since, sweep.until) == ("running", SINCE, UNTIL)
    assert sweeps.counts(claim.sweep_id) == {"pending": 3}


def test_one_process_runs_a_sweep(sweeps: Sweeps, begin: Begin) -> None:
    claim = begin()
    with pytest.raises(SweepTakenError, match="another command has begun the same sweep"):
        begin()
    sweeps.end(claim, "completed")
    assert begin().sweep_id != claim.sweep_id


def test_a_market_is_done_once_its_configuration_is_stored(
    sweeps: Sweeps, begin: Begin, train: Train
) -> None:
    claim = begin()
    configuration_id = train(claim, 1)
    assert market(sweeps, claim, 1).status == "running"
    row = sweeps.settle(claim, 1, None)
    assert row == market(sweeps, claim, 1)
    assert (row.status, row.configuration_id) == ("done", configuration_id)
    assert (row.p_value, row.error) == (0.03, None)
    assert row.seconds is not None
    assert 0 <= row.seconds < 60


def test_a_market_without_anything_admissible_is_done(
    sweeps: Sweeps, repository: Repository, begin: Begin
) -> None:
    claim = begin()
    job_id = sweeps.claim_market(claim, 0)
    repository.jobs.complete(str(job_id))
    row = sweeps.settle(claim, 0, None)
    assert (row.status, row.configuration_id, row.p_value) == ("done", None, None)


def test_a_failure_has_the_reason_of_its_job(
    sweeps: Sweeps, repository: Repository, begin: Begin
) -> None:
    claim = begin()
    repository.jobs.fail(str(sweeps.claim_market(claim, 0)), "too little history")
    row = sweeps.settle(claim, 0, None)
    assert (row.status, row.error) == ("failed", "too little history")


def test_a_worker_that_died_for_good_fails_its_market(
    sweeps: Sweeps, repository: Repository, begin: Begin
) -> None:
    claim = begin()
    job_id = str(sweeps.claim_market(claim, 0))
    row = sweeps.settle(claim, 0, "its worker was killed 3 times")
    assert (row.status, row.error) == ("failed", "its worker was killed 3 times")
    job = repository.jobs.read(job_id)
    assert (job.status, job.error) == ("failed", "its worker was killed 3 times")


def test_a_worker_that_died_after_storing_is_no_failure(
    sweeps: Sweeps, begin: Begin, train: Train
) -> None:
    claim = begin()
    configuration_id = train(claim, 0)
    assert sweeps.claim_market(claim, 0) is None
    row = sweeps.settle(claim, 0, "its worker was killed 3 times")
    assert (row.status, row.configuration_id) == ("done", configuration_id)


def test_a_second_worker_gets_the_job_of_one_that_died(
    sweeps: Sweeps, repository: Repository, engine: Engine, begin: Begin
) -> None:
    claim = begin()
    job_id = str(sweeps.claim_market(claim, 0))
    repository.jobs.progress(job_id, 0.7, "search")
    with engine.begin() as connection:
        connection.execute(text("UPDATE training_jobs SET owner = 'another'"))
    assert sweeps.claim_market(claim, 0) == job_id
    job = repository.jobs.read(job_id)
    assert (job.status, job.progress, job.stage_of_work) == ("running", 0.0, None)
    repository.jobs.complete(job_id)  # it is this process's now


def test_workers_of_a_sweep_that_was_taken_over_start_nothing(
    sweeps: Sweeps, repository: Repository, engine: Engine, begin: Begin
) -> None:
    old = begin()
    lose(engine)
    new = sweeps.take_over(newest(sweeps))
    assert new.sweep_id == old.sweep_id
    orphan = Claim(old.sweep_id, "long ago")
    before = repository.jobs.find()
    for refused in (
        lambda: sweeps.claim_market(orphan, 0),
        lambda: sweeps.settle(orphan, 0, None),
        lambda: sweeps.write_judgement(orphan, {}, []),
        lambda: sweeps.release(orphan),
        lambda: sweeps.end(orphan, "completed"),
    ):
        with pytest.raises(SweepTakenError, match="has another owner"):
            refused()
    assert repository.jobs.find() == before
    assert sweeps.counts(new.sweep_id) == {"pending": 3}


def test_of_two_that_take_over_one_succeeds(sweeps: Sweeps, engine: Engine, begin: Begin) -> None:
    begin()
    lose(engine)
    seen = newest(sweeps)
    sweeps.take_over(seen)
    with pytest.raises(SweepTakenError, match="another command goes on with the same sweep"):
        sweeps.take_over(seen)


def test_going_on_keeps_what_is_done_and_does_the_rest_again(
    sweeps: Sweeps,
    repository: Repository,
    engine: Engine,
    begin: Begin,
    train: Train,
    specs: list[MarketSpec],
) -> None:
    claim = begin()
    train(claim, 0)
    done = sweeps.settle(claim, 0, None)
    stored = train(claim, 1)  # and the sweep was killed before it knew
    job_id = str(sweeps.claim_market(claim, 2))
    lose(engine)
    repository.jobs.reap()
    claim = sweeps.take_over(newest(sweeps))
    sweeps.reopen(claim, specs, at_hand, retry_failed=False)
    first, second, third = sweeps.markets(claim.sweep_id)
    assert first == done
    assert (second.status, second.configuration_id) == ("done", stored)
    assert (third.status, third.job_id) == ("pending", job_id)
    job = repository.jobs.read(job_id)
    assert (job.status, job.error, job.finished_at) == ("pending", None, None)
    assert len(repository.jobs.find()) == 3


@pytest.mark.parametrize(("retry_failed", "status"), [(False, "failed"), (True, "pending")])
def test_a_failed_market_is_tried_again_when_asked(
    sweeps: Sweeps, begin: Begin, specs: list[MarketSpec], retry_failed: bool, status: str
) -> None:
    claim = begin()
    before = sweeps.settle(claim, 0, "no network")
    sweeps.reopen(claim, specs, at_hand, retry_failed=retry_failed)
    row = market(sweeps, claim, 0)
    assert (row.status, row.job_id) == (status, before.job_id)
    assert row.error == (None if retry_failed else "no network")


def test_a_market_that_would_be_another_now_is_done_again(
    sweeps: Sweeps, repository: Repository, begin: Begin, train: Train, specs: list[MarketSpec]
) -> None:
    claim = begin()
    configuration_id = train(claim, 0)
    done = sweeps.settle(claim, 0, None)
    failed = sweeps.settle(claim, 1, "a bug")
    changed = [MarketSpec(one.market, "changed", {**one.job, "seed": 8}) for one in specs]
    sweeps.reopen(claim, changed, at_hand, retry_failed=False)
    rows = sweeps.markets(claim.sweep_id)
    assert [(row.status, row.task_hash) for row in rows] == [("pending", "changed")] * 3
    assert rows[0].job_id != done.job_id
    assert rows[0].configuration_id is rows[0].p_value is rows[0].seconds is None
    assert rows[1].job_id == failed.job_id
    assert [repository.jobs.read(row.job_id).seed for row in rows] == [8, 8, 8]
    assert repository.configurations.read(configuration_id).job_id == done.job_id


def test_what_another_sweep_has_done_is_skipped(
    sweeps: Sweeps, repository: Repository, begin: Begin, train: Train
) -> None:
    first = begin()
    configuration_id = train(first, 0)
    done = sweeps.settle(first, 0, None)
    sweeps.settle(first, 1, "no network")
    second = begin(key="another")
    rows = sweeps.markets(second.sweep_id)
    assert [row.status for row in rows] == ["skipped", "pending", "pending"]
    assert (rows[0].job_id, rows[0].configuration_id) == (done.job_id, configuration_id)
    assert (rows[0].p_value, rows[0].seconds) == (done.p_value, done.seconds)
    assert len(repository.jobs.find()) == 5
    third = begin(key="a third", has_artifacts=None)
    assert sweeps.counts(third.sweep_id) == {"pending": 3}


def test_a_result_whose_artifacts_are_gone_is_computed_again(
    sweeps: Sweeps, begin: Begin, train: Train, specs: list[MarketSpec]
) -> None:
    first = begin()
    train(first, 0)
    sweeps.settle(first, 0, None)
    another = begin(key="another", has_artifacts=lambda configuration_id: configuration_id is None)
    assert sweeps.counts(another.sweep_id) == {"pending": 3}
    sweeps.reopen(first, specs, lambda configuration_id: False, retry_failed=False)
    assert sweeps.counts(first.sweep_id) == {"pending": 3}


def test_giving_up_leaves_what_was_running_pending(
    sweeps: Sweeps, repository: Repository, begin: Begin, train: Train, specs: list[MarketSpec]
) -> None:
    claim = begin()
    train(claim, 0)  # in the moment of the interrupt
    sweeps.claim_market(claim, 1)
    sweeps.release(claim)
    rows = sweeps.markets(claim.sweep_id)
    assert [row.status for row in rows] == ["done", "pending", "pending"]
    statuses = [repository.jobs.read(row.job_id).status for row in rows]
    assert statuses == ["completed", "cancelled", "cancelled"]
    assert newest(sweeps).status == "cancelled"
    claim = sweeps.take_over(newest(sweeps))
    sweeps.reopen(claim, specs, at_hand, retry_failed=False)
    again = sweeps.markets(claim.sweep_id)
    assert [row.job_id for row in again] == [row.job_id for row in rows]
    assert repository.jobs.read(rows[1].job_id).status == "pending"


def test_q_values_go_to_the_markets_of_their_configurations(
    sweeps: Sweeps, begin: Begin, train: Train
) -> None:
    claim = begin()
    configuration_id = train(claim, 2)
    sweeps.settle(claim, 2, None)
    sweeps.write_judgement(claim, {configuration_id: 0.04}, [])
    assert [row.fdr_q_value for row in sweeps.markets(claim.sweep_id)] == [None, None, 0.04]


def test_an_abandoned_sweep_makes_room(sweeps: Sweeps, engine: Engine, begin: Begin) -> None:
    claim = begin()
    lose(engine)
    sweeps.abandon(KEY, fail_if_alive)
    assert newest(sweeps).status == "cancelled"
    assert begin().sweep_id != claim.sweep_id


def test_a_living_sweep_is_not_abandoned(sweeps: Sweeps, begin: Begin) -> None:
    begin()
    with pytest.raises(AssertionError):
        sweeps.abandon(KEY, fail_if_alive)
    assert newest(sweeps).status == "running"
    sweeps.abandon("another key", fail_if_alive)


@pytest.mark.parametrize("column", ["id", "config", "until", "owner", "created_at", "pooled"])
@pytest.mark.parametrize("value", ["CAST(x'41ff42' AS TEXT)", "x'00ff01'", "'zzz'"])
@pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
def test_a_sweep_that_cannot_be_read_makes_room(
    sweeps: Sweeps, engine: Engine, begin: Begin, column: str, value: str
) -> None:
    begin()
    lose(engine)
    with closing(sqlite3.connect(str(engine.url.database))) as connection:  # no foreign keys
        connection.execute(f"UPDATE sweeps SET {column} = {value}")
        connection.commit()
    claim = None
    with suppress(EditedError), sweeps.advising():
        claim = sweeps.take_over(newest(sweeps))
        assert column == "owner"  # the seal says nothing of it, nor do others live
        lose(engine)
    sweeps.abandon(KEY, fail_if_alive)
    assert begin() != claim


#: Another value of every column that says something, as SQL.
OTHERS = {
    "sweeps": {
        **dict.fromkeys(("strategy", "optimizer", "engine_version", "key"), "'other'"),
        **dict.fromkeys(("since", "finished_at", "pooled"), "NULL"),
        **dict.fromkeys(("until", "created_at", "started_at"), "'2020-01-01 00:00:00+00'"),
        "config": "'{}'",
        "status": "'running'",
        "status ": "'cancelled'",
    },
    "sweep_markets": {
        **dict.fromkeys(("configuration_id", "fdr_q_value", "seconds"), "NULL"),
        **dict.fromkeys(("market", "task_hash", "error"), "'other'"),
        **dict.fromkeys(("p_value", "surrogate_p"), "0.001"),
        "status": "'skipped'",
        "position": "7",
    },
}


def test_a_sweep_that_has_ended_and_was_edited_is_refused(
    sweeps: Sweeps, repository: Repository, engine: Engine, begin: Begin, train: Train
) -> None:
    claim = begin()
    stored = [train(claim, 0), train(claim, 1)]
    for position in range(3):
        sweeps.settle(claim, position, "no network")
    sweeps.write_judgement(claim, dict.fromkeys(stored, 0.04), [])
    repository.sweeps.whole(claim.sweep_id)
    sweeps.end(claim, "failed")
    assert repository.checks.sweeps_of(stored[0]) == [None]
    noticed = []
    for table, values in OTHERS.items():
        for column, value in values.items():
            for seal in ("seal", "''", f"'{'f' * 64}'"):
                where = "" if table == "sweeps" else " WHERE position = 1"
                with engine.connect() as connection, connection.begin() as edit:
                    connection.execute(text(f"UPDATE {table} SET {column} = {value}{where}"))
                    connection.execute(text(f"UPDATE sweeps SET seal = {seal}"))
                    with Session(connection) as session:
                        (clause,) = sweep_rows.check_all(session, stored[0])
                    assert clause is not None, (table, column, seal)
                    assert claim.sweep_id in clause
                    edit.rollback()
                noticed.append(column)
    assert len(noticed) == 3 * 23
    with engine.begin() as connection:
        connection.execute(text("UPDATE sweeps SET status = 'running', seal = ''"))
    with pytest.raises(EditedError, match=claim.sweep_id):
        repository.sweeps.whole(claim.sweep_id)


def test_a_killed_sweep_is_taken_up_wherever_it_was_and_not_where_a_market_was_edited(
    sweeps: Sweeps,
    repository: Repository,
    engine: Engine,
    begin: Begin,
    train: Train,
    specs: list[MarketSpec],
) -> None:
    claim = begin()
    stored = train(claim, 0)
    steps: list[Callable[[Claim], object]] = [
        lambda claim: sweeps.settle(claim, 0, None),
        lambda claim: sweeps.claim_market(claim, 1),
        lambda claim: sweeps.settle(claim, 1, "no network"),
        lambda claim: sweeps.claim_market(claim, 2),
        lambda claim: sweeps.write_judgement(claim, {stored: 0.04}, []),
        lambda claim: sweeps.reopen(claim, specs, at_hand, retry_failed=True),
    ]
    for step in steps:  # after each it is killed, and taken up
        step(claim)
        lose(engine)
        claim = sweeps.take_over(newest(sweeps))
    rows, killed = sweeps.markets(claim.sweep_id), newest(sweeps)
    assert rows[0].configuration_id == stored
    position = 0
    for column, value in OTHERS["sweep_markets"].items():
        edit = f"UPDATE sweep_markets SET {column} = {value} WHERE position = {position}"
        back = f"UPDATE sweep_markets SET {column} = :was WHERE position IN (0, 7)"
        with engine.begin() as connection:
            connection.execute(text(edit))
        with pytest.raises(EditedError, match=claim.sweep_id):
            sweeps.take_over(killed)
        assert sweeps.recent()[1].keys() == {claim.sweep_id}
        with engine.begin() as connection:
            connection.execute(text(back), {"was": getattr(rows[0], column)})
        assert [one.id for one in sweeps.recent()[0]] == [claim.sweep_id]
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sweep_markets WHERE position = 1"))
    with pytest.raises(EditedError, match=claim.sweep_id):
        sweeps.take_over(killed)
    lose(engine)
    sweeps.abandon(KEY, fail_if_alive)
    assert newest(sweeps).status == "cancelled"
    with pytest.raises(EditedError, match=claim.sweep_id):
        sweeps.whole(claim.sweep_id)


def test_who_reads_a_sweep_while_it_is_written_finds_it_whole(sweeps: Sweeps, begin: Begin) -> None:
    claim, reads = begin(), 0
    over = threading.Event()

    def write() -> None:
        try:
            for number in range(30):
                sweeps.claim_market(claim, number % 3)
        finally:
            over.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not over.is_set():
        assert sweeps.whole(claim.sweep_id).status == "running"
        reads += 1
    writer.join()
    assert reads > 0


#: Damage of the row of a market, by whether PostgreSQL takes it.
DAMAGED = {
    "p_value = 9e999": False,
    "p_value = 'x'": False,
    "p_value = 'NaN'": True,
    "seconds = 'Infinity'": True,
    "fdr_q_value = '{}'": False,
    "surrogate_p = x'00ff'": False,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_market_stops_its_own_sweep_alone(
    sweeps: Sweeps,
    engine: Engine,
    begin: Begin,
    train: Train,
    specs: list[MarketSpec],
    damage: str,
) -> None:
    if engine.dialect.name == "postgresql" and not DAMAGED[damage]:
        pytest.skip("PostgreSQL refuses such values")
    first = begin()
    stored = train(first, 0)
    sweeps.settle(first, 0, None)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE sweep_markets SET {damage} WHERE position = 0"))
    other = begin(key="another")  # which would skip what is done
    assert sweeps.counts(other.sweep_id) == {"pending": 3}
    whole, refused = sweeps.recent()
    assert ([one.id for one in whole], list(refused)) == ([other.sweep_id], [first.sweep_id])
    for reads in (
        lambda: sweeps.markets(first.sweep_id),
        lambda: sweeps.write_judgement(first, {stored: 0.04}, []),
        lambda: sweeps.reopen(first, specs, at_hand, retry_failed=False),
        lambda: sweeps.take_over(newest(sweeps)),
    ):
        with pytest.raises(ConflictError, match=first.sweep_id):
            reads()
    lose(engine)
    sweeps.abandon(KEY, fail_if_alive)
    assert newest(sweeps).status == "cancelled"
    assert begin().sweep_id != first.sweep_id


@pytest.mark.parametrize("pooled", ["[{}]", "[1]", "7", '{"a": 1}', "[NaN]", "{"])
def test_a_pool_that_cannot_be_read_is_named(
    sweeps: Sweeps, engine: Engine, begin: Begin, train: Train, pooled: str
) -> None:
    on_postgresql = engine.dialect.name == "postgresql"
    if on_postgresql and pooled in ("[NaN]", "{"):
        pytest.skip("its columns take nothing but JSON")
    first = begin()
    stored = train(first, 0)
    sweeps.settle(first, 0, None)
    sweeps.end(first, "completed")
    other = begin(key="another")
    edit = f"UPDATE sweeps SET pooled = CAST(:pooled AS {'JSONB' if on_postgresql else 'TEXT'})"
    with engine.begin() as connection:
        values = {"pooled": pooled, "id": first.sweep_id}
        connection.execute(text(f"{edit} WHERE id = :id"), values)
    assert sweeps.judged_with(stored) == [first.sweep_id]
    whole, refused = sweeps.recent()
    assert ([one.id for one in whole], list(refused)) == ([other.sweep_id], [first.sweep_id])
    with pytest.raises(EditedError, match=first.sweep_id):
        sweeps.sweep(first.sweep_id)


def test_a_broken_seal_is_never_mended(
    sweeps: Sweeps, repository: Repository, engine: Engine, begin: Begin
) -> None:
    claim = begin()
    with engine.begin() as connection:
        connection.execute(text("UPDATE sweeps SET engine_version = 'other'"))
    for step in (
        lambda: sweeps.write_judgement(claim, {}, []),
        lambda: sweeps.release(claim),
    ):
        step()
        with pytest.raises(EditedError, match="resume=false"):
            repository.sweeps.whole(claim.sweep_id)
    cancelled = newest(sweeps)
    with pytest.raises(EditedError, match=claim.sweep_id):
        sweeps.take_over(cancelled)
    assert newest(sweeps) == cancelled


def test_a_sweep_that_was_removed_is_missed(
    sweeps: Sweeps, repository: Repository, engine: Engine, begin: Begin, train: Train
) -> None:
    claim = begin()
    stored = train(claim, 0)
    figures = {"sweep_id": claim.sweep_id}
    event = ConfigurationEvent(stored, "sweep", "VALIDATION", "VALIDATION", "It is.", figures)
    repository.configurations.record_event(event, dict)
    assert repository.checks.sweeps_of(stored) == [None]
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sweep_markets"))
        connection.execute(text("DELETE FROM sweeps"))
    assert repository.checks.sweeps_of(stored) == [f"sweep {claim.sweep_id} is gone"]


@pytest.mark.parametrize("identity", ["x'00ff01'", "CAST(x'41ff42' AS TEXT)"])
def test_an_id_that_is_no_text_stops_no_other_sweep(
    sweeps: Sweeps, engine: Engine, begin: Begin, identity: str
) -> None:
    if engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL refuses such values")
    first, other = begin(), begin(key="another")
    with closing(sqlite3.connect(str(engine.url.database))) as connection, connection:
        connection.execute(f"UPDATE sweeps SET id = {identity} WHERE id = ?", [first.sweep_id])
    whole, refused = sweeps.recent()
    assert ([one.id for one in whole], len(refused)) == ([other.sweep_id], 1)
    with pytest.raises(EditedError, match="resume=false"):
        newest(sweeps)
