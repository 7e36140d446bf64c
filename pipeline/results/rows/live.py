"""Keep the ledger of paper trading: accounts, trades, days, the journal and the newest signals.

A booking is one transaction that names the candle up to which the account was booked before: what
another process has booked since, or this one before it was killed, is never booked twice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import accumulate
from operator import mul
from typing import Any, TypeVar

from sqlalchemy import Insert, Select, Update, delete, exists, func, insert, literal, select, update
from sqlalchemy.orm import Session

from pipeline.results.access.outages import Tables, waits
from pipeline.results.damage import Rows, from_row, naming
from pipeline.results.records import FOLLOWED, ConfigurationEvent, utc_now
from pipeline.results.rows import chain
from pipeline.results.tables.live_models import (
    ORDER,
    LiveEvent,
    LiveEventRow,
    PaperAccount,
    PaperAccountRow,
    PaperDay,
    PaperDayRow,
    PaperTrade,
    PaperTradeRow,
    SignalRow,
    StoredSignal,
)
from pipeline.results.tables.models import ConfigurationEventRow

Record = TypeVar("Record")


class BookedElsewhereError(RuntimeError):
    """The account was booked by another process meanwhile."""


@dataclass(frozen=True)
class Booking:
    """What one or more candles brought to an account: ``through`` is the newest of them.

    ``before`` is what the account was booked through until then; ``called_equity`` is that of all
    trades that were called.
    """

    configuration_id: str
    before: datetime | None
    through: datetime
    position: Mapping[str, Any] | None
    equity: float
    called_equity: float = 1.0
    trades: Sequence[PaperTrade] = ()
    days: Sequence[PaperDay] = ()
    events: Sequence[LiveEvent] = ()
    signal: Mapping[str, Any] | None = None

    def changes(self, account: Any) -> dict[str, Any]:
        """Return what a `PaperAccount`, or its row, is from then on; columns will do."""
        return {
            "through": self.through,
            "equity": self.equity,
            "position": None if self.position is None else dict(self.position),
            "trades": account.trades + len(self.trades),
            "called": account.called + sum(trade.called for trade in self.trades),
            "called_equity": self.called_equity,
        }


@dataclass(frozen=True)
class Ledger:
    """An account and a page of what is in it, newest first; totals are of all."""

    account: PaperAccount
    trades: list[PaperTrade]
    days: list[PaperDay]
    events: list[LiveEvent]
    total_trades: int
    total_days: int
    total_events: int


class Live(Tables):
    """The live tables of one database; `pipeline.results.database.Repository` makes it."""

    @waits
    def accounts(self) -> dict[str, PaperAccount]:
        """Read all accounts, by the id of their configuration."""
        with self._sessions() as session:
            rows = session.scalars(select(PaperAccountRow)).all()
            return {row.configuration_id: from_row(PaperAccount, row) for row in rows}

    @waits
    def account(self, configuration_id: str) -> PaperAccount | None:
        """Read one account; None where it was never followed."""
        with self._sessions() as session:
            row = session.get(PaperAccountRow, configuration_id)
            return None if row is None else from_row(PaperAccount, row)

    @waits
    def open_account(self, account: PaperAccount) -> None:
        """Begin to follow a configuration; an account that is there stays as it is.

        The audit trail says when: the days that a configuration may rise by follow it.
        """
        with self._sessions.begin() as session:
            row = chain.hold(session, account.configuration_id)
            if session.get(PaperAccountRow, account.configuration_id) is not None:
                return
            session.add(PaperAccountRow(**asdict(account)))
            event = ConfigurationEvent(
                configuration_id=row.id,
                kind=FOLLOWED,
                from_stage=row.lifecycle_stage,
                to_stage=row.lifecycle_stage,
                reason="Its paper account was opened.",
                figures={"first_candle": account.first_candle.isoformat()},
            )
            chain.append(session, row, event, ())

    @waits
    def opened(self) -> int:
        """Count the configurations whose audit trail has the opening of a paper account."""
        event = ConfigurationEventRow
        count = select(func.count(event.configuration_id.distinct()))
        with self._sessions() as session:
            return session.scalar(count.where(event.kind == FOLLOWED)) or 0

    @waits
    def book(self, bookings: Iterable[Booking], now: Callable[[], datetime] = utc_now) -> None:
        """Book what candles brought to some accounts, all or nothing.

        An order is of the moment ``now`` at which it is written, however long that was waited for:
        nobody could read it before.

        Raises
        ------
        BookedElsewhereError
            When one is not booked through what its booking says.
        """
        with self._sessions.begin() as session:
            for booking in bookings:
                _book(session, booking, now)
                if booking.signal is not None:
                    _keep_signal(session, booking.configuration_id, booking.signal)

    @waits
    def keep_signals(self, signals: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the newest signal of some configurations."""
        with self._sessions.begin() as session:
            for configuration_id, signal in signals.items():
                _keep_signal(session, configuration_id, signal)

    @waits
    def drop_signals(self, configuration_ids: Iterable[str]) -> None:
        """Remove the signals of configurations that are followed no more."""
        with self._sessions.begin() as session:
            ids = list(configuration_ids)
            session.execute(delete(SignalRow).where(SignalRow.configuration_id.in_(ids)))

    @waits
    def note(self, events: Iterable[LiveEvent]) -> None:
        """Write lines into the journal."""
        with self._sessions.begin() as session:
            session.add_all(_event_row(event) for event in events)

    @waits
    def note_once(self, event: LiveEvent) -> bool:
        """Write a line into the journal, unless it says the same of this candle already.

        It tells whether it was written. The candle is needed: lines from before it are not read.
        """
        row = LiveEventRow
        same = (row.kind == event.kind, row.market == event.market, row.candle == event.candle)
        there = exists().where(row.at >= event.candle, *same, row.text == event.text)
        values = {name: value for name, value in asdict(event).items() if name != "id"}
        columns = [literal(value, getattr(row, name).type) for name, value in values.items()]
        new = insert(row).from_select(list(values), select(*columns).where(~there))
        with self._sessions.begin() as session:
            return _write(session, new) > 0

    @waits
    def ordered(
        self, configuration_id: str, candles: Iterable[datetime]
    ) -> dict[datetime, datetime]:
        """Return when the order that rests on each candle was written, where there was one."""
        row = LiveEventRow
        mine = (row.configuration_id == configuration_id, row.kind == ORDER)
        query = select(row.candle, func.min(row.at)).where(*mine, row.candle.in_(list(candles)))
        with self._sessions() as session:
            found = session.execute(query.group_by(row.candle)).all()
        return {candle: at for candle, at in found if candle is not None}

    @waits
    def signalled_at(self) -> datetime | None:
        """Return when the newest signal of all was made; None without one."""
        with self._sessions() as session:
            return session.scalar(select(func.max(SignalRow.made_at)))

    @waits
    def record_check(self, configuration_id: str, difference: str, event: LiveEvent) -> None:
        """Keep what a check against the backtest said: "" where both agree."""
        with self._sessions.begin() as session:
            session.execute(
                update(PaperAccountRow)
                .where(PaperAccountRow.configuration_id == configuration_id)
                .values(difference=difference, checked_at=event.at, checked_through=event.candle)
            )
            told = {**event.payload, "difference": difference}  # by which it is news
            session.add(_event_row(replace(event, payload=told)))

    @waits
    def trades(self, configuration_id: str) -> list[PaperTrade]:
        """Read the closed trades of an account, in order of entry."""
        row = PaperTradeRow
        query = select(row).where(row.configuration_id == configuration_id).order_by(row.number)
        return self._read(query, PaperTrade, configuration_id)

    @waits
    def days(self, configuration_id: str) -> list[PaperDay]:
        """Read the days of an account, oldest first."""
        row = PaperDayRow
        query = select(row).where(row.configuration_id == configuration_id).order_by(row.day)
        return self._read(query, PaperDay, configuration_id)

    @waits
    def events(
        self, after: int = 0, limit: int = 500, configuration_id: str | None = None
    ) -> list[LiveEvent]:
        """Read lines of the journal that follow one, oldest first."""
        row = LiveEventRow
        query = select(row).where(row.id > after).order_by(row.id).limit(limit)
        if configuration_id is not None:
            query = query.where(row.configuration_id == configuration_id)
        return self._read(query, LiveEvent, configuration_id or "")

    @waits
    def journal(self, kinds: Sequence[str], limit: int) -> list[LiveEvent]:
        """Read the newest lines of some kinds, newest first."""
        row = LiveEventRow
        query = select(row).where(row.kind.in_(kinds)).order_by(row.id.desc()).limit(limit)
        return self._read(query, LiveEvent, "")

    @waits
    def ledger(self, configuration_id: str, limit: int, offset: int) -> Ledger | None:
        """Read an account and a page of its trades, days and journal; None where there is none."""
        orders = (
            (PaperTradeRow, PaperTrade, PaperTradeRow.number),
            (PaperDayRow, PaperDay, PaperDayRow.day),
            (LiveEventRow, LiveEvent, LiveEventRow.id),
        )
        with self._sessions() as session:
            account = session.get(PaperAccountRow, configuration_id)
            if account is None:
                return None
            pages: list[Any] = []
            totals: list[Any] = []
            for row, kind, order in orders:
                mine = row.configuration_id == configuration_id
                query = select(row).where(mine).order_by(order.desc()).limit(limit).offset(offset)
                with naming(row.__tablename__, configuration_id):
                    pages.append([from_row(kind, one) for one in session.scalars(query)])
                count = select(func.count()).select_from(row).where(mine)
                totals.append(session.scalar(count))
            return Ledger(from_row(PaperAccount, account), *pages, *totals)

    @waits
    def signals(self) -> Rows[StoredSignal]:
        """Read the newest signals, by the id of their configuration."""
        with self._sessions() as session:
            rows = session.scalars(select(SignalRow).order_by(SignalRow.configuration_id))
            return Rows([from_row(StoredSignal, row) for row in rows])

    @waits
    def signal_version(self) -> str:
        """Return what changes whenever a signal comes or goes."""
        with self._sessions() as session:
            query = select(func.max(SignalRow.version), func.count())
            newest, count = session.execute(query.select_from(SignalRow)).one()
        return f"{newest or 0}-{count}"

    def _read(self, query: Select[Any], kind: type[Record], identity: str) -> list[Record]:
        with self._sessions() as session:
            rows = session.scalars(query).all()
            if not rows:
                return []
            with naming(rows[0].__tablename__, identity):
                return [from_row(kind, row) for row in rows]


