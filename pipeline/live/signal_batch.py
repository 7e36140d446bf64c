"""Make the signals of stored configurations, each market's candles loaded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from gpu_engine import DAY_MS, Candles
from pipeline.config import StoredConfig, milliseconds
from pipeline.errors import Note, UnreachableError, UserError
from pipeline.live.clients import Clients
from pipeline.live.exchange_feed import feed_of
from pipeline.live.feed import Feed, FeedKey
from pipeline.live.signal import refusal_of, signal_of, with_clock, without_late_entry
from pipeline.live.trader import NothingLiveError, Trader, trader_of
from pipeline.market_data.timeframe import utc
from pipeline.results.database import Repository
from pipeline.results.document.signal_models import Signal
from pipeline.results.records import Configuration
from pipeline.review.monitoring import newest_candles


def signals(
    config: StoredConfig,
    repository: Repository,
    configurations: Sequence[Configuration],
    as_of: datetime | None,
    note: Note,
) -> Iterator[Signal]:
    """Make the signal of each configuration; a refusal where it cannot be made.

    Parameters
    ----------
    as_of : datetime or None
        The time at which the signal is made, with the candles that had closed by then; None: now.
    """
    traders: dict[str, Trader] = {}
    refusals: dict[str, str] = {}
    for configuration in configurations:
        try:
            traders[configuration.id] = trader_of(repository, config.storage, configuration)
        except UserError as error:
            refusals[configuration.id] = _reason(error)
    candles = _Candles(config, repository, list(traders.values()), note)
    for configuration in configurations:
        trader = traders.get(configuration.id)
        now = as_of or candles.now(trader)
        if trader is None:
            yield refusal_of(configuration, refusals[configuration.id], now)
            continue
        try:
            loaded = candles.of(trader)
            now = as_of or candles.now(trader)
            series = trader.series(_until(loaded, as_of))
            if (
                series.start >= len(series.candles)
                and milliseconds(now) < trader.first_day * DAY_MS
            ):
                raise NothingLiveError(
                    f"its record ends with the day before {utc(trader.first_day * DAY_MS)}, and at"
                    f" {utc(milliseconds(now))} it did not exist. Name a later time."
                )
            signal = signal_of(trader, series, trader.standing(series), now)
            signal = without_late_entry(signal, now)
        except UserError as error:
            signal = refusal_of(configuration, _reason(error), now)
        yield signal if as_of else with_clock(signal, candles.ahead_ms(trader))


class _Candles:
    """Candles by market: loaded when first asked for, from the earliest candle of any trader."""

    def __init__(
        self, config: StoredConfig, repository: Repository, traders: Sequence[Trader], note: Note
    ) -> None:
        self._config, self._repository, self._note = config, repository, note
        self._away: set[str] = set()
        self._clients = Clients()
        self._feeds: dict[FeedKey, Feed | UserError] = {}
        self._first: dict[FeedKey, int] = {}
        for trader in traders:
            key = _key(trader)
            self._first[key] = min(trader.first_ms, self._first.get(key, trader.first_ms))

    def of(self, trader: Trader) -> Candles:
        """Return the candles of a trader's market.

        Raises
        ------
        UserError
            When they cannot be loaded; the same at every call.
        """
        if self._config.data is not None:
            return newest_candles(
                self._config, self._repository, trader.configuration, self._note, self._away
            )
        key = _key(trader)
        if key not in self._feeds:
            self._feeds[key] = self._loaded(trader, self._first[key])
        feed = self._feeds[key]
        if isinstance(feed, UserError):
            raise feed
        return feed.candles

    def now(self, trader: Trader | None) -> datetime:
        """Tell the time by the clock of what a trader's candles were loaded from, if it has one."""
        return datetime.now(UTC) + timedelta(milliseconds=self.ahead_ms(trader))

    def ahead_ms(self, trader: Trader | None) -> int:
        """Return how far that clock is ahead of this machine's, milliseconds."""
        feed = None if trader is None else self._feeds.get(_key(trader))
        return 0 if feed is None or isinstance(feed, UserError) else feed.ahead_ms

    def _loaded(self, trader: Trader, first_ms: int) -> Feed | UserError:
        market = trader.simulation.market
        exchange = market.exchange.name
        if exchange in self._away:
            return UnreachableError(f"{exchange} gave no usable answer before in this run.")
        feed = feed_of(market, trader.data, first_ms, self._note, clients=self._clients)
        try:
            feed.load()
        except UserError as error:
            if isinstance(error, UnreachableError):
                self._away.add(exchange)
            return error
        return feed


def _key(trader: Trader) -> FeedKey:
    return FeedKey.of(trader.simulation.market, trader.data)


def _until(candles: Candles, as_of: datetime | None) -> Candles:
    """Cut off what had not closed at a time."""
    if as_of is None:
        return candles
    last_open = milliseconds(as_of) - candles.step_ms
    count = int(np.searchsorted(candles.timestamp, last_open, "right"))
    if not count:
        raise NothingLiveError(f"no candle had closed by {utc(milliseconds(as_of))}.")
    return candles.cut(0, count)


def _reason(error: UserError) -> str:
    """Write an error as the clause of a refusal."""
    return str(error).rstrip(".")
