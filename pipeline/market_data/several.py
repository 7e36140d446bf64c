"""Fetch many markets in one run: exchanges at the same time, the markets of one after another.

An exchange counts requests by address, so two markets of one would only wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread

from gpu_engine import Advance
from pipeline.cli.console import Console
from pipeline.config import FetchConfig
from pipeline.errors import BannedError, Note, UserError
from pipeline.market_data.exchange.fetching import FetchedCandles
from pipeline.market_data.sources import bars_expected, fetch_candles


@dataclass(eq=False)
class _Run:
    """What the threads of a run share."""

    note: Note
    advance: Advance
    grow: Advance
    expected: Mapping[str, int]
    stop: Event = field(default_factory=Event)
    fetched: dict[str, FetchedCandles] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)

    def fetch_exchange(self, markets: Mapping[str, FetchConfig]) -> None:
        """Fetch the markets of one exchange; none is asked for after a ban."""
        banned: BannedError | None = None
        for name, config in markets.items():
            try:
                if banned is not None:
                    self.grow(-self.expected[name])
                    raise banned
                self.fetched[name] = self._fetch(config, self.expected[name])
            except KeyboardInterrupt:
                return
            except Exception as error:
                banned = error if isinstance(error, BannedError) else banned
                self.failures[name] = error

    def _fetch(self, config: FetchConfig, left: int) -> FetchedCandles:
        """Fetch a market of which ``left`` bars are in the total, and make that what they are."""
        begun, before = False, 0

        def on_progress(done: int, total: int) -> None:
            nonlocal begun, before, left
            if begun:
                self.advance(done - before)
                left -= done - before
            else:  # what the store has is no work
                self.grow(total - done - left)
                begun, left = True, total - done
            before = done

        try:
            return fetch_candles(config.market, config.data, on_progress, self.note, self.stop)
        finally:
            self.grow(-left)  # what was stored already, or is not served


@dataclass(frozen=True, eq=False)
class Fetches:
    """How the fetch of every market ended; the names are those that were given."""

    fetched: Mapping[str, FetchedCandles]
    failures: Mapping[str, UserError]


def fetch_markets(markets: Mapping[str, FetchConfig], console: Console) -> Fetches:
    """Fetch what the store lacks of every market, with one bar that counts all of it.

    A market that fails leaves the others going. Ctrl-C ends all of them; what has come is stored.

    Parameters
    ----------
    markets : mapping of str to FetchConfig
        By the name that a person gave them.
    console : Console
        Takes the progress and every note.
    """
    by_exchange: dict[str, dict[str, FetchConfig]] = {}
    for name, config in markets.items():
        by_exchange.setdefault(config.market.exchange.ccxt_id or "", {})[name] = config
    with console.growing_progress("rows") as (advance, grow):
        expected = {name: bars_expected(c.market, c.data) for name, c in markets.items()}
        run = _Run(console.note, advance, grow, expected)
        grow(sum(expected.values()))
        ends = [_start(run, mine) for mine in by_exchange.values()]
        _wait(ends, run)
    failures: dict[str, UserError] = {}
    for name in markets:
        failure = run.failures.get(name)
        if failure is None:
            continue
        if not isinstance(failure, UserError):
            raise failure
        failures[name] = failure
    return Fetches({name: run.fetched[name] for name in markets if name in run.fetched}, failures)


def _start(run: _Run, markets: Mapping[str, FetchConfig]) -> Event:
    """Fetch the markets of one exchange in a thread; return what is set at its end.

    It is waited for in place of the thread: before Python 3.13 a `Thread.join` that Ctrl-C
    interrupts takes the thread for ended (https://github.com/python/cpython/issues/89437).
    """
    end = Event()

    def work() -> None:
        try:
            run.fetch_exchange(markets)
        finally:
            end.set()

    Thread(target=work).start()
    return end


def _wait(ends: Sequence[Event], run: _Run) -> None:
    """Wait for the threads; on Ctrl-C let each keep what has come."""
    try:
        for end in ends:
            end.wait()
    except KeyboardInterrupt:
        run.stop.set()
        run.note("Stopping: what has come is stored first.")
        for end in ends:
            end.wait()
        raise
