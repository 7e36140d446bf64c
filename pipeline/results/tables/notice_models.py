"""Define the tables of notifications: to whom, since when, and what was sent.

docs/notifications.md explains them.

No column holds an address or a secret: a target is called by its kind and its number.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.results.tables.models import Base


class NoticeTargetRow(Base):
    """One receiver, the process that sends to it, and how it answers.

    ``failures`` are those in a row: after each the target rests until ``due_at``. ``owner`` is the
    identity of a lease (`pipeline.results.access.leases`).
    """

    __tablename__ = "notice_targets"

    target: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(32))
    failures: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime]
    error: Mapped[str | None] = mapped_column(Text)


class NoticeMarkRow(Base):
    """Since when events of a kind are sent to a target: its first start sends no past."""

    __tablename__ = "notice_marks"

    target: Mapped[str] = mapped_column(ForeignKey("notice_targets.target"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]


class DeliveryRow(Base):
    """One message to one target; ``source`` and ``event_id`` name the row that it tells of.

    ``at`` is when that happened. ``due_at`` is None where nothing more is to be done: it was
    delivered, or ``error`` says why it was given up.
    """

    __tablename__ = "deliveries"

    # SQLite counts up by itself only where the type is INTEGER.
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    target: Mapped[str] = mapped_column(ForeignKey("notice_targets.target"))
    source: Mapped[str]
    event_id: Mapped[str]
    at: Mapped[datetime]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer)
    delivered_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    body: Mapped[dict[str, Any]]

    __table_args__ = (
        Index("uq_deliveries_target_source_event_id", "target", "source", "event_id", unique=True),
        Index(None, "target", "due_at"),
    )
