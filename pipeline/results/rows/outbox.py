"""Keep the messages that are to be sent: who sends, what is due, and what came of it.

A message is a row before it is sent, and marked after. A process that is killed between the two
leaves it due, and whoever sends next sends it again under the same id. One process at a time sends
to a target: the one that its row names, until it is dead (`pipeline.results.access.leases`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pipeline.results.access import ownership
from pipeline.results.access.leases import Watch, cause_of_death, read_owners
from pipeline.results.access.outages import Tables, waits
from pipeline.results.damage import Rows, read_rows
from pipeline.results.records import utc_now
from pipeline.results.rows.news import OLDEST, News, read_news
from pipeline.results.tables.notice_models import DeliveryRow, NoticeMarkRow, NoticeTargetRow

#: A row stays so long: until the event that it tells of is not looked for any more.
KEPT = OLDEST + timedelta(days=1)


@dataclass(frozen=True)
class Delivery:
    """One message that is due; ``attempts`` are those that failed."""

    id: int
    target: str
    attempts: int
    body: dict[str, Any]


@dataclass(frozen=True)
class TargetState:
    """How one receiver is doing: messages by what became of them in the last days."""

    target: str
    waiting: int
    delivered: int
    given_up: int
    failures: int
    due_at: datetime
    error: str | None


class Outbox(Tables):
    """The messages of one database; `pipeline.results.database.Repository` makes it."""

    @waits
    def begin(self, target: str, kinds: Iterable[str]) -> None:
        """Have events of these kinds sent to a target, from now on or since it began earlier."""
        now = utc_now()
        with self._sessions.begin() as session:
            fresh = {"target": target, "failures": 0, "due_at": now}
            _insert(session, NoticeTargetRow, [fresh])
            marks = [{"target": target, "kind": kind, "since": now} for kind in kinds]
            _insert(session, NoticeMarkRow, marks)

    @waits
    def news(self, target: str, kinds: Sequence[str], within: timedelta = OLDEST) -> list[News]:
        """Read what happened ``within`` this time, of which a target has no message yet."""
        oldest = utc_now() - min(within, OLDEST)
        marks = select(NoticeMarkRow.kind, NoticeMarkRow.since).where(
            NoticeMarkRow.target == target, NoticeMarkRow.kind.in_(kinds)
        )
        with self._sessions() as session:
            news = [
                one
                for kind, since in session.execute(marks).all()
                for one in read_news(session, target, kind, max(since, oldest))
            ]
        return sorted(news, key=lambda one: one.at)

    @waits
    def add(self, target: str, messages: Sequence[tuple[News, Mapping[str, Any]]]) -> None:
        """Keep messages to be sent; another process may have kept the same meanwhile."""
        now = utc_now()
        rows = [
            {
                "target": target,
                "source": news.source,
                "event_id": news.event_id,
                "at": news.at,
                "created_at": now,
                "due_at": now,
                "attempts": 0,
                "body": dict(body),
            }
            for news, body in messages
        ]
        with self._sessions.begin() as session:
            _insert(session, DeliveryRow, rows)

    @waits
    def holds(self, target: str, watch: Watch) -> bool:
        """Tell whether this process sends to a target; it takes the place of one that is dead."""
        row = NoticeTargetRow
        query = select(row.owner).where(row.target == target)
        with self._sessions() as session:
            last = session.scalar(query)
            if last == ownership.lease(session).identity:
                return True
            holder = None if last is None else read_owners(session).get(last)
            if last is not None and cause_of_death(holder, watch) is None:
                return False
        taken = update(row).where(row.target == target, row.owner.is_not_distinct_from(last))
        with self._sessions.begin() as session:
            owner = ownership.lease(session).hold(session)
            return session.scalar(taken.values(owner=owner).returning(row.target)) is not None

    @waits
    def release(self, target: str) -> None:
        """Leave a target to another process."""
        row = NoticeTargetRow
        with self._sessions.begin() as session:
            own = ownership.lease(session).identity
            free = update(row).where(row.target == target, row.owner == own)
            session.execute(free.values(owner=None))

    @waits
    def due(self, target: str, limit: int = 20) -> Rows[Delivery]:
        """Read the messages to a target that are to be sent now, oldest first.

        ``damaged`` are those that cannot be read.
        """
        row, now = DeliveryRow, utc_now()
        resting = select(NoticeTargetRow.target).where(
            NoticeTargetRow.target == target, NoticeTargetRow.due_at > now
        )
        query = (
            select(row.id, row.target, row.attempts, row.body)
            .where(row.target == target, row.due_at <= now, ~resting.exists())
            .order_by(row.due_at, row.id)
            .limit(limit)
        )
        with self._sessions() as session:
            return read_rows(session, query, row, _delivery)

    @waits
    def delivered(self, delivery: Delivery) -> None:
        """Mark a message as delivered."""
        now = utc_now()
        with self._sessions.begin() as session:
            _write(session, delivery.id, due_at=None, delivered_at=now, error=None)
            answers = {"failures": 0, "due_at": now, "error": None}
            session.execute(_target(delivery.target).values(answers))

    @waits
    def failed(
        self, delivery: Delivery, error: str, again: timedelta | None, rest: timedelta
    ) -> None:
        """Put a message off; ``again`` None: for ever. Its target rests for a time."""
        now = utc_now()
        due_at = None if again is None else now + again
        with self._sessions.begin() as session:
            _write(session, delivery.id, due_at=due_at, attempts=delivery.attempts + 1, error=error)
            failures = NoticeTargetRow.failures + 1
            failing = _target(delivery.target).values(failures=failures, error=error)
            session.execute(failing.values(due_at=now + rest))

    @waits
    def give_up(self, delivery_id: int, error: str) -> None:
        """Send a message no more."""
        with self._sessions.begin() as session:
            _write(session, delivery_id, due_at=None, error=error)

    @waits
    def failures(self, target: str) -> int:
        """Count the failures of a target since its last success."""
        row = NoticeTargetRow
        with self._sessions() as session:
            return session.scalar(select(row.failures).where(row.target == target)) or 0

    @waits
    def tidy(self, target: str) -> None:
        """Give up what is too old to be told, and remove what is too old to be looked for."""
        row, now = DeliveryRow, utc_now()
        with self._sessions.begin() as session:
            session.execute(
                update(row)
                .where(row.target == target, row.due_at.is_not(None))
                .where(row.created_at < now - OLDEST)
                .values(due_at=None)
            )
            session.execute(
                delete(row)
                .where(row.target == target, row.due_at.is_(None))
                .where(row.created_at < now - KEPT, row.at < now - KEPT)
            )

    @waits
    def states(self) -> list[TargetState]:
        """Count the messages of every target."""
        row, target = DeliveryRow, NoticeTargetRow
        gone = row.due_at.is_(None) & row.delivered_at.is_(None)
        counts = [
            func.count().filter(clause)
            for clause in (row.due_at.is_not(None), row.delivered_at.is_not(None), gone)
        ]
        query: Any = (
            select(target.target, *counts, target.failures, target.due_at, target.error)
            .outerjoin(row, row.target == target.target)
            .group_by(target.target, target.failures, target.due_at, target.error)
            .order_by(target.target)
        )
        with self._sessions() as session:
            return [TargetState(*one) for one in session.execute(query)]


def _delivery(read: Any) -> Delivery:
    if not isinstance(read.body, dict):
        raise TypeError("column body is no object")
    return Delivery(*read)


def _target(target: str) -> Any:
    return update(NoticeTargetRow).where(NoticeTargetRow.target == target)


def _write(session: Session, delivery_id: int, **values: Any) -> None:
    session.execute(update(DeliveryRow).where(DeliveryRow.id == delivery_id).values(values))


def _insert(session: Session, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert what is not there yet."""
    if not rows:
        return
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert if is_postgresql else sqlite.insert
    session.execute(insert(model).on_conflict_do_nothing(), list(rows))
