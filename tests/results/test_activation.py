"""Configurations are switched on and off, and every switch is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.results.activation import active_version, set_active
from pipeline.results.jobs import Repository, StageMovedError
from pipeline.results.ownership import UnknownIdError
from pipeline.results.records import Configuration, ConfigurationRow
from pipeline.validation.stages import STAGES


@pytest.fixture
def stored(
    repository: Repository, running_job: str, example: Callable[..., Configuration]
) -> Configuration:
    repository.save_configuration(found := example(running_job))
    return found


def test_every_switch_is_kept_once(repository: Repository, stored: Configuration) -> None:
    versions = [active_version(repository)]
    assert set_active(repository, stored.id, True, "fills look right", forced=True)
    versions.append(active_version(repository))
    assert not set_active(repository, stored.id, True, "again")
    assert active_version(repository) == versions[-1]
    assert set_active(repository, stored.id, False, "enough")
    kept = [(e.kind, e.reason, e.figures) for e in repository.events(stored.id)]
    assert kept == [
        ("activated", "fills look right", {"forced": True}),
        ("deactivated", "enough", {"forced": False}),
    ]
    assert versions[0] != versions[1]
    assert active_version(repository) == versions[0]


def test_a_stage_that_moved_meanwhile_is_not_switched_on(
    repository: Repository, stored: Configuration
) -> None:
    others = [stage for stage in STAGES if stage != stored.lifecycle_stage]
    with pytest.raises(StageMovedError, match=f"is in {stored.lifecycle_stage}"):
        set_active(repository, stored.id, True, "fills look right", stages=others)
    assert repository.events(stored.id) == []
    assert not repository.configuration(stored.id).is_active


def test_what_is_not_stored_is_not_switched(repository: Repository) -> None:
    with pytest.raises(UnknownIdError):
        set_active(repository, "nothing", True, "why")


def test_a_page_tells_figures_and_how_many_match(
    repository: Repository, stored: Configuration
) -> None:
    rows, total = repository.page_of_configurations(exchange="binance", order_by="p_value", limit=1)
    assert total == 1
    assert isinstance(rows[0], ConfigurationRow)
    assert (rows[0].id, rows[0].oos_sharpe_ratio, rows[0].p_value) == (stored.id, 1.5, 0.03)
    assert repository.page_of_configurations(exchange="kraken") == ([], 0)
