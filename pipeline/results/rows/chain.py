"""Chain the events of a configuration, so that an edit by anything but this program is noticed.

Every event holds the hash of the event before it and the digests of the parts of the row that it
wrote; the first, ``stored``, has those of all parts. The row holds the hash of the newest event,
its head. So a part, an event or the head that was changed by itself no longer agrees with the
others, and an event that only switches a row off leaves the traces of an edit where they are.

Whoever removes the newest event finds the head before it in that event. So the row has a seal too:
the digest of its head, which stands nowhere else, and of the time of the last daily look.

It is evidence against accidents and edits by hand. Somebody who computes the whole chain anew
leaves no trace in the database: only a head that was written down elsewhere tells.

A digest is SHA-256 of canonical JSON: sorted names, no blanks, and numbers by their value, because
PostgreSQL keeps 1e22 as a row of digits and forgets the sign of -0.0.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Text, cast, func, select, update
from sqlalchemy.orm import Session, load_only

from pipeline.errors import ConflictError
from pipeline.results.access.ownership import get_row
from pipeline.results.damage import RESTORE, UNREADABLE, naming
from pipeline.results.jsonable import jsonable
from pipeline.results.records import ConfigurationEvent, JobSummary
from pipeline.results.tables.models import ConfigurationEventRow, TrainedConfiguration, TrainingJob
from pipeline.validation.stages import STAGES, Stage

#: Kinds of the first event of every configuration, and of one that says what a verification found.
STORED, VERIFICATION = "stored", "verification"

#: Columns without a digest among the events': the chain's own, what the seal covers, and what lists
#: are sorted by alone.
_APART = {"head", "seal", "verified_at", "max_drawdown", "fdr_q_value", "stage_rank", "optimizer"}
_APART |= {"market", "seed", "first_day"}
#: What the row says by itself, and what its job was told.
COLUMNS = tuple(
    column.name for column in TrainedConfiguration.__table__.columns if column.name not in _APART
)
JOB = "job"
_JOB = (*(field.name for field in fields(JobSummary)), "config", "config_hash")
_EVENT = tuple(column.name for column in ConfigurationEventRow.__table__.columns)
_EXACT = 2.0**53
#: More than any number of an event.
_MOST = 2**31 - 1
#: Ids in one query: SQLite takes 32,766 parameters.
BATCH = 1_000


class EditedError(ConflictError):
    """What is stored of a configuration, or of a sweep, is not what was stored.

    Attributes
    ----------
    identity, clauses, advice : str, sequence of str, str
        What was changed, what speaks against it, and what to do.
    """

    status = 1

    def __init__(self, identity: str, clauses: Sequence[str], advice: str = RESTORE) -> None:
        self.identity, self.clauses, self.advice = identity, clauses, advice
        what = "; ".join(clauses)
        super().__init__(
            f"{' '.join(identity.split())} was changed by something other than this program:"
            f" {what}. {advice}"
        )


class FailedCheckError(ConflictError):
    """The newest daily check of a configuration found a difference."""

    status = 1


def canonical(value: Any) -> str:
    """Return the one JSON text of a value; what JSON cannot hold is as `jsonable` makes it."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """SHA-256 of `canonical` ``value``, 64 hex digits."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    """Make equal numbers equal texts, and times texts in UTC."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        if not value.is_integer():
            return value
        return int(value) if abs(value) < _EXACT else int(Decimal(repr(value)))
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return _plain(jsonable(value))


def head_of(event: ConfigurationEventRow) -> str:
    """Hash all columns of an event, the hash of the one before among them."""
    return digest(named(event, _EVENT))


def seal_of(row: TrainedConfiguration) -> str:
    """Digest the head of a row, and when it was looked at last."""
    return digest([row.head, row.verified_at])


@contextmanager
def sealing(row: TrainedConfiguration) -> Iterator[None]:
    """Seal a row anew after the context, unless its seal was broken before: then it stays so."""
    whole = False
    with suppress(*UNREADABLE):
        whole = row.seal in (None, seal_of(row))
    yield
    if whole:
        row.seal = seal_of(row)


