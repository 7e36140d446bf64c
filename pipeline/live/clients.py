"""Share what an exchange is asked through: one client, its markets and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from pipeline.market_data.exchange.connection import CLOCK_ERROR_MS, Connection, new_client
from pipeline.market_data.exchange.network import Network

if TYPE_CHECKING:
    import ccxt

#: Milliseconds by which two clocks may seem apart and are not: an answer tells whole seconds, and
#: takes its time.
CLOCK_STEP_MS = 1_500

#: Tells the time, milliseconds since the epoch.
Clock = Callable[[], int]


def now_ms() -> int:
    """Tell the time of this machine."""
    return int(time.time() * 1000)


class Clients:
    """One client of an exchange for all feeds that go the same way to it.

    Its markets are loaded once, and its rate limit counts the questions of all. The feeds of one
    exchange ask one after the other (`pipeline.live.poller`).
    """

    def __init__(self) -> None:
        self._clients: dict[tuple[str, bool, Network], ccxt.Exchange] = {}
        self._clocks: dict[str, ExchangeClock] = {}
        self._lock = Lock()

    def of(self, exchange: str, perpetual: bool, network: Network) -> ccxt.Exchange:
        """Return the client; spot markets and contracts have one each, as they are loaded apart."""
        key = (exchange, perpetual, network)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = new_client(exchange, network)
            return self._clients[key]

    def clock(self, exchange: str, ours: Clock) -> ExchangeClock:
        """Return the clock of an exchange, which all its feeds hold against this machine's."""
        with self._lock:
            return self._clocks.setdefault(exchange, ExchangeClock(ours))


class ExchangeClock:
    """Holds the clock of this machine, ``ours``, against an exchange's, which may be ahead.

    ``ahead_ms`` is 0 until the exchange has told its time.
    """

    def __init__(self, ours: Clock) -> None:
        self.ours, self.ahead_ms = ours, 0
        self._is_known = False

    def now(self) -> int:
        """Tell the exchange's time, milliseconds."""
        return self.ours() + self.ahead_ms

    def ask(self, connection: Connection) -> None:
        """Ask the exchange for its time, once."""
        if not self._is_known:
            self.ahead_ms, self._is_known = connection.now() - self.ours(), True

    def of_answer(self, connection: Connection) -> int:
        """Return the exchange's time of its newest answer, milliseconds: what closed later waits.

        This machine's clock may be set while it runs: it is held against each answer.
        """
        ours = self.now()
        theirs = connection.answered_ms()
        if theirs is None or theirs > self.ours() + CLOCK_ERROR_MS:
            return ours
        middle = theirs + 500
        if abs(middle - ours) > CLOCK_STEP_MS:
            self.ahead_ms += middle - ours
        return theirs
