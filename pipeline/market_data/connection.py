"""A ccxt client asked about one market: pages of candles, retries, errors as sentences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gpu_engine.records import Float
from pipeline.errors import UnreachableError, UserError, suggestion
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.store import Page, Span

if TYPE_CHECKING:
    import ccxt

T = TypeVar("T")

#: Candles to ask for in one request where ccxt does not know the exchange's own limit.
DEFAULT_PAGE = 500


@dataclass(frozen=True)
class Backoff:
    """Seconds before the next attempt: ``first_s``, doubling up to ``longest_s``.

    Each is shortened at random by up to half, so that many runs do not knock again all at once.
    """

    attempts: int = 6
    first_s: float = 1.0
    longest_s: float = 30.0


def new_client(exchange_id: str) -> ccxt.Exchange:
    """Make a client for public data of the spot markets.

    Raises
    ------
    UserError
        If ccxt does not know the exchange.
    """
    import ccxt  # 0.4 s: only for those who fetch

    if exchange_id not in ccxt.exchanges:
        raise UserError(
            f"ccxt knows no exchange '{exchange_id}'.{suggestion(exchange_id, ccxt.exchanges)}"
        )
    client = getattr(ccxt, exchange_id)()
    # Binance would load the futures markets of two more servers first.
    market_types = client.options.get("fetchMarkets") or {}
    if "spot" in market_types.get("types", ()):
        market_types["types"] = ["spot"]
    return client


@dataclass(frozen=True)
class Connection:
    """One market of one exchange; every failure is a `UserError` that names it."""

    client: ccxt.Exchange
    symbol: str
    timeframe: str
    backoff: Backoff

    def __str__(self) -> str:
        return f"{self.client.id} {self.symbol} {self.timeframe}"

    def check_market(self) -> None:
        """Refuse a timeframe or a symbol that the exchange does not have."""
        offered = self.client.timeframes or {}
        if self.timeframe not in offered:
            raise UserError(
                f"{self.client.id} has no {self.timeframe} candles; it has {', '.join(offered)}."
            )
        markets = self._ask(self.client.load_markets)
        if self.symbol not in markets:
            raise UserError(
                f"{self.client.id} has no market '{self.symbol}', but {len(markets)} others."
                + suggestion(self.symbol, markets)
            )

    def now(self) -> int:
        """Time by the exchange's own clock, which decides whether a candle has closed."""
        if self.client.has["fetchTime"]:
            return int(self._ask(self.client.fetch_time))
        return int(self.client.milliseconds())

    def pages(self, span: Span, step_ms: int) -> Iterator[Page]:
        """Fetch a span page by page, oldest first; ends early where the exchange has no more.

        What follows the last candle is then not answered, and will be asked for again.
        """
        start, end = span
        while start < end:
            rows = self._page(start)
            if len(rows) == 0:
                return
            answered = min(int(rows[-1, 0]) + step_ms, end)
            yield rows[rows[:, 0] < end], (start, answered)
            start = answered

    def _page(self, since: int) -> Float:
        limit = self.client.feature_value(self.symbol, "fetchOHLCV", "limit", DEFAULT_PAGE)
        answer = self._ask(
            lambda: self.client.fetch_ohlcv(self.symbol, self.timeframe, since, limit)
        )
        rows = np.array(answer, dtype=np.float64).reshape(-1, len(COLUMNS))
        # An exchange that ignores `since` must not turn the pages back.
        rows = rows[rows[:, 0] >= since]
        return rows[np.argsort(rows[:, 0], kind="stable")]

    def _ask(self, call: Callable[[], T]) -> T:
        """Call until it succeeds; a refusal, or the last of the passing failures, is raised."""
        import ccxt

        jitter = np.random.default_rng()
        wait_s = self.backoff.first_s
        attempt = 1
        while True:
            try:
                return call()
            except ccxt.ExchangeError as error:
                raise UserError(f"{self}: the exchange refused: {error}") from error
            except ccxt.OperationFailed as error:
                if attempt == self.backoff.attempts:
                    raise UnreachableError(
                        f"{self}: no answer in {attempt} attempts; the last: {error}. What was"
                        " fetched before, if anything, is kept: run again later to go on from"
                        " there, or use data=file with candles of your own."
                    ) from error
            time.sleep(wait_s * jitter.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, self.backoff.longest_s)
            attempt += 1
