"""Which configurations live traders may use: switched by a person, with the reason kept."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection

from sqlalchemy import func, select, update

from pipeline.results.jobs import Repository, StageMovedError
from pipeline.results.models import ConfigurationEventRow, TrainedConfiguration
from pipeline.results.ownership import get_row
from pipeline.results.records import utc_now
from pipeline.validation.stages import STAGES, Stage


def set_active(
    repository: Repository,
    configuration_id: str,
    active: bool,
    reason: str,
    *,
    stages: Collection[Stage] = STAGES,
    forced: bool = False,
) -> bool:
    """Switch a configuration on or off and record an event of it: both or neither.

    Parameters
    ----------
    stages : collection of Stage
        Those that it may be in at this very moment.

    Returns
    -------
    bool
        False where it was so already; then nothing is recorded.

    Raises
    ------
    UnknownIdError
        When it is not stored.
    StageMovedError
        When it is in none of ``stages``.
    """
    row = TrainedConfiguration
    switch = (
        update(row)
        .where(row.id == configuration_id, ~row.is_active if active else row.is_active)
        .where(row.lifecycle_stage.in_(stages))
        .values(is_active=active)
        .returning(row.lifecycle_stage)
    )
    with repository.session() as session, session.begin():
        stage = session.scalar(switch)
        if stage is None:
            present = get_row(session, row, configuration_id)
            if present.is_active != active:
                raise StageMovedError(f"{configuration_id} is in {present.lifecycle_stage}")
            return False
        session.add(
            ConfigurationEventRow(
                id=uuid.uuid4().hex,
                configuration_id=configuration_id,
                at=utc_now(),
                kind="activated" if active else "deactivated",
                from_stage=stage,
                to_stage=stage,
                reason=reason,
                figures={"forced": forced},
            )
        )
    return True


def active_version(repository: Repository) -> str:
    """Return what changes whenever an active configuration comes, goes or has a new event.

    A stored configuration never changes without an event, so its documents need not be read.
    """
    row, event = TrainedConfiguration, ConfigurationEventRow
    query = (
        select(row.id, func.count(event.id))
        .outerjoin(event, event.configuration_id == row.id)
        .where(row.is_active)
        .group_by(row.id)
        .order_by(row.id)
    )
    with repository.session() as session:
        held = ";".join(f"{one} {events}" for one, events in session.execute(query))
    return hashlib.sha256(held.encode()).hexdigest()[:32]
