"""Configurations are switched on and off, and every switch is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.errors import StageMovedError, UnknownIdError
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.validation.stages import STAGES


@pytest.fixture
def stored(
    repository: Repository, running_job: str, example: Callable[..., Configuration]
) -> Configuration:
    repository.configurations.save(found := example(running_job))
    return found


def test_every_switch_is_kept_once(repository: Repository, stored: Configuration) -> None:
    versions = [repository.configurations.active_version()]
    assert repository.configurations.set_active(stored.id, True, "fills look right", forced=True)
    versions.append(repository.configurations.active_version())
    assert not repository.configurations.set_active(stored.id, True, "again")
    assert repository.configurations.active_version() == versions[-1]
    assert repository.configurations.set_active(stored.id, False, "enough")
    kept = [(e.kind, e.reason, e.figures) for e in repository.configurations.events(stored.id)]
    assert kept[1:] == [
        ("activated", "fills look right", {"forced": True}),
        ("deactivated", "enough", {"forced": False}),
    ]
    assert versions[0] != versions[1]
    assert repository.configurations.active_version() == versions[0]


def test_a_stage_that_moved_meanwhile_is_not_switched_on(
    repository: Repository, stored: Configuration
) -> None:
    others = [stage for stage in STAGES if stage != stored.lifecycle_stage]
    with pytest.raises(StageMovedError, match=f"is in {stored.lifecycle_stage}"):
        repository.configurations.set_active(stored.id, True, "fills look right", stages=others)
    assert [one.kind for one in repository.configurations.events(stored.id)] == ["stored"]
    assert not repository.configurations.read(stored.id).is_active


def test_what_is_not_stored_is_not_switched(repository: Repository) -> None:
    with pytest.raises(UnknownIdError):
        repository.configurations.set_active("nothing", True, "why")


def test_a_page_tells_figures_and_how_many_match(
    repository: Repository, stored: Configuration
) -> None:
    page = repository.configurations.page(exchange="binance", order_by="p_value", limit=1)
    assert page == ([stored.id], 1)
    assert repository.configurations.filter_columns(stored.id) == {
        "oos_sharpe_ratio": 1.5,
        "oos_net_profit": stored.out_of_sample["net_profit"],
        "sample_size": stored.out_of_sample["sample_size"],
        "p_value": 0.03,
    }
    assert repository.configurations.page(exchange="kraken") == ([], 0)
