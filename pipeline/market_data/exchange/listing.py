"""List what can be traded: the exchanges that ccxt knows, and the markets of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import get_args

from pipeline.config.data import Timeframe
from pipeline.config.market_word import SYMBOL, ccxt_class, class_fees
from pipeline.errors import Note
from pipeline.market_data.exchange.connection import Backoff, Connection, load_markets, new_client
from pipeline.market_data.exchange.facts import MarketFacts, facts_of
from pipeline.market_data.exchange.network import AS_USUAL, Network
from pipeline.market_data.timeframe import timeframe_ms

#: Markets whose first candle is asked for, a request each.
MOST_ASKED = 20

_LATER = "Run this again later."


@dataclass(frozen=True)
class ExchangeRow:
    """An exchange that serves candles: fees of ccxt's class, None where it has no such market.

    ``spot`` and ``perpetual`` say whether it has such markets, ``funding`` whether ccxt can fetch
    the history of funding.
    """

    name: str
    spot: bool
    perpetual: bool
    spot_fee: float | None
    perpetual_fee: float | None
    funding: bool


@dataclass(frozen=True)
class MarketRow:
    """A market of an exchange, and the UTC day of its first candle, None where it is unknown."""

    symbol: str
    facts: MarketFacts
    first: str | None


def exchanges() -> Iterator[ExchangeRow]:
    """Yield the exchanges of ccxt that serve candles; nobody is asked."""
    import ccxt  # 0.4 s: only for those who name an exchange

    for name in ccxt.exchanges:
        client = ccxt_class(name)
        if not client.has.get("fetchOHLCV") or not client.timeframes:
            continue
        spot, perpetual = (client.has.get(kind) is not False for kind in ("spot", "swap"))
        fees = (next(class_fees(client, perpetual=kind), (None, None))[0] for kind in (False, True))
        spot_fee, perpetual_fee = fees
        yield ExchangeRow(
            name=name,
            spot=spot,
            perpetual=perpetual,
            spot_fee=spot_fee if spot else None,
            perpetual_fee=perpetual_fee if perpetual else None,
            funding=bool(client.has.get("fetchFundingRateHistory")),
        )


def markets_of(
    exchange: str, pattern: str, note: Note, network: Network = AS_USUAL
) -> tuple[list[str], list[MarketRow], int]:
    """Ask an exchange for its markets.

    Parameters
    ----------
    exchange : str
        Its name in ccxt.
    pattern : str
        Such as ``DOGE/*`` or ``*:USDT``, in any case of letters; ``DOGE`` is ``DOGE/*``.
    note : callable
        Called with a sentence for every wait.
    network : Network
        The way to the exchange.

    Returns
    -------
    (list of str, list of MarketRow, int)
        Timeframes of its candles that this program takes; the markets by symbol; how many more fit
        the pattern, and are contracts or have names that this program does not trade.

    Raises
    ------
    UserError
        If ccxt does not know the exchange, or it does not answer.
    """
    client = new_client(exchange, network)
    connection = Connection(client, "", "", Backoff(), note, _LATER, network=network)
    connection.ask(partial(load_markets, client))
    wanted = (pattern if set("/*?:") & set(pattern) else f"{pattern}/*").upper()
    fitting = [s for s in sorted(client.markets) if fnmatchcase(s.upper(), wanted)]
    known = {symbol: facts_of(client, symbol) for symbol in fitting if SYMBOL.fullmatch(symbol)}
    traded = {symbol: facts for symbol, facts in known.items() if facts.traded_here}
    offered = client.timeframes or {}
    timeframes = [word for word in get_args(Timeframe) if word in offered]
    asked = timeframes if len(traded) <= MOST_ASKED else []
    rows = [MarketRow(s, f, _listed(f) or _first(connection, s, asked)) for s, f in traded.items()]
    return timeframes, rows, len(fitting) - len(rows)


def _listed(facts: MarketFacts) -> str | None:
    return None if facts.listed is None else facts.listed[:10]


def _first(connection: Connection, symbol: str, timeframes: list[str]) -> str | None:
    """Ask for the first candle of a market, in the longest of some timeframes.

    Some exchanges answer with their newest candles whatever is asked, others for a window: what
    ends with the newest candle does not tell, nor does an answer without any.
    """
    import ccxt

    if not timeframes:
        return None
    client, timeframe = connection.client, timeframes[-1]
    try:
        rows = client.fetch_ohlcv(symbol, timeframe, 0, 1)
    except ccxt.BaseError:  # a figure beside others: the markets themselves have come
        return None
    if not rows or rows[-1][0] + 2 * timeframe_ms(timeframe) > client.milliseconds():
        return None
    return datetime.fromtimestamp(rows[0][0] / 1000, UTC).date().isoformat()
