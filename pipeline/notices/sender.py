"""Send what happens to every receiver, in a thread each, beside what a process is doing.

A message is kept before it is sent and marked after (`pipeline.results.rows.outbox`): it is
delivered at least once. After a failure the message is put off, and its receiver rests: a receiver
that is down is asked once in a while, whatever waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from pipeline.config import NotifyConfig
from pipeline.errors import UnreachableError
from pipeline.executors.background import repeated
from pipeline.notices.message import message_of
from pipeline.notices.receipt import Receipt, Target
from pipeline.notices.targets import targets_of
from pipeline.results.access.leases import Watch
from pipeline.results.database import Repository
from pipeline.results.rows.news import OLDEST
from pipeline.results.rows.outbox import Delivery

#: Seconds between two looks for what is new, and before the next where the database is away.
LOOK_EVERY, RETRY_AFTER = 2.0, 10.0
#: A look goes back so far; one in so many seconds goes back to the oldest that is told.
SHORT_LOOK, LONG_LOOK_EVERY = timedelta(minutes=15), 600.0

#: Seconds that one attempt may take.
DEADLINE = 30.0

#: Before a message is tried again, and one that its receiver refused; both double up to the limit.
AGAIN, AGAIN_AT_LEAST_EVERY = timedelta(seconds=5), timedelta(minutes=15)
REFUSED_AGAIN, REFUSED_AT_LEAST_EVERY = timedelta(minutes=5), timedelta(hours=6)
#: How long a receiver rests after a failure; it doubles up to the limit.
REST, LONGEST_REST = timedelta(seconds=2), timedelta(minutes=5)


@contextmanager
def sending(
    repository: Repository, config: NotifyConfig, tell: Callable[[str], None]
) -> Iterator[None]:
    """Tell the receivers what happens, until the context ends; nothing where none is named.

    Parameters
    ----------
    repository : Repository
        The database whose events are told.
    config : NotifyConfig
        Which events, and where the receivers are named.
    tell : callable
        Takes a sentence for the owner of the process: when a receiver fails, and is back.

    Raises
    ------
    UserError
        See `targets.targets_of`.
    """
    targets = targets_of(config) if config.events else []
    with ExitStack() as running:
        for target in targets:
            running.enter_context(Sender(repository, target, config.events, tell))
        if targets:
            tell(f"Notifications go to {', '.join(target.name for target in targets)}.")
        yield


class Sender:
    """Sends what happens to one receiver while the context lasts.

    Parameters
    ----------
    repository, tell
        See `sending`.
    target : Target
        The receiver.
    kinds : sequence of str
        Which events.
    """

    def __init__(
        self,
        repository: Repository,
        target: Target,
        kinds: Sequence[str],
        tell: Callable[[str], None],
    ) -> None:
        self._outbox, self._target, self._kinds = repository.outbox, target, kinds
        self._tell = tell
        self._watch, self._over, self._running = Watch(), Event(), ExitStack()
        self._begun = self._failing = False
        self._long_look = 0.0
        self._attempt: Attempt | None = None

    def __enter__(self) -> Sender:
        """Begin to look."""
        name = f"notify {self._target.name}"
        self._running.enter_context(repeated(self.look, 0.0, name))
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more; what is not known to be delivered is sent again by whoever is next."""
        self._over.set()
        self._running.close()
        if self._begun:
            with _unless_away():
                self._outbox.release(self._target.name)

    def look(self) -> float:
        """Keep what is new, send what is due; return the seconds until the next look."""
        name = self._target.name
        try:
            if not self._begun:
                self._outbox.begin(name, self._kinds)
                self._begun = True
            self._keep_news()
            if self._outbox.holds(name, self._watch):
                while not self._over.is_set() and self._send_some():
                    pass
        except (SQLAlchemyError, UnreachableError):  # its `Patience` says so
            return RETRY_AFTER
        return LOOK_EVERY

    def _keep_news(self) -> None:
        now = time.monotonic()
        is_long = now >= self._long_look
        news = self._outbox.news(self._target.name, self._kinds, OLDEST if is_long else SHORT_LOOK)
        if news:
            messages = [(one, message_of(one).body()) for one in news]
            self._outbox.add(self._target.name, messages)
        if is_long and not news:  # there may be more than one look reads
            self._outbox.tidy(self._target.name)
            self._long_look = now + LONG_LOOK_EVERY

    def _send_some(self) -> bool:
        """Send messages that are due; tell whether there may be more."""
        due = self._outbox.due(self._target.name)
        for damaged in due.damaged:
            self._outbox.give_up(int(damaged.identity), damaged.reason)
        for delivery in due:
            receipt = self._sent(delivery)
            if receipt is None:
                return False
            self._settle(delivery, receipt)
            if receipt.error is not None or not self._outbox.holds(self._target.name, self._watch):
                return False
        return bool(due)

    def _sent(self, delivery: Delivery) -> Receipt | None:
        """Try once to deliver; None where the outcome is not known, because this process ends."""
        if self._attempt is not None and self._attempt.is_alive():
            return Receipt("the request before still hangs")
        self._attempt = Attempt(self._target, delivery.body)
        return self._attempt.outcome(self._over)

    def _settle(self, delivery: Delivery, receipt: Receipt) -> None:
        name = self._target.name
        if receipt.error is None:
            self._outbox.delivered(delivery)
            if self._failing:
                self._tell(f"{name} takes notifications again.")
            self._failing = False
            return
        rest = doubled(REST, self._outbox.failures(name), LONGEST_REST)
        first, limit = AGAIN, AGAIN_AT_LEAST_EVERY
        if receipt.refused:
            first, limit = REFUSED_AGAIN, REFUSED_AT_LEAST_EVERY
        again = None if receipt.ended else doubled(first, delivery.attempts, limit)
        self._outbox.failed(delivery, receipt.error, again, max(rest, receipt.wait or rest))
        if not self._failing:
            self._tell(f"{name} does not take notifications: {receipt.error}. It is tried again.")
        self._failing = True


def doubled(first: timedelta, times: int, limit: timedelta) -> timedelta:
    """Return ``first``, doubled so often, up to ``limit``."""
    factor: int = 2 ** min(times, 20)
    return min(first * factor, limit)


class Attempt(Thread):
    """One attempt in a thread of its own: no receiver can hold up the process for long."""

    def __init__(self, target: Target, body: dict[str, Any]) -> None:
        super().__init__(name=f"notify {target.name} attempt", daemon=True)
        self._target, self._body = target, body
        self._receipt: Receipt | None = None
        self.start()

    def run(self) -> None:
        """Send."""
        try:
            self._receipt = self._target.send(self._body)
        except Exception as error:  # its words may hold the address
            self._receipt = Receipt(f"it could not be asked ({type(error).__name__})")

    def outcome(self, over: Event) -> Receipt | None:
        """Wait for the outcome; None where ``over`` is set before."""
        deadline = time.monotonic() + DEADLINE
        while not over.is_set():
            self.join(0.05)
            if self._receipt is not None:
                return self._receipt
            if time.monotonic() >= deadline:
                return Receipt(f"it did not answer within {DEADLINE:g} s")
        return self._receipt


def attempt(target: Target, body: dict[str, Any]) -> Receipt:
    """Try once to deliver a message, and wait for the outcome."""
    receipt = Attempt(target, body).outcome(Event())
    assert receipt is not None  # nobody ends the wait
    return receipt


@contextmanager
def _unless_away() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, UnreachableError):
        return
