"""Hold stored configurations against their audit trails, and keep what verifications found.

To digest a row costs more than to read it. So of what is switched on, and read again and again, the
text of all that was digested, as the database gives it, is hashed at every look, and only what has
another hash than the last time is digested again: after a new event, or an edit by hand.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Dialect, String, Text, cast, select, type_coerce

from pipeline.errors import UnknownIdError
from pipeline.results.access.outages import Sessions, Tables, waits
from pipeline.results.access.ownership import get_row
from pipeline.results.damage import UNREADABLE, DamagedRowError, from_row, reason_of
from pipeline.results.records import Configuration, ConfigurationEvent, Job, utc_now
from pipeline.results.rows import chain, sweep_rows
from pipeline.results.tables.models import ConfigurationEventRow, TrainedConfiguration, TrainingJob

_COLUMNS = [getattr(TrainedConfiguration, field.name) for field in fields(Configuration)]


@dataclass(frozen=True)
class Checked:
    """A configuration, and what speaks against it.

    Attributes
    ----------
    id : str
        Of the configuration.
    configuration : Configuration or None
        None where it cannot be read.
    clauses : tuple of str
        What does not agree with its audit trail.
    failure : str or None
        What the newest verification found, where that was a difference.
    verified_at : datetime or None
        When a server looked last; None before, and where nobody asks.
    """

    id: str
    configuration: Configuration | None
    clauses: tuple[str, ...] = ()
    failure: str | None = None
    verified_at: datetime | None = None

    @property
    def objections(self) -> tuple[str, ...]:
        """All that speaks against it, clause by clause; what the failure says stands once."""
        if self.failure is None:
            return self.clauses
        return (*(clause for clause in self.clauses if clause not in self.failure), self.failure)

    def agreed(self, *, verified: bool = True) -> Configuration:
        """Return the configuration where nothing speaks against it.

        Unless ``verified``, what its newest verification found does not.

        Raises
        ------
        EditedError
            It says what does.
        FailedCheckError
            Where its newest verification alone does.
        """
        if self.configuration is None or self.clauses:
            raise chain.EditedError(self.id, self.objections if verified else self.clauses)
        if verified and self.failure is not None:
            raise chain.FailedCheckError(f"{self.id} is refused: {self.failure}.")
        return self.configuration


class Checks(Tables):
    """Checks of the configurations of one database; `pipeline.results.database` makes it."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions)
        self._known: dict[str, tuple[bytes, str | None]] = {}  # text and failure of what agreed

    def of(self, configuration_ids: Sequence[str]) -> Iterator[Checked]:
        """Read configurations and check each.

        One that cannot be read is answered with the reason, and others all the same.

        Raises
        ------
        UnknownIdError
            When one of them is not stored.
        """
        stored = {checked.id: checked for checked in self.stored_of(configuration_ids)}
        for identity in configuration_ids:
            if identity not in stored:
                table = TrainedConfiguration.__tablename__
                raise UnknownIdError(f"{table} has no row with id {identity}")
            yield stored[identity]

    def agreeing(self, configuration_id: str, *, verified: bool = False) -> Configuration:
        """Read one configuration that agrees with its audit trail.

        What its newest verification found counts where it must be ``verified``: where it trades.

        Raises
        ------
        UnknownIdError
            When it is not stored.
        EditedError
            When it does not agree: it says what.
        FailedCheckError
            When its newest verification found a difference.
        """
        (checked,) = self.of([configuration_id])
        return checked.agreed(verified=verified)

    def stored_of(self, configuration_ids: Sequence[str]) -> Iterator[Checked]:
        """Do as `of`, but leave out what is not stored any more."""
        for start in range(0, len(configuration_ids), chain.BATCH):
            batch = configuration_ids[start : start + chain.BATCH]
            try:
                yield from self._checked(batch)
            except UNREADABLE:
                for identity in batch:
                    yield from self._checked_alone(identity)

    def listed(self, ids: Sequence[str]) -> Iterator[Checked]:
        """Do as `stored_of` with ids that a list has just named, and refuse what is not found."""
        stored = {checked.id: checked for checked in self.stored_of(ids)}
        gone = ("its row is gone, or its id is no text",)
        return (stored.get(identity) or Checked(identity, None, gone) for identity in ids)

    def active(self) -> list[Checked]:
        """Read all that is switched on, newest first, and check each."""
        ids, known = self._active_ids(), dict[str, tuple[bytes, str | None]]()
        read: dict[str, Checked] = {}
        for start in range(0, len(ids), chain.BATCH):
            # Of a batch with one that cannot be read, the rest is checked anew at every look.
            with suppress(*UNREADABLE):
                for text, configuration in self._look(ids[start : start + chain.BATCH]):
                    before = self._known.get(configuration.id)
                    if before is not None and before[0] == text:
                        read[configuration.id] = Checked(
                            configuration.id, configuration, failure=before[1]
                        )
                        known[configuration.id] = before
                    else:
                        known[configuration.id] = (text, None)
        for checked in self.listed([one for one in ids if one not in read]):
            read[checked.id] = checked
            if checked.clauses:
                known.pop(checked.id, None)
            elif checked.id in known:
                known[checked.id] = (known[checked.id][0], checked.failure)
        self._known = known
        return [read[identity] for identity in ids]

    @waits
    def heads(self, configuration_id: str) -> list[str]:
        """Hash the events of a configuration, oldest first; the last stands for all of it.

        Of what cannot be read there is none.

        Raises
        ------
        UnknownIdError
            When it is not stored.
        """
        with self._sessions() as session:
            row = TrainedConfiguration
            if session.scalar(select(row.id).where(row.id == configuration_id)) is None:
                raise UnknownIdError(f"{row.__tablename__} has no row with id {configuration_id}")
            try:
                events = chain.events_of(session, configuration_id)
                return [chain.head_of(event) for event in events]
            except UNREADABLE:
                return []

    @waits
    def due(self, since: datetime) -> list[str]:
        """Read the ids of what is switched on and was not verified since, the longest ago first."""
        row = TrainedConfiguration
        query = select(row.id).where(row.is_active)
        looked = row.verified_at.between(since, utc_now())  # a later time was written by no look
        query = query.where(row.verified_at.is_(None) | ~looked)
        with self._sessions() as session:
            return list(session.scalars(query.order_by(row.verified_at.nulls_first(), row.id)))

    @waits
    def record(self, configuration_id: str, difference: str | None) -> None:
        """Keep what a verification found: its time, and an event where the outcome is another.

        ``difference`` is None where all agrees. Where the audit trail itself is broken there is no
        event: whoever reads sees that at once.
        """
        with self._sessions.begin() as session:
            row = chain.hold(session, configuration_id)
            events = chain.events_of(session, configuration_id)
            job = session.get(TrainingJob, row.job_id)
            edited = chain.disagreements(row, job, events)
            with chain.sealing(row):
                row.verified_at = utc_now()
            last = chain.verification(events)
            if edited or difference == (last and last.figures.get("difference")):
                return
            event = ConfigurationEvent(
                configuration_id=configuration_id,
                kind=chain.VERIFICATION,
                from_stage=row.lifecycle_stage,
                to_stage=row.lifecycle_stage,
                reason="It agrees again." if difference is None else f"It differs: {difference}.",
                figures={"difference": difference},
            )
            chain.append(session, row, event, ())

    @waits
    def sweeps_of(self, configuration_id: str) -> list[str | None]:
        """Check every sweep of a configuration: what speaks against it, None for nothing.

        Of a configuration whose events cannot be read there is none.
        """
        with self._sessions() as session, suppress(*UNREADABLE):
            return sweep_rows.check_all(session, configuration_id)
        return []

    def _checked_alone(self, configuration_id: str) -> list[Checked]:
        try:
            return self._checked([configuration_id])
        except UNREADABLE as error:
            reason = self._damage(configuration_id) or reason_of(error)
            return [Checked(configuration_id, None, (f"row or trail cannot be read: {reason}",))]

    @waits
    def _damage(self, configuration_id: str) -> str | None:
        """Name the first column that cannot be read of a row, its job or its events."""
        event = ConfigurationEventRow
        trail = select(event.id).where(event.configuration_id == configuration_id)
        with self._sessions() as session:
            try:
                for one in session.scalars(trail.order_by(event.id)).all():
                    from_row(ConfigurationEvent, get_row(session, event, one))
                row = get_row(session, TrainedConfiguration, configuration_id)
                from_row(Configuration, row)
                from_row(Job, get_row(session, TrainingJob, row.job_id))
            except DamagedRowError as error:
                return error.reason
        return None

    @waits
    def _checked(self, configuration_ids: Sequence[str]) -> list[Checked]:
        row = TrainedConfiguration
        with self._sessions() as session:
            rows = session.scalars(select(row).where(row.id.in_(configuration_ids))).all()
            checked = {
                row.id: Checked(
                    row.id,
                    from_row(Configuration, row),
                    tuple(clauses),
                    chain.failure(events),
                    row.verified_at,
                )
                for row, events, clauses in chain.compare(session, rows)
            }
        return [checked[identity] for identity in configuration_ids if identity in checked]

    @waits
    def _active_ids(self) -> list[str]:
        row = TrainedConfiguration
        query = select(row.id).where(row.is_active).order_by(row.created_at.desc(), row.id.desc())
        with self._sessions() as session:
            return list(map(str, session.scalars(query)))

    @waits
    def _look(self, ids: Sequence[str]) -> list[tuple[bytes, Configuration]]:
        """Return configurations, each after the hash of all that is digested of it."""
        with self._sessions() as session:
            dialect = session.get_bind().dialect
            row, job, event = (
                [_text(column, dialect) for column in table.__table__.columns]
                for table in (TrainedConfiguration, TrainingJob, ConfigurationEventRow)
            )
            trails: dict[str, list[Any]] = {}
            link = ConfigurationEventRow
            query = select(link.configuration_id, *event).where(link.configuration_id.in_(ids))
            for identity, *texts in session.execute(query.order_by(link.id)):
                trails.setdefault(identity, []).append(texts)
            whole = select(*_COLUMNS, *row, *job).join(TrainingJob)
            looks = []
            for values in session.execute(whole.where(TrainedConfiguration.id.in_(ids))):
                configuration = Configuration(*values[: len(_COLUMNS)])
                text = repr((values[len(_COLUMNS) :], trails.get(configuration.id)))
                looks.append((hashlib.sha256(text.encode()).digest(), configuration))
            return looks


def _text(column: ColumnElement[Any], dialect: Dialect) -> ColumnElement[Any]:
    """Select a column as the database holds it, without a way through Python's values."""
    text = cast(column, Text) if dialect.name == "postgresql" else type_coerce(column, String)
    return text.label(f"text_of_{column.table.name}_{column.name}")
