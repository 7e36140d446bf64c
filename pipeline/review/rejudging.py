"""A stored configuration judged anew, by its sweep or by live orders, in one transaction each."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sqlalchemy import select, update

from pipeline.results.database import Repository
from pipeline.results.models import Base, ConfigurationEventRow, TrainedConfiguration
from pipeline.results.ownership import UnknownIdError, get_row
from pipeline.results.records import Configuration, ConfigurationEvent, utc_now
from pipeline.validation.stages import STAGES, Stage

Record = TypeVar("Record", Configuration, ConfigurationEvent)

#: Of the events that judging together, live orders and newer candles record.
SWEEP, EXECUTION, MONITOR = "sweep", "execution", "monitor"

#: Ids in one query: SQLite takes 32,766 parameters, and a sweep may have more markets.
BATCH = 1_000


@dataclass(frozen=True)
class Tested:
    """What judging together needs to know of a configuration."""

    id: str
    p_value: float | None
    synthetic: bool


@dataclass(frozen=True)
class Judgement:
    """What a configuration's row is to hold from now on, and why, for its event."""

    kind: str
    stage: Stage
    statistics: dict[str, Any]
    gates: list[dict[str, Any]]
    document: dict[str, Any]
    reason: str
    figures: dict[str, Any]


Judge = Callable[[Configuration, Sequence[ConfigurationEvent]], Judgement]


def tested(repository: Repository, configuration_ids: Sequence[str]) -> list[Tested]:
    """Read the p-values of configurations, in the order of their ids.

    Raises
    ------
    UnknownIdError
        When one of them is not stored.
    """
    row, found = TrainedConfiguration, {}
    with repository.session() as session:
        for start in range(0, len(configuration_ids), BATCH):
            batch = configuration_ids[start : start + BATCH]
            query = select(row.id, row.p_value, row.synthetic).where(row.id.in_(batch))
            found.update({one.id: Tested(*one) for one in session.execute(query)})
    missing = [one for one in configuration_ids if one not in found]
    if missing:
        raise UnknownIdError(f"{row.__tablename__} has no row with id {missing[0]}")
    return [found[one] for one in configuration_ids]


def rejudge(repository: Repository, configuration_id: str, judge: Judge) -> bool:
    """Judge a configuration and record an event of it; nothing where nothing would change.

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    UnknownIdError
        When it is not stored.
    """
    row, event = TrainedConfiguration, ConfigurationEventRow
    happened = select(event).where(event.configuration_id == configuration_id)
    with repository.session() as session, session.begin():
        # A write that changes nothing takes the row before it is read, in either database.
        session.execute(update(row).where(row.id == configuration_id).values(id=configuration_id))
        stored = get_row(session, row, configuration_id)
        events = session.scalars(happened.order_by(event.at, event.id))
        judged = judge(
            _record(Configuration, stored), [_record(ConfigurationEvent, one) for one in events]
        )
        columns = {
            "lifecycle_stage": judged.stage,
            "statistics": judged.statistics,
            "gates": judged.gates,
            "document": judged.document,
        }
        if all(getattr(stored, name) == value for name, value in columns.items()):
            return False
        session.add(
            event(
                id=uuid.uuid4().hex,
                configuration_id=configuration_id,
                at=utc_now(),
                kind=judged.kind,
                from_stage=stored.lifecycle_stage,
                to_stage=judged.stage,
                reason=judged.reason,
                figures=judged.figures,
            )
        )
        for name, value in columns.items():
            setattr(stored, name, value)
    return True


def held(stage: Stage, events: Sequence[ConfigurationEvent]) -> Stage:
    """Lower ``stage`` to where monitoring holds the configuration."""
    highest = ceiling(events)
    return stage if highest is None else min(stage, highest, key=STAGES.index)


def ceiling(events: Sequence[ConfigurationEvent]) -> Stage | None:
    """Return the lowest stage whose gates monitoring saw fail, or moved to; None: it saw nothing.

    What it found stays true, also where the stage was that low already and did not move. What a
    sweep or live orders said is a figure among the gates, and judged again with them.
    """
    looks = [event for event in events if event.kind == MONITOR]
    gates = [gate for event in looks for gate in event.figures.get("gates", ())]
    found = [gate["stage"] for gate in gates if gate["passed"] is False]
    found += [event.to_stage for event in looks if event.to_stage != event.from_stage]
    return min(found, key=STAGES.index, default=None)


def _record(kind: type[Record], row: Base) -> Record:
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})
