"""What live orders say is judged with the gates that a configuration had."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.errors import UnknownIdError
from pipeline.results.database import Repository
from pipeline.results.records import Configuration, ConfigurationEvent
from pipeline.review.later_evidence import record_execution
from pipeline.validation.stages import Stage, judge
from support.databases import later_events
from support.v3_document import document

FIGURES = {
    "net_profit": 0.1,
    "sharpe_ratio": 2.0,
    "sample_size": 150.0,
    "p_value": 0.01,
    "surrogate_p": 0.01,
    "beta": 0.0,
    "reality_check_p": 0.01,
}


@pytest.fixture
def mature(
    repository: Repository, running_job: str, example: Callable[..., Configuration]
) -> Configuration:
    stage, gates = judge(FIGURES)
    found = example(
        running_job,
        lifecycle_stage=stage,
        gates=[gate.to_dict() for gate in gates],
        statistics=FIGURES,
        document=document(stage),
    )
    repository.configurations.save(found)
    return found


@pytest.mark.parametrize(
    ("metrics", "stage"),
    [
        ({"fill_rate": 0.69}, "PAPER"),
        ({"fill_rate": 0.7}, "MATURE"),
        ({"adverse_selection_score": 0.3}, "VALIDATION"),
        ({"adverse_selection_score": 0.29}, "MATURE"),
    ],
)
def test_a_known_figure_binds(
    repository: Repository, mature: Configuration, metrics: dict[str, float], stage: Stage
) -> None:
    assert mature.lifecycle_stage == "MATURE"
    assert record_execution(repository, mature.id, metrics) == stage
    (event,) = later_events(repository, mature.id)
    assert (event.kind, event.from_stage, event.to_stage) == ("execution", "MATURE", stage)
    assert event.figures == metrics


def test_the_same_figures_again_are_recorded_once(
    repository: Repository, mature: Configuration
) -> None:
    for _ in range(2):
        record_execution(repository, mature.id, {"fill_rate": 0.5, "slippage": 0.001})
    assert len(later_events(repository, mature.id)) == 1


def test_better_fills_lift_it_again(repository: Repository, mature: Configuration) -> None:
    assert record_execution(repository, mature.id, {"fill_rate": 0.5}) == "PAPER"
    assert record_execution(repository, mature.id, {"fill_rate": 0.9}) == "MATURE"


def test_the_reason_names_the_figure_and_its_limit(
    repository: Repository, mature: Configuration
) -> None:
    record_execution(repository, mature.id, {"fill_rate": 0.2, "slippage": 0.001})
    record_execution(repository, mature.id, {"fill_rate": 0.9})
    assert [event.reason for event in later_events(repository, mature.id)] == [
        "Live orders: fill_rate 0.2 (>= 0.7 is needed), slippage 0.001: PAPER.",
        "Live orders: fill_rate 0.9: MATURE.",
    ]


def looked(configuration: Configuration, stage: Stage, failed: Stage) -> ConfigurationEvent:
    """What monitoring records of a configuration in a stage whose lifetime figures fail."""
    figures = {"gates": [{"stage": failed, "name": "net_profit", "passed": False}]}
    return ConfigurationEvent(configuration.id, "monitor", stage, stage, "It lost.", figures)


def test_better_fills_do_not_lift_it_above_what_monitoring_found(
    repository: Repository, mature: Configuration
) -> None:
    """Live orders had lowered it already: monitoring moved nothing, and found all the same."""
    assert record_execution(repository, mature.id, {"fill_rate": 0.5}) == "PAPER"
    document = repository.configurations.read(mature.id).document
    assert repository.configurations.record_event(
        looked(mature, "PAPER", "PAPER"), lambda _: document
    )
    assert record_execution(repository, mature.id, {"fill_rate": 0.9}) == "PAPER"
    assert later_events(repository, mature.id)[-1].reason == (
        "Live orders: fill_rate 0.9: MATURE, and PAPER since newer candles were looked at."
    )


def test_what_is_not_stored_has_no_orders(repository: Repository) -> None:
    with pytest.raises(UnknownIdError):
        record_execution(repository, "nothing", {"fill_rate": 0.5})
