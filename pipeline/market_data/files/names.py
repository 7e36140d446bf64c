"""Find the market that the name of a candle file tells, in the spelling of who wrote it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.config import MarketConfig
from pipeline.errors import UserError
from pipeline.market_data.timeframe import timeframe_name

#: Exchanges whose name in a file's name is taken for the file's own.
EXCHANGES = frozenset(
    ("binance", "bitfinex", "bitstamp", "bybit", "coinbase", "gemini", "kraken", "kucoin", "okx")
)

#: Kraken's own names of assets.
KRAKEN_SPELLING = {"BTC": "XBT", "DOGE": "XDG"}

#: Tried in turn on the name without its suffix; the first that fits tells.
PATTERNS = (
    # Kraken OHLCVT, minutes: XBTUSDT_5; BTCUSDT_2023 is a year
    re.compile(r"(?P<pair>[A-Z0-9]+)_(?!(19|20)\d\d$)(?P<minutes>\d{1,5})"),
    # Binance, by month or by day: BTCUSDT-5m-2023-01, BTCUSDT-1mo-2023-01-31
    re.compile(r"(?P<pair>[A-Z0-9]+)-(?P<timeframe>\d+[a-z]{1,2})-\d{4}-\d\d(-\d\d)?"),
    # freqtrade, a perpetual with its settlement: BTC_USDT-5m, BTC_USDT_USDT-5m-futures
    re.compile(
        r"(?P<pair>[A-Z0-9]+_[A-Z0-9]+(_[A-Z0-9]+)?)-(?P<timeframe>\d+[a-zA-Z]{1,2})"
        r"(-(spot|futures|(?P<other>\w+)))?"
    ),
)

#: Assets that are known for one without a quote beside them, or with another as their quote.
MAJOR = "BTC|XBT|ETH|SOL|XRP|BNB|ADA|DOGE|XDG|LTC|BCH|DOT|AVAX|LINK|TRX"

#: Anywhere in any other name: BTC-USDT, BTC_USDT, BTCUSDT or ETHBTC; ETH alone; and 5m.
PAIR = re.compile(
    r"(?<![A-Z0-9])(?P<base>[A-Z0-9]{2,10}?)[-_]?"
    r"(?P<quote>USDT|USDC|FDUSD|BUSD|USD|DAI|EUR|GBP|JPY|AUD|CAD|CHF|TRY|BRL|KRW)(?![A-Z0-9])"
)
CRYPTO_PAIR = re.compile(
    rf"(?<![A-Z0-9])(?P<base>{MAJOR})[-_]?(?P<quote>BTC|XBT|ETH|BNB)(?![A-Z0-9])"
)
LONE_BASE = re.compile(rf"(?<![A-Z0-9])({MAJOR})(?![A-Z0-9])")
TIMEFRAME = re.compile(r"(?<![A-Za-z0-9])\d+(s|m|h|d|w|M|mo)(?![A-Za-z0-9])")


class Pair(NamedTuple):
    """The two assets of a pair, as the name spells them."""

    base: str
    quote: str


@dataclass(frozen=True)
class MarketName:
    """A pair without separators, such as ``XBTUSDT``, and a timeframe; None where a name has none.

    The pair may be a base alone, and has ``-mark`` and the like behind it where the file holds
    other prices than those of trades.
    """

    pair: str | None
    timeframe: str | None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.pair, self.timeframe)))

    def contradicts(self, pair: str, timeframe: str) -> bool:
        """Whether this is another market than ``pair`` (``BTC/USDT``) in ``timeframe``."""
        base, quote = pair.partition(":")[0].split("/")
        names = {b + q for b in spellings(base) for q in ("", *spellings(quote))}
        other_pair = self.pair is not None and self.pair not in names
        return other_pair or self.timeframe not in (None, timeframe)


def check_file_name(market: MarketConfig, path: str) -> tuple[str, ...]:
    """Refuse a file whose name has another coin than the market, which no figure would show.

    Returns
    -------
    tuple of str
        A warning for every other exchange in the name: its candles may stand for the market's.

    Raises
    ------
    UserError
        If the name has a pair of another base.
    """
    name = Path(path).name
    pair = pair_in(name)
    if pair and pair.base not in spellings(market.base):
        raise UserError(
            f"data.path={path} names {pair.base}/{pair.quote}, the market is {market.pair}:"
            " choose the market of the file, or rename the file if its name is wrong."
        )
    others = EXCHANGES.intersection(re.findall("[a-z]+", name.lower())) - {market.exchange.name}
    return tuple(
        f"data.path={path} names {other}, the market is on {market.exchange.name}: its costs are"
        f" taken, and the result is stored as {market.id}."
        for other in sorted(others)
    )


def pair_in(name: str) -> Pair | None:
    """Find a pair with a well-known quote anywhere in a name, in letters of any case."""
    match = PAIR.search(name.upper()) or CRYPTO_PAIR.search(name.upper())
    return Pair(match["base"], match["quote"]) if match else None


def spellings(asset: str) -> tuple[str, ...]:
    """Return the names of an asset: ``BTC`` is Kraken's ``XBT``."""
    return asset, KRAKEN_SPELLING.get(asset, asset)


def market_in(parts: Iterable[str]) -> MarketName:
    """Read the last part of a path, then its folders for what that leaves open."""
    pair = timeframe = None
    for part in reversed(list(parts)):
        name = _market_in_stem(part.split(".", maxsplit=1)[0])
        pair, timeframe = pair or name.pair, timeframe or name.timeframe
    return MarketName(pair, timeframe)


def _market_in_stem(stem: str) -> MarketName:
    for pattern in PATTERNS:
        if match := pattern.fullmatch(stem):
            groups = match.groupdict()
            if minutes := groups.get("minutes"):
                timeframe = timeframe_name(int(minutes) * 60_000) or f"{minutes}m"
            else:
                timeframe = groups["timeframe"]
            other = f"-{groups['other']}" if groups.get("other") else ""
            return MarketName(groups["pair"].replace("_", "") + other, timeframe)
    pair, base, length = pair_in(stem), LONE_BASE.search(stem.upper()), TIMEFRAME.search(stem)
    name = "".join(pair) if pair else base[0] if base else None
    return MarketName(name, length[0] if length else None)
