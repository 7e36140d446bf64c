"""Read what is switched on, each with what does not agree with its audit trail.

To digest a row costs more than to read it. So the text of all that was digested, as the database
gives it, is hashed at every look, and only what has another hash than the last time is digested
again: a new event, or an edit by hand.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Dialect, String, Text, cast, select, type_coerce

from pipeline.results.chain import BATCH
from pipeline.results.configurations import UNREADABLE, Checked, Configurations
from pipeline.results.models import ConfigurationEventRow, TrainedConfiguration, TrainingJob
from pipeline.results.patience import Sessions, Tables, waits
from pipeline.results.records import Configuration

_COLUMNS = [getattr(TrainedConfiguration, field.name) for field in fields(Configuration)]


class ActiveReader(Tables):
    """Reads the active configurations of a database, again and again.

    Parameters
    ----------
    sessions : Sessions
        Of the database.
    configurations : Configurations
        The same one's.
    """

    def __init__(self, sessions: Sessions, configurations: Configurations) -> None:
        super().__init__(sessions)
        self._configurations = configurations
        self._known: dict[str, bytes] = {}  # of those that agreed, by id

    def read(self) -> list[Checked]:
        """Read all that is switched on, newest first."""
        ids = self._ids()
        known, self._known = self._known, {}
        read: dict[str, Checked] = {}
        for start in range(0, len(ids), BATCH):
            # Of a batch with one that cannot be read, the rest is checked anew at every look.
            with suppress(*UNREADABLE):
                for identity, text, configuration in self._look(ids[start : start + BATCH]):
                    if known.get(identity) == text:
                        read[identity] = Checked(identity, configuration, [])
                    self._known[identity] = text
        for checked in self._configurations.checked([one for one in ids if one not in read]):
            read[checked.id] = checked
            if checked.clauses:
                self._known.pop(checked.id, None)
        return [read[identity] for identity in ids]

    @waits
    def _ids(self) -> list[str]:
        row = TrainedConfiguration
        query = select(row.id).where(row.is_active).order_by(row.created_at.desc(), row.id.desc())
        with self._sessions() as session:
            return list(session.scalars(query))

    @waits
    def _look(self, ids: Sequence[str]) -> list[tuple[str, bytes, Configuration]]:
        """Return id, hash of all that is digested, and the configuration itself."""
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
                whole_text = repr((values[len(_COLUMNS) :], trails.get(configuration.id)))
                text = hashlib.sha256(whole_text.encode()).digest()
                looks.append((configuration.id, text, configuration))
            return looks


def _text(column: ColumnElement[Any], dialect: Dialect) -> ColumnElement[Any]:
    """Select a column as the database holds it, without a way through Python's values."""
    text = cast(column, Text) if dialect.name == "postgresql" else type_coerce(column, String)
    return text.label(f"text_of_{column.table.name}_{column.name}")
