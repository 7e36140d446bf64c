"""A ccxt client asked about one market: whether it is there, the time, candles from a moment on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gpu_engine.records import Float
from pipeline.errors import UserError, suggestion
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.retry import Backoff, Note, ask

if TYPE_CHECKING:
    import ccxt

T = TypeVar("T")

#: Candles to ask for in one request where ccxt does not know the exchange's own limit.
DEFAULT_PAGE = 500


def new_client(exchange_id: str) -> ccxt.Exchange:
    """Make a client for public data of the spot markets that hides nothing of an answer.

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
    _unveil(client)
    return client


def _unveil(client: Any) -> None:
    """Undo two habits of ccxt that make a bad answer look like the end of the history."""
    import ccxt

    fetch, parse_ohlcvs = client.fetch, client.parse_ohlcvs

    def fetch_json(*args: Any, **options: Any) -> Any:
        """Refuse text, which ccxt hands on and then finds no candles (or no markets) in."""
        answer = fetch(*args, **options)
        if not isinstance(answer, dict | list):
            raise ccxt.BadResponse(f"{client.id} answered with invalid JSON: {answer[:60]!r}...")
        return answer

    def parse_all(rows: Any, market: Any = None, *_: Any, **__: Any) -> Any:
        """Keep the rows before ``since``, which tell that an exchange ignored it."""
        return parse_ohlcvs(rows, market)

    client.fetch, client.parse_ohlcvs = fetch_json, parse_all


@dataclass(frozen=True)
class Connection:
    """One market of one exchange; every failure is a `UserError` that names it."""

    client: ccxt.Exchange
    symbol: str
    timeframe: str
    backoff: Backoff
    note: Note

    def __str__(self) -> str:
        return f"{self.client.id} {self.symbol} {self.timeframe}"

    def check_market(self, timeframe_needed: bool = True) -> None:
        """Refuse a timeframe (unless candles are built here) or a symbol the exchange lacks."""
        offered = self.client.timeframes or {}
        if timeframe_needed and self.timeframe not in offered:
            raise UserError(
                f"{self.client.id} has no {self.timeframe} candles; it has {', '.join(offered)}."
            )
        markets = self.ask(self.client.load_markets)
        if self.symbol not in markets:
            raise UserError(
                f"{self.client.id} has no market '{self.symbol}', but {len(markets)} others."
                + suggestion(self.symbol, markets)
            )

    def now(self) -> int:
        """Time by the exchange's own clock, which decides whether a candle has closed."""
        if self.client.has["fetchTime"]:
            return int(self.ask(self.client.fetch_time))
        return int(self.client.milliseconds())

    def candles_from(self, since: int, step_ms: int) -> Float:
        """Ask once for what opens at ``since`` or later; whatever comes, by time, one row a time.

        Returns
        -------
        float64 array of shape (n, 6)
            In the order of `COLUMNS`. The last may still be forming. An answer of which nothing
            is as late as ``since`` counts as a failure that may pass by.
        """
        import ccxt

        limit = self.client.feature_value(self.symbol, "fetchOHLCV", "limit", DEFAULT_PAGE)

        def call() -> Float:
            answer = self.client.fetch_ohlcv(self.symbol, self.timeframe, since, limit)
            rows = np.array(answer, dtype=np.float64).reshape(-1, len(COLUMNS))
            if not np.isfinite(rows).all():
                raise ccxt.BadResponse(f"{self.client.id} answered with candles without numbers")
            # From the back, so that of a row sent twice the later one stays.
            _, last = np.unique(rows[::-1, 0], return_index=True)
            rows = rows[::-1][last]
            # The candle just before `since` alone is how some exchanges say "nothing new".
            if len(rows) and rows[-1, 0] + step_ms < since:
                raise ccxt.BadResponse(
                    f"{self.client.id} ignores the start it is asked for: its pages do not advance"
                )
            return rows

        return self.ask(call)

    def ask(self, call: Callable[[], T]) -> T:
        """Call the client until it answers (see `pipeline.market_data.retry.ask`)."""
        return ask(call, self.client, str(self), self.backoff, self.note)