def begin(session: Session, row: TrainedConfiguration, event: ConfigurationEvent) -> None:
    """Add a row with its first event: the digests of all columns and of what its job was told."""
    with naming(TrainingJob.__tablename__, row.job_id):
        job = session.get(TrainingJob, row.job_id, populate_existing=True)
    digests = {name: digest(getattr(row, name)) for name in COLUMNS}
    session.add(row)
    _add(session, row, event, 0, "", digests | {JOB: job_digest(job)})


def append(
    session: Session, row: TrainedConfiguration, event: ConfigurationEvent, parts: Iterable[str]
) -> None:
    """Add an event to a row that this transaction holds, with the digests of what it wrote.

    ``parts`` are columns. No other column is read, nor any earlier event.
    """
    link = ConfigurationEventRow
    last = select(func.max(link.number)).where(link.configuration_id == event.configuration_id)
    number = session.scalar(last.where(link.number < _MOST))  # in SQLite a text is more
    digests = {name: digest(getattr(row, name)) for name in parts}
    _add(session, row, event, 0 if number is None else int(number) + 1, row.head, digests)


def stage_of(session: Session, configuration_id: str) -> Stage | None:
    """Return the stage that the audit trail vouches for, whatever the row says by now.

    It is the one whose digest the newest event has that wrote a stage. Where that event holds no
    such digest, what it says itself; None where no event can be read.
    """
    link = ConfigurationEventRow
    stages = {digest(stage): stage for stage in STAGES}
    trail = select(link.id).where(link.configuration_id == configuration_id)
    for identity in session.scalars(trail.order_by(link.number.desc())):
        with suppress(*UNREADABLE):
            event = select(link.digests, link.to_stage).where(link.id == identity)
            digests, to_stage = session.execute(event).one()
            if "lifecycle_stage" in digests:
                said = to_stage if to_stage in STAGES else None
                return stages.get(digests["lifecycle_stage"], said)
    return None


