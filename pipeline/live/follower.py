"""Follow configurations candle by candle: decide, book, and keep each one's newest signal.

One process of a database does it (`Repository.follower`). What it knows it can compute again from
the candles and the ledger, so a kill loses nothing: the next start books what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from threading import Event

from pipeline.config import StorageConfig, milliseconds, moment
from pipeline.errors import Note, UserError
from pipeline.executors.share import cores
from pipeline.live.booking import account_of, booking_of
from pipeline.live.clients import Clients, Clock, now_ms
from pipeline.live.closing import close_day
from pipeline.live.exchange_feed import feed_of
from pipeline.live.feed import Feed, FeedKey, Revision
from pipeline.live.poller import Inquiry
from pipeline.live.signal import lateness, refusal_of, signal_of, with_clock
from pipeline.live.trader import Trader, trader_of
from pipeline.live.walk import Walk
from pipeline.results.database import Repository
from pipeline.results.document.signal_models import Signal
from pipeline.results.records import Configuration
from pipeline.results.rows import live
from pipeline.results.rows.checks import Checked
from pipeline.results.tables.live_models import FRESH, REVISED, STALE, LiveEvent, PaperAccount
from pipeline.validation.wording import plural

#: Seconds between two looks at what is switched on, and at whether the role is still held.
ROSTER_EVERY, ROLE_EVERY = 1.0, 5.0
#: Before what could not be followed is tried again: what it lacked may be back.
REFUSED_EVERY = 30.0


class Follower:
    """Follows what is switched on, and what it is given by id, whether that is on or not.

    ``note`` hears of waits and damage; ``clock`` tells the milliseconds since the epoch.
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
        self._walks: dict[str, Walk] = {}
        self._accounts: dict[str, PaperAccount] = {}
        self._problems: dict[FeedKey, str] = {}
        self.refused: dict[str, str] = {}
        self._stale: set[FeedKey] = set()
        self._closed: dict[str, date] = {}
        self._keys: dict[str, FeedKey] = {}
        self._revisions: dict[FeedKey, tuple[Revision, ...]] = {}
        self._inquiry, self._clients = Inquiry(), Clients()
        self._workers = ThreadPoolExecutor(cores(), thread_name_prefix="decision")
        self._version: str | None = None
        self._roster_at = self._role_at = self._refused_at = 0.0
        self._returned: set[str] = set()

    def run(self, stop: Event) -> None:
        """Follow until ``stop`` is set, or another process has taken the role."""
        try:
            while not stop.is_set() and self._is_held():
                self._look_at_roster()
                self._inquiry.ask(self._feeds, self._clock())
                self._take_answers(self._pause())
                self._close_a_day()
        finally:
            self._close()

    def catch_up(self) -> None:
        """Book all that there is by now, and hold every account against its backtest."""
        try:
            self._look_at_roster()
            self._closed.clear()
            self._inquiry.ask(self._feeds, self._clock())
            while not self._inquiry.is_idle:
                self._take_answers(1.0)
            for _ in self._traders:
                self._close_a_day()
        finally:
            self._close()

    def _close(self) -> None:
        self._inquiry.close()
        self._workers.shutdown()

    @property
    def summary(self) -> str:
        """Say how many configurations are followed, and of how many markets."""
        if not self._traders and self.refused:
            return (
                "Nothing is followed: all that is switched on is refused, for the reasons above."
                " Switch it off, and switch on a configuration of a market's own candles."
            )
        if not self._traders:
            return "Nothing is followed: switch a configuration on, or name one: scripts/paper ID."
        refused = f"; {len(self.refused)} cannot be followed" if self.refused else ""
        trades = sum(account.trades for account in self._accounts.values())
        return (
            f"{plural(len(self._traders), 'configuration')} of {plural(len(self._feeds), 'market')}"
            f" followed, {plural(trades, 'trade')} in the ledgers{refused}."
        )

    def findings(self) -> Iterator[str]:
        """Yield what `catch_up` could not book, or found in a ledger."""
        yield from (f"{key.market}: {problem}." for key, problem in self._problems.items())
        accounts = self._repository.live.accounts()
        for identity in self._traders:
            if identity in accounts and accounts[identity].difference:
                yield (
                    f"{identity}: the ledger is not what a backtest of the same candles gives:"
                    f" {accounts[identity].difference}."
                )

    def _now(self, feed: Feed | None = None) -> datetime:
        """Tell the time by the clock of what a feed follows; by this machine's without one."""
        return moment(self._clock() + (0 if feed is None else feed.ahead_ms))

    def _is_held(self) -> bool:
        if time.monotonic() - self._role_at < ROLE_EVERY:
            return True
        self._role_at = time.monotonic()
        return self._repository.follower.go_on()

    def _pause(self) -> float:
        """Return the seconds until something may be due."""
        due = min((feed.due_ms for feed in self._feeds.values()), default=0)
        return min(max((due - self._clock()) / 1000, 0.02), ROSTER_EVERY)

    def _look_at_roster(self) -> None:
        """Prepare what was switched on since the last look, and let go what was switched off.

        What was refused is tried again after every change, and once in a while.
        """
        if time.monotonic() - self._roster_at < ROSTER_EVERY:
            return
        self._roster_at = time.monotonic()
        version = self._repository.configurations.active_version()
        is_tried = self.refused and self._roster_at - self._refused_at >= REFUSED_EVERY
        if version == self._version and not is_tried:
            return
        self._refused_at = self._roster_at
        roster = self._roster()
        for identity, checked in roster.items():
            row, known = checked.configuration, self._traders.get(identity)
            if row is None or checked.objections:
                self._let_go(identity)
                self._refuse(identity, row, "; ".join(checked.objections))
            elif known is not None:
                self._traders[identity] = replace(known, configuration=row)
            else:
                self._take_on(row)
        gone = (self._traders.keys() | self.refused.keys()) - roster.keys()
        for identity in gone:
            self._let_go(identity)
            self.refused.pop(identity, None)
        if gone:
            self._repository.live.drop_signals(gone)
        self._version = version

    def _roster(self) -> dict[str, Checked]:
        """Read what is switched on, and what was named, as it agrees with its audit trail."""
        active = self._repository.checks.active()
        named = self._repository.checks.stored_of(self._ids)
        return {checked.id: checked for checked in (*named, *active)}

    def _let_go(self, identity: str) -> None:
        """Follow a configuration no more; a market that nobody needs is asked for no more."""
        if self._traders.pop(identity, None) is None:
            return
        self._walks.pop(identity, None)
        key = self._keys.pop(identity)
        if key not in self._keys.values():
            del self._feeds[key], self._first[key]
            self._problems.pop(key, None)
            self._stale.discard(key)

    def _take_on(self, row: Configuration) -> None:
        try:
            trader = trader_of(self._repository, self._storage, row)
        except UserError as error:
            self._refuse(row.id, row, str(error).rstrip(".").removeprefix(f"{row.id}: "))
            return
        key = FeedKey.of(trader.simulation.market, trader.data)
        self._traders[trader.id], self._keys[trader.id] = trader, key
        if trader.first_ms < self._first.get(key, trader.first_ms + 1):
            for other in self._traders_of(key):  # another feed begins its editions anew
                self._walks.pop(other.id, None)
            self._first[key] = trader.first_ms
            self._feeds[key] = feed_of(
                trader.simulation.market,
                trader.data,
                trader.first_ms,
                self._note,
                self._clock,
                self._clients,
            )
        account = self._repository.live.account(trader.id)
        if account is not None:
            self._accounts[trader.id] = account
            if account.checked_through is not None:
                self._closed[trader.id] = account.checked_through.date()
        self._feeds[key].due_ms = 0
        if self.refused.pop(row.id, None) is not None:
            self._returned.add(row.id)
            self._note(f"{row.id} is followed again.")

    def _refuse(self, identity: str, row: Configuration | None, reason: str) -> None:
        """Keep why a configuration is not followed; a row that cannot be read has no signal."""
        if self.refused.get(identity) == reason:
            return
        self.refused[identity] = reason
        self._note(f"{identity} is not followed: {reason}.")
        if row is not None:
            refusal = refusal_of(row, reason, self._now())
            self._repository.live.keep_signals({identity: refusal.to_dict()})

    def _take_answers(self, seconds: float) -> None:
        """Book each market as soon as its candle is there."""
        came = []
        for answer in self._inquiry.answers(seconds):
            if answer.key not in self._feeds:  # it was let go meanwhile
                continue
            if answer.revisions is not None:
                self._tell_revisions(answer.key, answer.revisions)
            before = self._problems.pop(answer.key, None)
            if answer.problem is not None:
                self._problems[answer.key] = answer.problem
                if answer.problem != before:
                    self._note(f"{answer.key.market}: {answer.problem}.")
            elif not self._feeds[answer.key].is_loaded:
                continue  # an answer of the feed before
            elif answer.came or self._awaits_booking(answer.key):
                self._book(answer.key)
                came.append(answer.key)
        for key in came:
            self._persist(key)
        self._tell_staleness()

    def _traders_of(self, key: FeedKey) -> list[Trader]:
        return [trader for identity, trader in self._traders.items() if self._keys[identity] == key]

    def _awaits_booking(self, key: FeedKey) -> bool:
        """Whether a trader came since its market's last candle, or came back."""
        if not self._feeds[key].is_loaded:
            return False
        newest = int(self._feeds[key].candles.timestamp[-1])
        for trader in self._traders_of(key):
            account = self._accounts.get(trader.id)
            if account is None or account.through is None or trader.id in self._returned:
                return True
            if milliseconds(account.through) < newest:
                return True
        return False

    def _book(self, key: FeedKey) -> None:
        """Decide for every configuration of a market, and book all in one transaction."""
        bookings: dict[str, live.Booking] = {}
        signals = {}
        for identity, booking, signal in self._decisions(key):
            self._returned.discard(identity)
            if booking is None:
                signals[identity] = signal.to_dict()
            else:
                bookings[identity] = booking
        try:
            self._repository.live.book(bookings.values(), partial(self._now, self._feeds[key]))
        except live.BookedElsewhereError:
            self._accounts |= self._repository.live.accounts()
            return
        if signals:
            self._repository.live.keep_signals(signals)
        for identity, booking in bookings.items():
            account = self._accounts[identity]
            self._accounts[identity] = replace(account, **booking.changes(account))

    def _decisions(self, key: FeedKey) -> Iterator[tuple[str, live.Booking | None, Signal]]:
        """Decide for every configuration of a market: those of built-in strategies in threads."""
        traders = self._traders_of(key)
        own = [trader for trader in traders if trader.simulation.strategy.text is not None]
        built_in = [trader for trader in traders if trader.simulation.strategy.text is None]
        yield from self._workers.map(partial(self._decision, key), built_in)
        yield from map(partial(self._decision, key), own)

    def _decision(self, key: FeedKey, trader: Trader) -> tuple[str, live.Booking | None, Signal]:
        """Decide for one configuration; a refusal where that fails."""
        feed = self._feeds[key]
        now = self._now(feed)
        try:
            return (trader.id, *self._decide(trader, key, now))
        except UserError as error:
            reason = str(error).rstrip(".")
        except Exception as error:  # of an own strategy: it stops no other
            reason = f"{type(error).__name__}: {error}"
            self._note(f"{trader.id}: {reason}.")
        refusal = with_clock(refusal_of(trader.configuration, reason, now), feed.ahead_ms)
        return trader.id, None, refusal

    def _decide(
        self, trader: Trader, key: FeedKey, now: datetime
    ) -> tuple[live.Booking | None, Signal]:
        feed = self._feeds[key]
        candles = feed.candles
        account = self._accounts.get(trader.id)
        if account is None:
            account = account_of(trader, candles)
            self._repository.live.open_account(account)
            self._accounts[trader.id] = account
        series = trader.series(candles, milliseconds(account.first_candle))
        walk = self._walks.setdefault(trader.id, Walk())
        standing = walk.standing(trader, series, feed.edition)
        signal = with_clock(signal_of(trader, series, standing, now), feed.ahead_ms)
        ordered = partial(self._repository.live.ordered, trader.id)
        return booking_of(trader, account, series, standing, signal, ordered), signal

    def _tell_staleness(self) -> None:
        """Say once that the candles of a market are stale or broken, and once that they go on."""
        for key, feed in self._feeds.items():
            traders, now = self._traders_of(key), self._now(feed)
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
            candles = feed.candles if feed.is_loaded else None
            refusals = {}
            for trader in traders:
                refusal = refusal_of(trader.configuration, reason, now, candles)
                refusals[trader.id] = with_clock(refusal, feed.ahead_ms).to_dict()
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
            key, account = self._keys[trader.id], self._accounts.get(trader.id)
            if account is None or account.through is None:
                continue
            day, feed = account.through.date(), self._feeds[key]
            if self._closed.get(trader.id) == day or not feed.reaches(account.through):
                continue
            self._closed[trader.id] = day
            revisions = self._revisions.get(key, ())
            if close_day(self._repository, self._storage, trader, account, feed, revisions):
                self._version = None  # its stage is another one
            return

    def _tell_revisions(self, key: FeedKey, revisions: tuple[Revision, ...]) -> None:
        """Write each revision into the journal once, and have its market's ledgers checked."""
        feed, known = self._feeds[key], self._revisions.get(key, ())
        self._revisions[key] = revisions
        new = [revision for revision in revisions if revision not in known]
        if new:
            for trader in self._traders_of(key):
                self._closed.pop(trader.id, None)
        for revision in new:
            text = f"{feed.market.id}: candle of {revision}."
            opened = moment(revision.opened_ms)
            line = LiveEvent(kind=REVISED, text=text, market=feed.market.id, candle=opened)
            if self._repository.live.note_once(line):
                self._note(text)
