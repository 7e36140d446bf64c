"""Read a market in one word, EXCHANGE:SYMBOL:TIMEFRAME in ccxt's names (docs/markets.md).

Nothing here asks an exchange: fees are those that ccxt's class has of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from pipeline.config.data import Timeframe
from pipeline.errors import UserError, suggestion

if TYPE_CHECKING:
    import ccxt

#: Taken where ccxt does not know it: the costs of generated candles (fills rules §10.3).
ASSUMED_FEE, ASSUMED_SLIPPAGE = 0.001, 0.0005
#: Some of ccxt's classes have percents where fractions belong. No exchange takes that much.
LARGEST_FEE = 0.05

#: Two words for sentences: a spot market and a perpetual contract.
EXAMPLES = "okx:DOGE/USDT:30m or binanceusdm:BTC/USDT:USDT:5m"
#: A few exchanges begin an asset with a small k, of a thousand.
SYMBOL = re.compile(r"(k?[A-Z0-9]+)/([A-Z0-9]+)(?::([A-Z0-9]+))?")
#: An expiry behind a contract, and of an option its strike and kind.
_DATED = re.compile(r"(\w+/\w+(?::\w+)?)-\d{6}.*", re.ASCII)

#: Where ccxt's classes keep the fees of a contract type, the most exact first.
_FEES = {True: ("linear", "swap", "contract", "future", "trading"), False: ("spot", "trading")}


class MarketWord(NamedTuple):
    """The parts of a word; ``settle`` is None of a spot market."""

    exchange: str
    base: str
    quote: str
    settle: str | None
    timeframe: str

    @property
    def pair(self) -> str:
        """The symbol that ccxt has for it."""
        return f"{self.base}/{self.quote}" + (f":{self.settle}" if self.settle else "")


def is_market_word(word: str) -> bool:
    """Tell a market in one word from the name of a file; ``BTC/USDT`` is one that lacks parts."""
    return ":" in word or "/" in word


def parse(word: str) -> MarketWord:
    """Read a word.

    Raises
    ------
    UserError
        When it is none: the exchange is none of ccxt's, the symbol or the timeframe is none, or
        it is a contract that this program does not trade.
    """
    exchange, _, rest = word.partition(":")
    symbol, _, timeframe = rest.rpartition(":")
    if not (exchange and symbol and timeframe):
        raise UserError(
            f"market={word} is no market: write a name of conf/market, or EXCHANGE:SYMBOL:TIMEFRAME"
            f" in ccxt's names, such as {EXAMPLES}."
        )
    client = ccxt_class(exchange)
    allowed = get_args(Timeframe)
    if timeframe not in allowed:
        raise UserError(
            f"market={word} is no market: it must end in a timeframe that divides a UTC day"
            f" ({', '.join(allowed)}), not in '{timeframe}'.{suggestion(timeframe, allowed)}"
        )
    match = SYMBOL.fullmatch(symbol)
    if match is None:
        raise UserError(f"market={word} cannot be traded: {_wrong_symbol(symbol)}")
    base, quote, settle = match.groups()
    if client.has.get("spot" if settle is None else "swap") is False:
        raise UserError(f"market={word} cannot be traded: {_wrong_kind(match, exchange)}")
    return MarketWord(exchange, base, quote, settle, timeframe)


def _wrong_symbol(symbol: str) -> str:
    dated = _DATED.fullmatch(symbol)
    if dated:
        return (
            f"{symbol} is a contract that expires. This program trades spot markets and perpetual"
            f" contracts, such as {dated[1].partition(':')[0]} and {dated[1]}."
        )
    capital = symbol.upper()
    near = f" Did you mean {capital}?" if SYMBOL.fullmatch(capital) else ""
    return (
        f"'{symbol}' is no symbol of ccxt, which are BASE/QUOTE of a spot market (DOGE/USDT) and"
        f" BASE/QUOTE:QUOTE of a perpetual contract (DOGE/USDT:USDT), in capitals.{near}"
    )


def _wrong_kind(symbol: re.Match[str], exchange: str) -> str:
    base, quote, settle = symbol.groups()
    if settle is None:
        return (
            f"{exchange} has no spot markets. The perpetual contract is {base}/{quote}:{quote}"
            " where it has one."
        )
    return f"{exchange} has no perpetual contracts. The spot market is {base}/{quote}."


def ccxt_class(exchange: str) -> ccxt.Exchange:
    """Return a client of an exchange that has asked nothing yet.

    Raises
    ------
    UserError
        If ccxt does not know the exchange.
    """
    import ccxt  # 0.4 s: only for those who name an exchange

    if exchange not in ccxt.exchanges:
        near = suggestion(exchange.lower(), ccxt.exchanges)
        raise UserError(
            f"ccxt knows no exchange '{exchange}'.{near} scripts/markets lists those it knows."
        )
    client: ccxt.Exchange = getattr(ccxt, exchange)()
    return client


@lru_cache(maxsize=512)
def market_file(word: str, own: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a file of `conf/market` would hold, its defaults list with it.

    Parameters
    ----------
    word : str
        A market in one word.
    own : sequence of str
        Exchanges whose spot markets have a file in `conf/exchange`, which knows better.

    Raises
    ------
    UserError
        As `parse`.
    """
    market = parse(word)
    parts: dict[str, Any] = {
        "base": market.base,
        "quote": market.quote,
        "settle": market.settle,
        "timeframe": market.timeframe,
    }
    if market.exchange in own and market.settle is None:
        return {"defaults": [{"/exchange@exchange": market.exchange}], **parts}
    fees = class_fees(ccxt_class(market.exchange), perpetual=market.settle is not None)
    taker, maker = next(fees, (None, None))
    return {
        **parts,
        "exchange": {
            "name": market.exchange,
            "ccxt_id": market.exchange,
            "fee_rate": ASSUMED_FEE if taker is None else taker,
            "maker_fee": maker,
            "slippage": ASSUMED_SLIPPAGE,
            "history_candles": None,
            "assumed": ["slippage"] if taker is not None else ["fee_rate", "slippage"],
        },
    }


def class_fees(client: ccxt.Exchange, *, perpetual: bool) -> Iterator[tuple[float, float | None]]:
    """Yield the taker and the maker fee that ccxt's class has of a contract type, the best first.

    They are fractions of the notional; the maker fee is None where it is not known.
    """
    for kind in _FEES[perpetual]:
        fees = client.fees.get(kind) or {}
        fees = fees.get("trading", fees)
        taker, maker = fee(fees.get("taker")), fee(fees.get("maker"))
        if taker is not None and taker >= 0:
            yield taker, maker


def fee(value: Any) -> float | None:
    """Return a fee that can be one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < LARGEST_FEE else None