def written(
    session: Session, ids: Sequence[str], names: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Read the digests of columns as the newest events have them that wrote these, by id.

    Enough to show a column as it was stored where `compare` would read whole documents; of what
    cannot be read there is none.
    """
    link, found = ConfigurationEventRow, dict[str, dict[str, str]]()
    query = select(link.configuration_id, cast(link.digests, Text))
    for start in range(0, len(ids), BATCH):
        batch = query.where(link.configuration_id.in_(ids[start : start + BATCH]))
        for identity, text in session.execute(batch.order_by(link.number)):
            with suppress(*UNREADABLE):
                digests = json.loads(text)
                kept = {name: digests[name] for name in names if name in digests}
                found.setdefault(identity, {}).update(kept)
    return found


def _add(
    session: Session,
    row: TrainedConfiguration,
    event: ConfigurationEvent,
    number: int,
    previous: str,
    digests: dict[str, str],
) -> None:
    link = ConfigurationEventRow(**vars(event), number=number, previous=previous, digests=digests)
    with sealing(row):
        row.head = head_of(link)
    session.flush()  # a new row comes before its event
    session.add(link)


def disagreements(
    row: TrainedConfiguration, job: TrainingJob | None, events: Sequence[ConfigurationEventRow]
) -> list[str]:
    """Say what does not agree in a row, its job and its events, oldest first; empty for nothing.

    Each is a clause that names a part: ``column document is not what was stored``.
    """
    clauses, previous, expected = [], "", dict[str, Any]()
    earlier = set[str]()
    for number, event in enumerate(events):
        if (event.number, event.previous) != (number, previous):
            place = f"{number} or {number + 1}" if number else "1"
            clauses.append(
                f"the audit trail was changed at event {place} of {len(events)} ({event.kind})"
            )
        earlier.add(previous)
        previous = head_of(event)
        expected |= event.digests
    if not events:
        clauses.append("the audit trail is gone")
    elif row.head in earlier and not clauses:
        clauses.append(
            f"the row is older than its last event ({events[-1].kind}), as a copy of the row alone"
            " is"
        )
    elif previous != row.head and not clauses:
        clauses.append(
            f"the last event ({events[-1].kind}) or the head of the audit trail was changed, added"
            " or removed"
        )
    elif row.seal != seal_of(row) and not clauses:
        clauses.append(
            "the last event, the time of the last daily look or the seal of the row was changed or"
            " removed"
        )
    clauses += [
        f"column {name} is not what was stored"
        for name in COLUMNS
        if digest(getattr(row, name)) != expected.get(name)
    ]
    if job_digest(job) != expected.get(JOB):
        clauses.append("the job's row, with what it was told, is not what was stored")
    return clauses


def hold(
    session: Session, configuration_id: str, columns: Sequence[Any] = ()
) -> TrainedConfiguration:
    """Lock a row for this transaction and read it, or only some columns of it.

    A write that changes nothing takes the row before it is read, in either database.

    Raises
    ------
    UnknownIdError
        When it is not stored.
    """
    row = TrainedConfiguration
    lock = update(row).where(row.id == configuration_id).values(id=configuration_id)
    session.execute(lock)
    return get_row(session, row, configuration_id, [load_only(*columns)] if columns else [])


def agreeing(session: Session, row: TrainedConfiguration) -> list[ConfigurationEventRow]:
    """Read the events of a row, oldest first, and refuse one that does not agree with them.

    Raises
    ------
    EditedError
        It says what does not agree.
    DamagedRowError
        When its job or its events cannot be read.
    """
    with naming(TrainedConfiguration.__tablename__, row.id):
        ((_, events, clauses),) = compare(session, [row])
    if clauses:
        raise EditedError(row.id, clauses)
    return events


def compare(
    session: Session, rows: Sequence[TrainedConfiguration]
) -> Iterator[tuple[TrainedConfiguration, list[ConfigurationEventRow], list[str]]]:
    """Compare many rows with their jobs and their events: each with these and `disagreements`."""
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        ids = TrainingJob.id.in_({str(row.job_id) for row in batch})
        jobs = {job.id: job for job in session.scalars(select(TrainingJob).where(ids))}
        trails = _trails(session, [row.id for row in batch])
        for row in batch:
            events = trails.get(row.id, [])
            yield row, events, disagreements(row, jobs.get(row.job_id), events)


def failure(events: Sequence[ConfigurationEventRow]) -> str | None:
    """Say what the newest daily check found; None where that was nothing, or there was none."""
    event = verification(events)
    if event is None or event.figures.get("difference") is None:
        return None
    return (
        f"the daily check of {event.at:%Y-%m-%d %H:%M} UTC found: {event.figures['difference']}"
        f" (scripts/verify {event.configuration_id} --daily looks again)"
    )


def verification(events: Sequence[ConfigurationEventRow]) -> ConfigurationEventRow | None:
    """Return the newest event of a daily check; None where there is none."""
    return next((event for event in reversed(events) if event.kind == VERIFICATION), None)


def events_of(session: Session, configuration_id: str) -> list[ConfigurationEventRow]:
    """Read the events of a configuration, oldest first."""
    with naming(ConfigurationEventRow.__tablename__, configuration_id):
        return _trails(session, [configuration_id]).get(configuration_id, [])


def _trails(session: Session, ids: Sequence[str]) -> dict[str, list[ConfigurationEventRow]]:
    """Read the events of at most `BATCH` configurations by their ids, oldest first."""
    row = ConfigurationEventRow
    query = select(row).where(row.configuration_id.in_(ids))
    events: dict[str, list[ConfigurationEventRow]] = {}
    for event in session.scalars(query.order_by(row.configuration_id, row.number)):
        events.setdefault(event.configuration_id, []).append(event)
    return events


def job_digest(job: TrainingJob | None) -> str:
    """Digest what a job is and what it was told; of none there is no digest."""
    return "" if job is None else digest(named(job, _JOB))


def named(row: object, names: Iterable[str]) -> Mapping[str, Any]:
    """Return the columns of a row by their names."""
    return {name: getattr(row, name) for name in names}
