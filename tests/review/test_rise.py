"""A rise by watching: who rises, how far, and what becomes of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeline.results.database import Repository
from pipeline.results.records import Configuration, ConfigurationEvent
from pipeline.review.derived import judge_again
from pipeline.review.explanation import explain
from pipeline.review.later_evidence import record_execution, record_look
from pipeline.validation.stages import judge
from pipeline.validation.watching import Look
from support.databases import later_events
from support.v3_document import document

GOOD = Look(90, 40, 2, 0.001, 0.0, 0.002, 0.001, 0.25, 1.4)
#: Held in DISCOVERY by luck.
METRICS = {"net_profit": 0.4, "sharpe_ratio": 2.0, "sample_size": 150}
STATISTICS = {"p_value": 0.01, "reality_check_p": 0.01, "surrogate_p": 0.2, "beta": 0.0}

Store = Callable[..., str]


@pytest.fixture
def store(
    repository: Repository, example_job: dict[str, Any], example: Callable[..., Configuration]
) -> Store:
    def store(synthetic: bool = False, **statistics: float) -> str:
        job = repository.jobs.create(**example_job)
        repository.jobs.start(job)
        figures = STATISTICS | statistics
        out_of_sample = example(job).out_of_sample | METRICS
        stage, gates = judge(out_of_sample | figures)
        record = example(
            job,
            lifecycle_stage=stage,
            synthetic=synthetic,
            document=document(stage),
            out_of_sample=out_of_sample,
            statistics=figures,
            gates=[gate.to_dict() for gate in gates],
        )
        repository.configurations.save(record)
        return record.id

    return store


def monitored(repository: Repository, identity: str, stage: Any, gates: Any = ()) -> None:
    before = repository.configurations.read(identity).lifecycle_stage
    event = ConfigurationEvent(identity, "monitor", before, stage, "Looked.", {"gates": [*gates]})
    repository.configurations.record_event(event, lambda earlier: earlier)


def test_a_good_look_lifts_discovery_to_validation(repository: Repository, store: Store) -> None:
    identity = store()
    assert repository.configurations.read(identity).position_size == 0.0
    assert record_look(repository, identity, GOOD)
    row = repository.configurations.read(identity)
    assert (row.lifecycle_stage, row.position_size) == ("VALIDATION", 0.5)
    assert row.document["status"] == "VALIDATION"
    assert row.document["risk_allocation"]["max_position_size"] == 0.5
    (event,) = later_events(repository, identity)
    assert (event.kind, event.from_stage, event.to_stage) == ("watch", "DISCOVERY", "VALIDATION")
    assert event.figures["watched_p"] == pytest.approx(4 * 2 * 0.002)
    assert event.figures["accounts"] == 2
    stage, gates = judge_again(row, [event])
    assert (stage, gates) == (row.lifecycle_stage, row.gates)


def test_what_a_sweep_or_monitoring_lowered_rises_too(repository: Repository, store: Store) -> None:
    identity = store(surrogate_p=0.01)
    failed = {"stage": "PAPER", "name": "net_profit", "passed": False}
    monitored(repository, identity, "PAPER", [failed])
    assert record_look(repository, identity, GOOD)
    row = repository.configurations.read(identity)
    # It was MATURE once, and watching lifts no further than VALIDATION.
    assert (row.lifecycle_stage, row.position_size) == ("VALIDATION", 0.5)
    assert record_execution(repository, identity, {"fill_rate": 0.9}) == "VALIDATION"
    assert record_execution(repository, identity, {"fill_rate": 0.5}) == "PAPER"
    assert record_execution(repository, identity, {"fill_rate": 0.9}) == "VALIDATION"


def test_it_rises_once(repository: Repository, store: Store) -> None:
    identity = store()
    record_look(repository, identity, GOOD)
    assert not record_look(repository, identity, GOOD)
    monitored(repository, identity, "PAPER")
    row = repository.configurations.read(identity)
    assert (row.lifecycle_stage, row.position_size) == ("PAPER", 0.0)
    assert not record_look(repository, identity, replace(GOOD, days=180))
    assert record_execution(repository, identity, {"fill_rate": 0.9}) == "PAPER"


@pytest.mark.parametrize(
    "look",
    [
        replace(GOOD, accounts=10),
        replace(GOOD, trades=29),
        replace(GOOD, alpha_p=None),
        replace(GOOD, net_profit=-0.01),
        replace(GOOD, sharpe_ratio=0.4),
    ],
    ids=["many accounts", "few trades", "undefined", "loss", "little"],
)
def test_another_look_changes_and_records_nothing(
    repository: Repository, store: Store, look: Look
) -> None:
    identity = store()
    before = repository.configurations.read(identity)
    assert not record_look(repository, identity, look)
    assert repository.configurations.read(identity) == before
    assert later_events(repository, identity) == []


def test_neither_decay_nor_invented_candles_rise(repository: Repository, store: Store) -> None:
    dead, invented = store(), store(synthetic=True)
    monitored(repository, dead, "DECAY")
    for identity, stage in ((dead, "DECAY"), (invented, "DISCOVERY")):
        assert not record_look(repository, identity, GOOD)
        row = repository.configurations.read(identity)
        assert (row.lifecycle_stage, row.position_size) == (stage, 0.0)


def test_the_explanation_names_what_it_rests_on(repository: Repository, store: Store) -> None:
    identity = store()
    monitored(repository, identity, "DISCOVERY")
    record_look(repository, identity, GOOD)
    row, events = repository.configurations.read_with_events(identity)
    told = explain(row, events)
    gates = {gate.name: gate.outcome for gate in told.gates if gate.stage == "DISCOVERY"}
    assert gates["watched_p"] == "passed"
    assert gates["surrogate_p"] == "skipped"
    assert "90 days" in told.verdict
    assert not any("To leave DISCOVERY" in move for move in told.moves)
