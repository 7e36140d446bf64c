"""Configurations judged among others: q-values, stages, events, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import UnknownIdError
from pipeline.results.database import Repository
from pipeline.results.records import Configuration, ConfigurationEvent
from pipeline.sweeps.judging import judge_together
from pipeline.validation.stages import judge
from support.databases import later_events
from support.v3_document import document

FIGURES = {"net_profit": 0.4, "sharpe_ratio": 2.0, "sample_size": 150, "reality_check_p": 0.01}

Store = Callable[..., str]


@pytest.fixture
def store(
    repository: Repository, example_job: dict[str, Any], example: Callable[..., Configuration]
) -> Store:
    """Store a configuration whose p-values are all ``p``; MATURE unless p says otherwise."""

    def store(
        identity: str, p: float | None, synthetic: bool = False, **others: float | None
    ) -> str:
        job = repository.jobs.create(**example_job)
        repository.jobs.start(job)
        p_values = {"p_value": p, "surrogate_p": p, "beta": 0.0} | others
        stage, gates = judge(FIGURES | p_values)
        record = example(
            job,
            id=f"LIQUIDITY_SWEEP_V3_20230505_000000_{identity * 6}",
            lifecycle_stage=stage,
            synthetic=synthetic,
            document=document(stage),
            statistics=p_values,
            gates=[gate.to_dict() for gate in gates],
        )
        repository.configurations.save(record)
        return record.id

    return store


def test_judging_among_fewer_undoes_no_correction(repository: Repository, store: Store) -> None:
    ids = [store(name, p) for name, p in zip("abc", (0.04, 0.5, 0.6), strict=True)]
    assert judge_together(repository, ids)[ids[0]] == pytest.approx(0.12)
    events = len(later_events(repository, ids[0]))
    assert judge_together(repository, ids[:1]) == {ids[0]: 0.04}
    assert repository.configurations.read(ids[0]).statistics["fdr_q_value"] == pytest.approx(0.12)
    assert len(later_events(repository, ids[0])) == events


def test_q_is_benjamini_hochbergs(repository: Repository, store: Store) -> None:
    ids = [store(name, p) for name, p in zip("abcd", (0.01, 0.04, 0.03, 0.005), strict=True)]
    q_values = judge_together(repository, ids)
    assert [q_values[one] for one in ids] == pytest.approx([0.02, 0.04, 0.04, 0.02])
    stored = repository.configurations.read(ids[2])
    assert stored.statistics["fdr_q_value"] == pytest.approx(0.04)
    assert stored.document["statistical_validation"]["fdr_q_value"] == pytest.approx(0.04)


def test_a_market_that_failed_another_gate_is_a_test_that_failed(
    repository: Repository, store: Store
) -> None:
    strong, weak = store("a", 0.01), store("b", 0.02, surrogate_p=None)
    assert judge_together(repository, [strong, weak]) == {strong: 0.02, weak: 1.0}


def test_a_large_q_holds_a_stage_back(repository: Repository, store: Store) -> None:
    found, *others = [store(name, p) for name, p in zip("abc", (0.04, 0.8, 0.9), strict=True)]
    judge_together(repository, [found, *others])
    stored = repository.configurations.read(found)
    assert (stored.lifecycle_stage, stored.document["status"]) == ("DISCOVERY", "DISCOVERY")
    (gate,) = [gate for gate in stored.gates if gate["name"] == "fdr_q_value"]
    assert (gate["value"], gate["passed"]) == (pytest.approx(0.12), False)
    (event,) = later_events(repository, found)
    assert (event.kind, event.from_stage, event.to_stage) == ("sweep", "MATURE", "DISCOVERY")


def test_judging_again_changes_and_records_nothing(repository: Repository, store: Store) -> None:
    ids = [store("a", 0.04), store("b", 0.8)]
    first = judge_together(repository, ids)
    before = [repository.configurations.read(one) for one in ids]
    assert judge_together(repository, ids[::-1]) == first
    assert [repository.configurations.read(one) for one in ids] == before
    assert [len(later_events(repository, one)) for one in ids] == [1, 1]


def test_another_sweep_replaces_the_judgement(repository: Repository, store: Store) -> None:
    found, weak, strong = store("a", 0.04), store("b", 0.8), store("c", 0.001)
    judge_together(repository, [found, weak, store("d", 0.9)])
    assert repository.configurations.read(found).lifecycle_stage == "DISCOVERY"
    judge_together(repository, [found, weak, strong])
    assert repository.configurations.read(found).lifecycle_stage == "MATURE"
    assert [event.to_stage for event in later_events(repository, found)] == [
        "DISCOVERY",
        "MATURE",
    ]


def test_what_monitoring_found_stays(repository: Repository, store: Store) -> None:
    found = store("a", 0.001)
    before = repository.configurations.read(found)
    event = ConfigurationEvent(found, "monitor", "MATURE", "DECAY", "It lost.", {})
    repository.configurations.record_event(event, lambda _: before.document)
    judge_together(repository, [found])
    assert repository.configurations.read(found).lifecycle_stage == "DECAY"
    assert later_events(repository, found)[-1].reason.endswith(
        "MATURE, and DECAY since newer candles were looked at."
    )


def test_generated_candles_are_a_family_of_their_own(repository: Repository, store: Store) -> None:
    real, other = store("a", 0.04), store("b", 0.5)
    planted = store("c", 1e-9, synthetic=True)
    q_values = judge_together(repository, [real, planted, other])
    assert q_values == pytest.approx({real: 0.08, planted: 1e-9, other: 0.5})


def test_an_undefined_p_counts_and_has_no_q(repository: Repository, store: Store) -> None:
    found, undefined = store("a", 0.04), store("b", None)
    assert judge_together(repository, [found, undefined]) == {found: 0.08, undefined: None}
    assert later_events(repository, undefined) == []


def test_a_market_that_stored_nothing_counts_among_its_kind(
    repository: Repository, store: Store
) -> None:
    """Two real ones stored nothing, and one of generated candles."""
    real, other, planted = store("a", 0.03), store("b", 0.5), store("c", 0.01, synthetic=True)
    q_values = judge_together(repository, [real, other, planted], [False, True, False])
    assert q_values == pytest.approx({real: 0.12, other: 1.0, planted: 0.02})
    stored = repository.configurations.read(real)
    assert (stored.lifecycle_stage, stored.statistics["fdr_q_value"]) == (
        "DISCOVERY",
        pytest.approx(0.12),
    )
    assert [later_events(repository, one)[0].figures["tests"] for one in (real, planted)] == [4, 2]


def test_an_unknown_id_changes_nothing(repository: Repository, store: Store) -> None:
    found = store("a", 0.04)
    with pytest.raises(UnknownIdError, match="nobody"):
        judge_together(repository, [found, "nobody"])
    assert later_events(repository, found) == []
