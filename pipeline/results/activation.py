"""Which configurations live traders may use: switched by a person, with the reason kept."""

from __future__ import annotations

import hashlib
import uuid

from sqlalchemy import func, select, update

from pipeline.results.models import ConfigurationEventRow, TrainedConfiguration
from pipeline.results.ownership import get_row
from pipeline.results.records import utc_now
from pipeline.results.repository import Repository


def set_active(
    repository: Repository,
    configuration_id: str,
    active: bool,
    reason: str,
    *,
    forced: bool = False,
) -> bool:
    """Switch a configuration on or off and record an event of it: both or neither.

    Returns
    -------
    bool
        False where it was so already; then nothing is recorded.

    Raises
    ------
    UnknownIdError
        When it is not stored.
    """
    row = TrainedConfiguration
    switch = (
        update(row)
        .where(row.id == configuration_id, ~row.is_active if active else row.is_active)
        .values(is_active=active)
        .returning(row.lifecycle_stage)
    )
    with repository.session() as session, session.begin():
        stage = session.scalar(switch)
        if stage is None:
            get_row(session, row, configuration_id)
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
