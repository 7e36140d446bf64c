"""What is written while something is read never looks like an edit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.results.database import Repository
from pipeline.results.records import Configuration, ConfigurationEvent
from pipeline.results.rows import sweep_rows
from pipeline.results.rows.sweeps import Claim, MarketSpec
from support.databases import after_every_query


@pytest.fixture
def stored(
    repository: Repository, running_job: str, example: Callable[..., Configuration]
) -> Configuration:
    """A configuration that is switched on."""
    record = example(running_job)
    repository.configurations.save(record)
    repository.configurations.set_active(record.id, True, "fills look right")
    return record


def report(repository: Repository, configuration_id: str) -> None:
    """Record an event that changes stage and document."""
    stage = repository.configurations.read(configuration_id).lifecycle_stage
    target: Any = "PAPER" if stage == "VALIDATION" else "VALIDATION"
    moved = ConfigurationEvent(configuration_id, "execution", stage, target, "Few fills.", {})
    repository.configurations.record_event(moved, lambda document: document | {"status": target})


READS: dict[str, Callable[[Repository, str], object]] = {
    "one": lambda repository, one: repository.checks.agreeing(one).lifecycle_stage,
    "many": lambda repository, one: [c.objections for c in repository.checks.stored_of([one])],
    "active": lambda repository, one: [c.objections for c in repository.checks.active()],
    "members": lambda repository, one: len(repository.configurations.members([one])),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_an_event_between_two_queries_is_no_edit(
    repository: Repository, stored: Configuration, read: Callable[[Repository, str], object]
) -> None:
    with after_every_query(lambda: report(repository, stored.id)) as queries:
        said = read(repository, stored.id)
    assert len(queries) > 1
    assert said in ("VALIDATION", "PAPER", [()], 1)


@pytest.fixture
def claim(repository: Repository, example_job: dict[str, Any]) -> Claim:
    """A running sweep of two markets."""
    return repository.sweeps.begin(
        key="5eed" * 16,
        strategy="liquidity_sweep",
        optimizer="grid",
        config={},
        since=None,
        until=datetime(2026, 1, 1, tzinfo=UTC),
        engine_version="1",
        markets=[MarketSpec(name, name, example_job) for name in ("btc_1h", "eth_1h")],
        has_artifacts=None,
    )


def test_a_market_that_ends_between_two_queries_is_no_edit(
    repository: Repository, claim: Claim
) -> None:
    with after_every_query(lambda: repository.sweeps.settle(claim, 0, "its candles are gone")):
        assert repository.sweeps.whole(claim.sweep_id).status == "running"
    with after_every_query(lambda: repository.sweeps.settle(claim, 1, None)):
        _, refused = repository.sweeps.recent()
    assert refused == {}


def test_a_transaction_that_writes_judges_another_sweep_at_one_moment(
    repository: Repository, claim: Claim
) -> None:
    if repository.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with (
        repository.transaction() as session,
        after_every_query(lambda: repository.sweeps.settle(claim, 0, None)),
    ):
        assert sweep_rows.is_whole(session, claim.sweep_id)
