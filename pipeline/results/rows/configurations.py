"""Store, read and change the trained configurations of a database, with the events of each."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, Unpack

from sqlalchemy import Text, cast, select

from pipeline.errors import StageMovedError
from pipeline.results.access.outages import Tables, waits
from pipeline.results.access.ownership import complete_job, get_row, record
from pipeline.results.damage import UNREADABLE, Rows, from_row, read_records
from pipeline.results.jsonable import jsonable
from pipeline.results.records import Configuration, ConfigurationEvent, Judgement, SweepMember
from pipeline.results.rows import chain, listing
from pipeline.results.rows.searches import EarlierSearches, count_searches
from pipeline.results.tables.models import (
    ConfigurationEventRow,
    SweepMarketRow,
    TrainedConfiguration,
    TrainingJob,
)
from pipeline.validation.stages import SIZE_RULES, STAGES, Stage, deciding_p

#: Makes a configuration's new document from the stored one.
Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]

#: Judges a configuration with its events, oldest first; None leaves it as it is.
Judge = Callable[[Configuration, Sequence[ConfigurationEvent]], Judgement | None]


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
            max_drawdown=jsonable(metrics.get("max_drawdown")),
            market=" ".join((configuration.exchange, configuration.pair, configuration.timeframe)),
            seed=configuration.provenance.get("seed", 0),
            first_day=configuration.provenance.get("first_candle", "")[:10],
        )
        event = ConfigurationEvent(
            configuration_id=configuration.id,
            kind=chain.STORED,
            from_stage=configuration.lifecycle_stage,
            to_stage=configuration.lifecycle_stage,
            reason="Stored by its training.",
            figures={},
        )
        with self._sessions.begin() as session:
            record(session, configuration.job_id, "result", {"configuration_id": configuration.id})
            complete_job(session, configuration.job_id)
            row.optimizer = get_row(session, TrainingJob, configuration.job_id).optimizer
            chain.begin(session, row, event)

    @waits
    def read(self, configuration_id: str) -> Configuration:
        """Read one configuration, or raise `UnknownIdError`."""
        with self._sessions() as session:
            return from_row(Configuration, get_row(session, TrainedConfiguration, configuration_id))

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
            stored = session.scalars(select(column).distinct().order_by(column))
            return [name for name in stored if isinstance(name, str)]  # SQLite takes any bytes

    @waits
    def exists(self, configuration_id: str) -> bool:
        """Tell whether a configuration is stored."""
        with self._sessions() as session:
            return session.get(TrainedConfiguration, configuration_id) is not None

    @waits
    def holds(self, configuration_id: str, digests: Mapping[str, str]) -> bool:
        """Tell whether a configuration is stored, with artifacts of these digests by name.

        Raises
        ------
        EditedError
            When it has other artifacts, or only its audit trail is stored.
        """
        with self._sessions() as session:
            row = session.get(TrainedConfiguration, configuration_id)
            if row is None and chain.events_of(session, configuration_id):
                raise chain.EditedError(configuration_id, ["its row is gone"])
            if row is not None and row.artifact_digests != digests:
                clause = "its artifacts are others than those that the run wrote"
                raise chain.EditedError(configuration_id, [clause])
            return row is not None

    @waits
    def find(
        self, *, limit: int | None = 100, **filters: Unpack[listing.Filters]
    ) -> Rows[Configuration]:
        """Read the newest configurations that match every filter, the newest first."""
        row = TrainedConfiguration
        ids = listing.ids_query(filters, "created_at", True, limit, 0)
        query = select(row).where(row.id.in_(ids)).order_by(row.created_at.desc(), row.id.desc())
        with self._sessions() as session:
            return read_records(session, query, row, Configuration)

    @waits
    def page(
        self,
        *,
        order_by: listing.SortKey = "created_at",
        descending: bool = True,
        limit: int = 100,
        offset: int = 0,
        **filters: Unpack[listing.Filters],
    ) -> tuple[list[str], int]:
        """Read the ids of a page, those without the figure last, and how many match in all."""
        query = listing.ids_query(filters, order_by, descending, limit, offset)
        with self._sessions() as session:
            listing.prefer_indices(session)
            ids = list(map(str, session.scalars(query)))  # SQLite takes any value for an id
            return ids, session.scalar(listing.count_query(filters)) or 0

    @waits
    def ids(self) -> list[str]:
        """Read the ids of all configurations, newest first."""
        row = TrainedConfiguration
        query = select(row.id).order_by(row.created_at.desc(), row.id)
        with self._sessions() as session:
            return list(map(str, session.scalars(query)))

    @waits
    def earlier_searches(
        self,
        *,
        exchange: str,
        pair: str,
        timeframe: str,
        synthetic: bool,
        provenance: Mapping[str, Any],
        job_id: str | None = None,
    ) -> EarlierSearches:
        """Count the other searches of a market that looked at the same days and stored something.

        Searches differ in configuration, seed or candles: the same one made again counts once, and
        not at all where it repeats the one asked about. Generated candles are the same only where
        every candle is. A search that found nothing admissible keeps no days, and is not counted.

        Parameters
        ----------
        provenance : mapping
            ``config_hash``, ``seed``, ``data_hash`` and, in ISO 8601 and UTC, ``first_candle`` and
            ``last_candle`` of the search asked about.
        job_id : str or None
            Of the search asked about: those of its sweep are not counted. They end in any order,
            and the sweep's own correction is for all of them.
        """
        row, member = TrainedConfiguration, SweepMarketRow
        market = (  # an index holds all of these
            select(row.id)
            .where(row.exchange == exchange, row.pair == pair, row.timeframe == timeframe)
            .where(row.synthetic if synthetic else ~row.synthetic)
        )
        sweeps = select(member.sweep_id).where(member.job_id == job_id)
        beside = select(member.job_id).where(member.sweep_id.in_(sweeps))
        # As text: a database refuses to look into one that is damaged.
        query = select(row.id, cast(row.provenance, Text))
        query = query.where(row.id.in_(market), row.job_id.not_in(beside))
        with self._sessions() as session:
            rows = [(identity, text) for identity, text in session.execute(query)]
        return count_searches(rows, provenance, synthetic=synthetic)

    @waits
    def members(self, configuration_ids: Sequence[str]) -> list[SweepMember]:
        """Read what configurations are judged together by, in the order of their ids.

        Raises
        ------
        UnknownIdError
            When one of them is not stored.
        EditedError
            When the row of one does not agree with its audit trail.
        DamagedRowError
            When the row of one, its job or its trail cannot be read.
        """
        members = []
        with self._sessions() as session:
            for identity in configuration_ids:
                row = get_row(session, TrainedConfiguration, identity)
                chain.agreeing(session, row)
                known, p = (
                    (row.id, row.strategy, row.pair, row.synthetic),
                    deciding_p(row.statistics),
                )
                members.append(SweepMember(*known, p, row.artifact_digests))
        return members

    @waits
    def record_event(self, event: ConfigurationEvent, change: Change) -> bool:
        """Store an event, move its configuration's stage and change its document: all or nothing.

        ``change`` takes the document as it is then: others may have written since it was read.

        Where figures have a ``data_hash``, an event of the same kind with the same hash says that
        these candles were looked at before: then nothing changes, and the answer is False.

        Raises
        ------
        UnknownIdError
            When it is not stored.
        StageMovedError
            When the configuration is not in the event's ``from_stage``.
        EditedError
            When its row does not agree with its audit trail.
        """
        identity, data_hash = event.configuration_id, event.figures.get("data_hash")
        with self._sessions.begin() as session:
            row = chain.hold(session, identity)
            if row.lifecycle_stage != event.from_stage:
                raise StageMovedError(
                    f"{identity} is in {row.lifecycle_stage}, not in {event.from_stage}"
                )
            earlier = [e for e in chain.agreeing(session, row) if e.kind == event.kind]
            if data_hash is not None and data_hash in [e.figures.get("data_hash") for e in earlier]:
                return False
            row.lifecycle_stage, row.document = event.to_stage, dict(change(row.document))
            chain.append(session, row, event, ("lifecycle_stage", "document"))
        return True

    @waits
    def events(self, configuration_id: str) -> list[ConfigurationEvent]:
        """Read what happened to a configuration, oldest first."""
        with self._sessions() as session:
            return _records(chain.events_of(session, configuration_id))

    @waits
    def read_with_events(
        self, configuration_id: str
    ) -> tuple[Configuration, list[ConfigurationEvent]]:
        """Read a configuration and what happened to it, both as of one moment."""
        with self._sessions() as session:
            row = get_row(session, TrainedConfiguration, configuration_id)
            events = _records(chain.events_of(session, configuration_id))
            return from_row(Configuration, row), events

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
        EditedError
            When its row does not agree with its audit trail.
        """
        with self._sessions.begin() as session:
            row = chain.hold(session, configuration_id)
            events = chain.agreeing(session, row)
            judgement = judge(from_row(Configuration, row), _records(events))
            if judgement is None:
                return False
            columns = {
                "lifecycle_stage": judgement.stage,
                "statistics": judgement.statistics,
                "gates": judgement.gates,
                "document": judgement.document,
            }
            if all(getattr(row, name) == value for name, value in columns.items()):
                return False
            event = ConfigurationEvent(
                configuration_id=configuration_id,
                kind=judgement.kind,
                from_stage=row.lifecycle_stage,
                to_stage=judgement.stage,
                reason=judgement.reason,
                figures=judgement.figures,
            )
            for name, value in columns.items():
                setattr(row, name, value)
            by_name = {gate.get("name"): gate.get("value") for gate in judgement.gates}
            row.fdr_q_value = jsonable(by_name.get("fdr_q_value"))
            chain.append(session, row, event, columns)
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
        EditedError
            When it is to be switched on and its row does not agree with its audit trail. Whatever
            is stored can be switched off, edited or damaged; that leaves the traces where they are.
        """
        table = TrainedConfiguration
        # To switch off reads only what it needs: another column may be damaged.
        needed = () if active else (table.head, table.seal)
        with self._sessions.begin() as session:
            row = chain.hold(session, configuration_id, needed)
            so = table.is_active if active else ~table.is_active
            already = select(table.id).where(table.id == configuration_id, so)
            if session.scalar(already) is not None:
                return False
            if active:
                if row.lifecycle_stage not in stages:
                    raise StageMovedError(f"{configuration_id} is in {row.lifecycle_stage}")
                chain.agreeing(session, row)
            row.is_active = active
            # Not the row's: one that was edited may be put back, the event stays.
            stage = chain.stage_of(session, configuration_id)
            if stage is None:
                return True
            event = ConfigurationEvent(
                configuration_id=configuration_id,
                kind="activated" if active else "deactivated",
                from_stage=stage,
                to_stage=stage,
                reason=reason,
                figures={"forced": forced},
            )
            with suppress(*(() if active else UNREADABLE)):
                chain.append(session, row, event, ("is_active",))
        return True

    @waits
    def active_version(self) -> str:
        """Return what changes whenever an active configuration comes, goes or has a new event.

        A stored configuration never changes without an event, so its documents need not be read.
        """
        row = TrainedConfiguration
        # Sorted here: SQLite would walk the whole table to have them in the order of their ids.
        query = select(row.id, row.head).where(row.is_active)
        with self._sessions() as session:
            active = sorted(f"{identity} {head}" for identity, head in session.execute(query))
        version = ";".join([SIZE_RULES, *active])
        return hashlib.sha256(version.encode()).hexdigest()[:32]


def _records(events: Sequence[ConfigurationEventRow]) -> list[ConfigurationEvent]:
    return [from_row(ConfigurationEvent, event) for event in events]