def _book(session: Session, booking: Booking, now: Callable[[], datetime]) -> None:
    """Book on an account; the first statement makes sure that it is where the booking says."""
    account, identity = PaperAccountRow, booking.configuration_id
    through = account.through
    is_there = through.is_(None) if booking.before is None else through == booking.before
    moved = _write(
        session,
        update(account)
        .where(account.configuration_id == identity, is_there)
        .values(**booking.changes(account)),
    )
    if not moved:
        raise BookedElsewhereError(f"{identity} was booked by another process")
    days = _compounded(session, booking)
    for row, records in ((PaperTradeRow, booking.trades), (PaperDayRow, days)):
        session.add_all(row(configuration_id=identity, **asdict(record)) for record in records)
    for event in booking.events:
        session.add(_event_row(replace(event, at=now()) if event.kind == ORDER else event))


def _compounded(session: Session, booking: Booking) -> list[PaperDay]:
    """Return the days with the equity that follows from the days which are booked."""
    if not booking.days:
        return []
    row = PaperDayRow
    mine = select(row.equity).where(row.configuration_id == booking.configuration_id)
    equity = session.scalar(mine.order_by(row.day.desc()).limit(1)) or 1.0
    returns = [1.0 + day.ret for day in booking.days]
    curve = accumulate(returns, mul, initial=equity)
    return [replace(day, equity=now) for day, now in zip(booking.days, [*curve][1:], strict=True)]


def _event_row(event: LiveEvent) -> LiveEventRow:
    return LiveEventRow(**asdict(event))


def _keep_signal(session: Session, configuration_id: str, signal: Mapping[str, Any]) -> None:
    highest = select(func.coalesce(func.max(SignalRow.version), 0) + 1).scalar_subquery()
    values = {"version": highest, "made_at": utc_now(), "signal": dict(signal)}
    mine = update(SignalRow).where(SignalRow.configuration_id == configuration_id)
    if not _write(session, mine.values(**values)):
        _write(session, insert(SignalRow).values(configuration_id=configuration_id, **values))


def _write(session: Session, statement: Update | Insert) -> int:
    """Write rows of which the session holds none; return how many there were."""
    return session.connection().execute(statement).rowcount
