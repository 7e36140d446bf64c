"""Store, read and change the trained configurations of a database, with the events of each."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any, Unpack

from sqlalchemy import func, select, update

from pipeline.results import listing
from pipeline.results.jsonable import jsonable
from pipeline.results.models import ConfigurationEventRow, TrainedConfiguration
from pipeline.results.ownership import UnknownIdError, complete_job, get_row, record
from pipeline.results.patience import Tables, waits
from pipeline.results.records import (
    Configuration,
    ConfigurationEvent,
    ConfigurationSummary,
    Judgement,
    SweepMember,
    from_row,
)
from pipeline.validation.stages import SIZE_RULES, STAGES, Stage, deciding_p

#: Makes a configuration's new document from the stored one.
Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]

#: Judges a configuration with its events, oldest first.
Judge = Callable[[Configuration, Sequence[ConfigurationEvent]], Judgement]

#: Ids in one query: SQLite takes 32,766 parameters, and a sweep may have more markets.
BATCH = 1_000


class StageMovedError(RuntimeError):
    """A configuration was no longer in the stage that an event was to move it from."""


class Configurations(Tables):
    """Configurations of one database; `pipeline.results.database.Repository` makes it."""

    @waits
    def save(self, configuration: Configuration) -> None:
        """Store a configuration and complete its running job: both or neither.

        Raises
        ------
        IllegalTransitionError
            When the job is not running any more, or was given to another process.
        """
        metrics = configuration.out_of_sample
        row = TrainedConfiguration(
            **{field.name: getattr(configuration, field.name) for field in fields(configuration)},
            oos_sharpe_ratio=float(metrics["sharpe_ratio"]),
            oos_net_profit=float(metrics["net_profit"]),
            sample_size=int(metrics["sample_size"]),
            p_value=jsonable(configuration.statistics.get("p_value")),
        )
        with self._sessions.begin() as session:
            record(session, configuration.job_id, "result", {"configuration_id": configuration.id})
            complete_job(session, configuration.job_id)
            session.add(row)

    @waits
    def read(self, configuration_id: str) -> Configuration:
        """Read one configuration, or raise `UnknownIdError`."""
        with self._sessions() as session:
            row = get_row(session, TrainedConfiguration, configuration_id)
            return from_row(Configuration, row)

    @waits
    def filter_columns(self, configuration_id: str) -> dict[str, float | int | None]:
        """Read the figures of a configuration that have columns of their own, to be listed by.

        Raises
        ------
        UnknownIdError
            When there is no such configuration.
        """
        names = ("oos_sharpe_ratio", "oos_net_profit", "sample_size", "p_value")
        with self._sessions() as session:
            row = get_row(session, TrainedConfiguration, configuration_id)
            return {name: getattr(row, name) for name in names}

    @waits
    def strategies(self) -> list[str]:
        """Read the names of all strategies of which something is stored, in alphabetical order."""
        column = TrainedConfiguration.strategy
        with self._sessions() as session:
            return list(session.scalars(select(column).distinct().order_by(column)))

    @waits
    def exists(self, configuration_id: str) -> bool:
        """Tell whether a configuration is stored."""
        with self._sessions() as session:
            return session.get(TrainedConfiguration, configuration_id) is not None

    @waits
    def find(
        self,
        *,
        order_by: listing.SortKey = "created_at",
        descending: bool = True,
        limit: int | None = 100,
        offset: int = 0,
        **filters: Unpack[listing.Filters],
    ) -> list[Configuration]:
        """Read a page of the configurations that match every filter, nulls last."""
        query = listing.page_query(
            [TrainedConfiguration], filters, order_by, descending, limit, offset
        )
        with self._sessions() as session:
            return [from_row(Configuration, row) for row in session.scalars(query)]

    @waits
    def page(
        self,
        *,
        order_by: listing.SortKey = "created_at",
        descending: bool = True,
        limit: int = 100,
        offset: int = 0,
        **filters: Unpack[listing.Filters],
    ) -> tuple[list[ConfigurationSummary], int]:
        """Read a page as `find` does, without documents, and how many match in all."""
        query = listing.page_query(
            listing.SUMMARY_COLUMNS, filters, order_by, descending, limit, offset
        )
        with self._sessions() as session:
            listing.prefer_indices(session)
            page = [ConfigurationSummary(*row) for row in session.execute(query)]
            return page, session.scalar(listing.count_query(filters)) or 0

    @waits
    def ids(self) -> list[str]:
        """Read the ids of all configurations, newest first."""
        row = TrainedConfiguration
        query = select(row.id).order_by(row.created_at.desc(), row.id)
        with self._sessions() as session:
            return list(session.scalars(query))

    @waits
    def members(self, configuration_ids: Sequence[str]) -> list[SweepMember]:
        """Read what configurations are judged together by, in the order of their ids.

        Raises
        ------
        UnknownIdError
            When one of them is not stored.
        """
        row = TrainedConfiguration
        by_id: dict[str, SweepMember] = {}
        with self._sessions() as session:
            for start in range(0, len(configuration_ids), BATCH):
                batch = configuration_ids[start : start + BATCH]
                query = select(row.id, row.strategy, row.pair, row.synthetic, row.statistics)
                for it in session.execute(query.where(row.id.in_(batch))):
                    p = deciding_p(it.statistics)
                    by_id[it.id] = SweepMember(it.id, it.strategy, it.pair, it.synthetic, p)
        missing = [identity for identity in configuration_ids if identity not in by_id]
        if missing:
            raise UnknownIdError(f"{row.__tablename__} has no row with id {missing[0]}")
        return [by_id[identity] for identity in configuration_ids]

    @waits
    def record_event(self, event: ConfigurationEvent, change: Change) -> bool:
        """Store an event, move its configuration's stage and change its document: all or nothing.

        ``change`` takes the document as it is then: others may have written since it was read.

        Where figures have a ``data_hash``, an event of the same kind with the same hash says that
        these candles were looked at before: then nothing changes, and the answer is False.

        Raises
        ------
        StageMovedError
            When the configuration is not in the event's ``from_stage``.
        """
        row, same = TrainedConfiguration, ConfigurationEventRow
        move = (  # first, so that this transaction holds the row before it reads
            update(row)
            .where(row.id == event.configuration_id, row.lifecycle_stage == event.from_stage)
            .values(lifecycle_stage=event.to_stage)
            .returning(row.document)
        )
        earlier = select(same.figures).where(
            same.configuration_id == event.configuration_id, same.kind == event.kind
        )
        with self._sessions.begin() as session:
            document = session.scalar(move)
            if document is None:
                present = get_row(session, row, event.configuration_id).lifecycle_stage
                raise StageMovedError(
                    f"{event.configuration_id} is in {present}, not in {event.from_stage}"
                )
            data_hash = event.figures.get("data_hash")
            if data_hash is not None and any(
                figures.get("data_hash") == data_hash for figures in session.scalars(earlier)
            ):
                session.rollback()
                return False
            session.execute(
                update(row)
                .where(row.id == event.configuration_id)
                .values(document=change(document))
            )
            session.add(same(**vars(event)))
        return True

    @waits
    def events(self, configuration_id: str) -> list[ConfigurationEvent]:
        """Read what happened to a configuration, oldest first."""
        row = ConfigurationEventRow
        query = select(row).where(row.configuration_id == configuration_id)
        with self._sessions() as session:
            events = session.scalars(query.order_by(row.at, row.id))
            return [from_row(ConfigurationEvent, event) for event in events]

    @waits
    def rejudge(self, configuration_id: str, judge: Judge) -> bool:
        """Judge a configuration and record an event of it, in one transaction.

        Returns
        -------
        bool
            Whether anything changed; if not, nothing is recorded.

        Raises
        ------
        UnknownIdError
            When it is not stored.
        """
        row, happened = TrainedConfiguration, ConfigurationEventRow
        query = select(happened).where(happened.configuration_id == configuration_id)
        # A write that changes nothing takes the row before it is read, in either database.
        lock = update(row).where(row.id == configuration_id).values(id=configuration_id)
        with self._sessions.begin() as session:
            session.execute(lock)
            stored = get_row(session, row, configuration_id)
            events = session.scalars(query.order_by(happened.at, happened.id))
            judgement = judge(
                from_row(Configuration, stored), [from_row(ConfigurationEvent, e) for e in events]
            )
            columns = {
                "lifecycle_stage": judgement.stage,
                "statistics": judgement.statistics,
                "gates": judgement.gates,
                "document": judgement.document,
            }
            if all(getattr(stored, name) == value for name, value in columns.items()):
                return False
            event = ConfigurationEvent(
                configuration_id=configuration_id,
                kind=judgement.kind,
                from_stage=stored.lifecycle_stage,
                to_stage=judgement.stage,
                reason=judgement.reason,
                figures=judgement.figures,
            )
            session.add(ConfigurationEventRow(**vars(event)))
            for name, value in columns.items():
                setattr(stored, name, value)
        return True

    @waits
    def set_active(
        self,
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
        with self._sessions.begin() as session:
            stage = session.scalar(switch)
            if stage is None:
                present = get_row(session, row, configuration_id)
                if present.is_active != active:
                    raise StageMovedError(f"{configuration_id} is in {present.lifecycle_stage}")
                return False
            event = ConfigurationEvent(
                configuration_id=configuration_id,
                kind="activated" if active else "deactivated",
                from_stage=stage,
                to_stage=stage,
                reason=reason,
                figures={"forced": forced},
            )
            session.add(ConfigurationEventRow(**vars(event)))
        return True

    @waits
    def active_version(self) -> str:
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
        with self._sessions() as session:
            active = [f"{identity} {n}" for identity, n in session.execute(query)]
        version = ";".join([SIZE_RULES, *active])
        return hashlib.sha256(version.encode()).hexdigest()[:32]
