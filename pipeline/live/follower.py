"""Follow configurations candle by candle: decide, book, and keep each one's newest signal.

One process of a database does it (`Repository.follower`). What it knows it can compute again from
the candles and the ledger, so a kill loses nothing: the next start books what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from queue import SimpleQueue
from threading import Event

from gpu_engine import DAY_MS
from pipeline.cli.console import Note
from pipeline.config import StorageConfig, SyntheticData
from pipeline.errors import UserError
from pipeline.live.booking import account_of, booking_of
from pipeline.live.closing import close_day
from pipeline.live.feed import Clock, Feed, FeedKey, Revision, feed_of, now_ms
from pipeline.live.signal import lateness, refusal_of, signal_of
from pipeline.live.trader import Trader, trader_of
from pipeline.results.database import Repository
from pipeline.results.live import (
    FRESH,
    REVISED,
    STALE,
    BookedElsewhereError,
    Booking,
    LiveEvent,
    PaperAccount,
)
from pipeline.results.records import Configuration
from pipeline.results.signal_models import Signal

#: Seconds between two looks at what is switched on, and at whether the role is still held.
ROSTER_EVERY, ROLE_EVERY = 1.0, 5.0

#: Exchanges that are asked at the same time.
EXCHANGES = 8


class Follower:
    """Follows what is switched on, and what it is given by id.

    Parameters
    ----------
    repository : Repository
        Whose follower this process is.
    storage : StorageConfig
        Where the artifacts lie.
    ids : sequence of str
        Followed whether they are switched on or not.
    note : callable
        Hears of waits and damage.
    clock : callable
        Tells the time, milliseconds since the epoch.
    """

    def __init__(
        self,
        repository: Repository,
        storage: StorageConfig,
        ids: Sequence[str],
        note: Note,
        clock: Clock = now_ms,
    ) -> None:
        self._clock = clock
        self._repository, self._storage, self._ids = repository, storage, tuple(ids)
        self._note = note
        self._traders: dict[str, Trader] = {}
        self._feeds: dict[FeedKey, Feed] = {}
        self._first: dict[FeedKey, int] = {}
        self._accounts: dict[str, PaperAccount] = {}
        self._problems: dict[FeedKey, str] = {}
        self._refused: dict[str, str] = {}
        self._stale: set[FeedKey] = set()
        self._closed: dict[str, date] = {}
        self._looked: dict[FeedKey, tuple[date, list[Revision]]] = {}
        self._version: str | None = None
        self._roster_at = self._role_at = 0.0

    def run(self, stop: Event) -> None:
        """Follow until ``stop`` is set, or another process has taken the role."""
        while not stop.is_set() and self._is_held():
            self._look_at_roster()
            self._advance()
            stop.wait(self._pause())

    def catch_up(self) -> None:
        """Book all that there is by now, and hold every account against its backtest."""
        self._look_at_roster()
        self._closed.clear()
        self._advance()
        for _ in self._traders:
            self._close_a_day()

    @property
    def summary(self) -> str:
        """Say how many configurations are followed, and of how many markets."""
        if not self._traders:
            return "Nothing is followed: switch a configuration on, or name one: scripts/paper ID."
        refused = f"; {len(self._refused)} cannot be followed" if self._refused else ""
        trades = sum(account.trades for account in self._accounts.values())
        return (
            f"{len(self._traders)} configurations of {len(self._feeds)} markets are followed,"
            f" {trades} trades in their ledgers{refused}."
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock() / 1000, UTC)

    def _is_held(self) -> bool:
        if time.monotonic() - self._role_at < ROLE_EVERY:
            return True
        self._role_at = time.monotonic()
        return self._repository.follower.is_held()

    def _pause(self) -> float:
        """Return the seconds until something may be due."""
        due = min((feed.due_ms for feed in self._feeds.values()), default=0)
        return min(max((due - self._clock()) / 1000, 0.02), ROSTER_EVERY)

    def _look_at_roster(self) -> None:
        """Prepare what was switched on since the last look, and let go what was switched off."""
        if time.monotonic() - self._roster_at < ROSTER_EVERY:
            return
        self._roster_at = time.monotonic()
        version = self._repository.configurations.active_version()
        if version == self._version:
            return
        rows = {row.id: row for row in self._roster()}
        for identity, row in rows.items():
            known = self._traders.get(identity)
            if known is not None:
                self._traders[identity] = replace(known, configuration=row)
            elif identity not in self._refused:
                self._take_on(row)
        gone = (self._traders.keys() | self._refused.keys()) - rows.keys()
        for identity in gone:
            self._traders.pop(identity, None)
            self._refused.pop(identity, None)
        if gone:
            self._repository.live.drop_signals(gone)
        self._version = version

    def _roster(self) -> Iterator[Configuration]:
        active = self._repository.checks.active()
        named = self._repository.checks.stored_of(self._ids)
        seen = set()
        for checked in (*active, *named):
            if checked.configuration is not None and checked.id not in seen:
                seen.add(checked.id)
                yield checked.configuration

    def _take_on(self, row: Configuration) -> None:
        try:
            trader = trader_of(self._repository, self._storage, row)
        except UserError as error:
            self._refuse(row, error)
            return
        self._traders[trader.id] = trader
        key = key_of(trader)
        if trader.first_ms < self._first.get(key, trader.first_ms + 1):
            data = trader.simulation.data
            assert not isinstance(data, SyntheticData), "refused by `trader_of`"
            self._first[key] = trader.first_ms
            self._feeds[key] = feed_of(
                trader.simulation.market, data, trader.first_ms, self._note, self._clock
            )
        account = self._repository.live.account(trader.id)
        if account is not None:
            self._accounts[trader.id] = account
            if account.checked_through is not None:
                self._closed[trader.id] = account.checked_through.date()
        self._feeds[key].due_ms = 0

    def _refuse(self, row: Configuration, error: UserError) -> None:
        self._refused[row.id] = reason = str(error).rstrip(".")
        self._note(f"{row.id} is not followed: {reason}.")
        refusal = refusal_of(row, reason, self._now())
        self._repository.live.keep_signals({row.id: refusal.to_dict()})

    def _advance(self) -> None:
        """Ask for what is due, and book each market as soon as its candle is there."""
        now = self._clock()
        due = {key: feed for key, feed in self._feeds.items() if feed.due_ms <= now}
        by_exchange: dict[str, list[FeedKey]] = {}
        for key, feed in due.items():
            by_exchange.setdefault(feed.market.exchange.name, []).append(key)
        answers: SimpleQueue[tuple[FeedKey, bool | UserError]] = SimpleQueue()
        if by_exchange:
            with ThreadPoolExecutor(min(len(by_exchange), EXCHANGES)) as pool:
                for keys in by_exchange.values():
                    pool.submit(self._ask, keys, now, answers)
                for _ in due:
                    key, answer = answers.get()
                    before = self._problems.pop(key, None)
                    if isinstance(answer, UserError):
                        self._problems[key] = problem = str(answer).rstrip(".")
                        if problem != before:
                            self._note(f"{problem}.")
                    elif answer or self._awaits_booking(key):
                        self._book(key)
        self._tell_staleness()
        for key in due:
            self._persist(key)
        self._close_a_day()

    def _ask(
        self,
        keys: Iterable[FeedKey],
        now: int,
        answers: SimpleQueue[tuple[FeedKey, bool | UserError]],
    ) -> None:
        for key in keys:
            try:
                answers.put((key, self._feeds[key].advance(now)))
            except UserError as error:
                answers.put((key, error))
            except Exception as error:  # a fault of one market stops no other
                answers.put((key, UserError(f"{type(error).__name__}: {error}")))

    def _traders_of(self, key: FeedKey) -> list[Trader]:
        return [trader for trader in self._traders.values() if key_of(trader) == key]

    def _awaits_booking(self, key: FeedKey) -> bool:
        """Whether a trader came since its market's last candle."""
        newest = int(self._feeds[key].candles.timestamp[-1])
        for trader in self._traders_of(key):
            account = self._accounts.get(trader.id)
            if account is None or account.through is None:
                return True
            if int(account.through.timestamp() * 1000) < newest:
                return True
        return False

    def _book(self, key: FeedKey) -> None:
        """Decide for every configuration of a market, and book all in one transaction."""
        bookings: dict[str, Booking] = {}
        signals = {}
        for trader in self._traders_of(key):
            now = self._now()
            try:
                booking, signal = self._decide(trader, key, now)
            except UserError as error:
                signal = refusal_of(trader.configuration, str(error).rstrip("."), now)
                booking = None
            if booking is None:
                signals[trader.id] = signal.to_dict()
            else:
                bookings[trader.id] = booking
        try:
            self._repository.live.book(bookings.values())
        except BookedElsewhereError:
            self._accounts |= self._repository.live.accounts()
            return
        if signals:
            self._repository.live.keep_signals(signals)
        for identity, booking in bookings.items():
            account = self._accounts[identity]
            self._accounts[identity] = replace(
                account,
                through=booking.through,
                trades=account.trades + len(booking.trades),
                equity=booking.equity,
            )

    def _decide(self, trader: Trader, key: FeedKey, now: datetime) -> tuple[Booking | None, Signal]:
        candles = self._feeds[key].candles
        account = self._accounts.get(trader.id)
        if account is None:
            account = account_of(trader, candles)
            self._repository.live.open_account(account)
            self._accounts[trader.id] = account
        series = trader.series(candles, round(account.first_candle.timestamp() * 1000))
        standing = trader.standing(series)
        signal = signal_of(trader, series, standing, now)
        return booking_of(trader, account, series, standing, signal), signal

    def _tell_staleness(self) -> None:
        """Say once that the candles of a market are stale or broken, and once that they go on."""
        now = self._now()
        for key, feed in self._feeds.items():
            traders = self._traders_of(key)
            reason = self._problems.get(key)
            if feed.is_loaded:
                late = lateness(feed.candles, now)
                reason = late and "; ".join(filter(None, (late, reason)))
            if (reason is None) == (key not in self._stale) or not traders:
                continue
            if reason is None:
                self._stale.discard(key)
                self._journal(FRESH, key, feed, f"{feed.market.id}: candles go on.")
                continue
            self._stale.add(key)
            self._journal(STALE, key, feed, f"{feed.market.id}: {reason}.")
            refusals = {
                trader.id: refusal_of(
                    trader.configuration,
                    reason,
                    now,
                    feed.candles if feed.is_loaded else None,
                ).to_dict()
                for trader in traders
            }
            self._repository.live.keep_signals(refusals)

    def _journal(self, kind: str, key: FeedKey, feed: Feed, text: str) -> None:
        self._note(text)
        event = LiveEvent(kind=kind, text=text, market=feed.market.id)
        self._repository.live.note([event])

    def _persist(self, key: FeedKey) -> None:
        """Put what came into the store; what cannot be written now is tried with the next."""
        try:
            self._feeds[key].persist()
        except UserError as error:
            self._note(str(error))

    def _close_a_day(self) -> None:
        """Hold one account against a backtest whose market has begun a new day since."""
        for trader in self._traders.values():
            key, account = key_of(trader), self._accounts.get(trader.id)
            if account is None or account.through is None:
                continue
            day = account.through.date()
            if self._closed.get(trader.id) == day:
                continue
            self._closed[trader.id] = day
            feed = self._feeds[key]
            revisions = self._revisions(key, feed, account.through)
            if close_day(self._repository, self._storage, trader, account, feed, revisions):
                self._version = None  # its stage is another one
            return

    def _revisions(self, key: FeedKey, feed: Feed, through: datetime) -> list[Revision]:
        """Ask once a day for what the exchange says now of the last two days."""
        day = through.date()
        if self._looked.get(key, (None, []))[0] != day:
            since = int(through.timestamp() * 1000) // DAY_MS * DAY_MS - DAY_MS
            try:
                revisions = list(feed.revisions(since))
            except UserError as error:
                self._note(f"{feed.market.id}: revisions are not known: {error}")
                revisions = []
            for revision in revisions:
                self._journal(REVISED, key, feed, f"{feed.market.id}: candle of {revision}.")
            self._looked[key] = (day, revisions)
        return self._looked[key][1]


def key_of(trader: Trader) -> FeedKey:
    """Return the key of the feed that a trader needs."""
    data = trader.simulation.data
    assert not isinstance(data, SyntheticData), "refused by `trader_of`"
    return FeedKey.of(trader.simulation.market, data)
