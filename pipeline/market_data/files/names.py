"""Find the market that the name of a candle file tells, in the spelling of who wrote it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.config import MarketConfig
from pipeline.errors import UserError
from pipeline.market_data.timeframe import TIMEFRAMES, timeframe_name

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
    # Binance, by month or by day: BTCUSDT-5m-2023-01, BTCUSD_PERP-1mo-2023-01-31
    re.compile(
        r"(?P<pair>[A-Z0-9]+)(?P<contract>_PERP|_\d{6})?-(?P<timeframe>\d+[a-z]{1,2})"
        r"-\d{4}-\d\d(-\d\d)?"
    ),
    # freqtrade, a perpetual with its settlement: BTC_USDT-5m, BTC_USDT_USDT-5m-futures
    re.compile(
        r"(?P<base>[A-Z0-9]+)_(?P<quote>[A-Z0-9]+)(_(?P<settle>[A-Z0-9]+))?"
        r"-(?P<timeframe>\d+[a-zA-Z]{1,2})(-\w+)?"
    ),
)

#: What a name says of contracts: Binance's and freqtrade's folders and endings, TradingView's
#: BTCUSDT.P, OKX's BTC-USDT-SWAP. A perpetual in USD is settled in its base.
CONTRACTS = (
    ("inverse", re.compile(r"^cm$|coin[-_]?m(argined)?(?![a-z])|USD(_PERP|[-_]SWAP)", re.I)),
    ("dated", re.compile(r"^[A-Z0-9]+_\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-\d+[a-z])")),
    (
        "linear",
        re.compile(
            r"^um$|^futures$|-futures$|USD[TC]\.P(?![A-Z])"
            r"|[-_. ](perp(etual)?|swap)(?![A-Z]|[-_]?USD)",
            re.I,
        ),
    ),
    ("spot", re.compile(r"^spot$|-spot$|(?<![a-z])spot(?![a-z])", re.I)),
)

#: Prices at which nobody traded, by what a name says: Binance's folders, freqtrade's endings.
UNTRADED = (
    ("mark prices", re.compile(r"[-_ ]mark(?![a-z])|mark[-_ ]?price|^mark$", re.I)),
    ("premium indices", re.compile(r"premium[-_ ]?index", re.I)),
    ("index prices", re.compile(r"[-_ ]index(?![a-z]|[-_]?USD)|index[-_ ]?price", re.I)),
    ("funding rates", re.compile(r"funding[-_ ]?(rate|fee)", re.I)),
)

#: Folders above the given one that tell something: only those that exchanges give.
FOLDERS = ("um", "cm", "spot", "markPriceKlines", "indexPriceKlines", "premiumIndexKlines")

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
    """What a name tells; None where it is silent.

    Attributes
    ----------
    pair : str or None
        Without separators, such as ``XBTUSDT``; or the base alone.
    timeframe : str or None
    contract : {"spot", "linear", "inverse", "dated"} or None
        A perpetual future is settled in its quote (linear) or in its base (inverse); a dated one
        ends some day.
    prices : str or None
        What the file holds where that is no traded prices, such as ``mark prices``.
    """

    pair: str | None
    timeframe: str | None
    contract: str | None = None
    prices: str | None = None

    def __str__(self) -> str:
        kind = self.prices or (self.contract and CONTRACT_NAMES[self.contract])
        return " ".join(filter(None, (self.pair, self.timeframe, kind and f"({kind})")))

    @property
    def words(self) -> str:
        """What chooses this market on the command line; empty where the name does not tell."""
        pair = pair_in(self.pair or "")
        if pair is None or "".join(pair) != self.pair or self.contract not in (None, "spot"):
            return ""
        words = [f"market.base={_plain(pair.base)}", f"market.quote={_plain(pair.quote)}"]
        if self.timeframe in TIMEFRAMES:
            words.append(f"market.timeframe={self.timeframe}")
        return " ".join(words)

    def contradicts(self, pair: str, timeframe: str) -> bool:
        """Whether this is another market than ``pair`` (``BTC/USDT``) in ``timeframe``."""
        base, quote = pair.split(":")[0].split("/")
        names = {b + q for b in spellings(base) for q in ("", *spellings(quote))}
        other_pair = self.pair is not None and self.pair not in names
        other_contract = self.contract not in (None, "linear" if ":" in pair else "spot")
        other_timeframe = self.timeframe not in (None, timeframe)
        return other_pair or other_contract or other_timeframe or self.prices is not None


#: What a contract is called.
CONTRACT_NAMES = {
    "spot": "spot",
    "linear": "a perpetual future",
    "inverse": "a coin-margined future",
    "dated": "a future that ends",
}


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
            f" choose the market of the file, market.base={_plain(pair.base)}"
            f" market.quote={_plain(pair.quote)}, or rename the file if its name is wrong."
        )
    named = EXCHANGES.intersection(re.findall("[a-z]+", name.lower()))
    others = [other for other in named if not market.exchange.name.startswith(other)]
    return tuple(
        f"data.path={path} names {other}, the market is on {market.exchange.name}: its costs are"
        f" taken, and the result is stored as {market.id}."
        for other in sorted(others)
    )


def pair_in(name: str) -> Pair | None:
    """Find a pair with a well-known quote anywhere in a name, in letters of any case."""
    match = PAIR.search(name.upper()) or CRYPTO_PAIR.search(name.upper())
    return Pair(match["base"], match["quote"]) if match else None


def _plain(asset: str) -> str:
    return next((name for name, kraken in KRAKEN_SPELLING.items() if kraken == asset), asset)


def spellings(asset: str) -> tuple[str, ...]:
    """Return the names of an asset: ``BTC`` is Kraken's ``XBT``."""
    return asset, KRAKEN_SPELLING.get(asset, asset)


def market_in(parts: Iterable[str], above: Iterable[str] = ()) -> MarketName:
    """Read the last part of a path, then its folders for what that leaves open.

    Of the folders ``above`` the path that was given only those are asked that exchanges name.
    """
    pair = timeframe = contract = prices = None
    known = [part for part in above if part in FOLDERS]
    for part in reversed([*known, *parts]):
        name = _market_in_part(part)
        pair, timeframe = pair or name.pair, timeframe or name.timeframe
        contract, prices = contract or name.contract, prices or name.prices
    return MarketName(pair, timeframe, contract, prices)


def _market_in_part(part: str) -> MarketName:
    stem = part.split(".", maxsplit=1)[0]
    whole = re.sub(r"(\.(zip|gz|csv|tsv|txt|json|parquet|feather))+$", "", part, flags=re.I)
    prices = next((what for what, sign in UNTRADED if sign.search(whole)), None)
    contract = next((what for what, sign in CONTRACTS if sign.search(whole)), None)
    for pattern in PATTERNS:
        if match := pattern.fullmatch(stem):
            groups = match.groupdict()
            if minutes := groups.get("minutes"):
                timeframe = timeframe_name(int(minutes) * 60_000) or f"{minutes}m"
            else:
                timeframe = groups["timeframe"]
            if groups.get("settle"):
                contract = "linear" if groups["settle"] == groups["quote"] else "inverse"
            pair = groups.get("pair") or groups["base"] + groups["quote"]
            return MarketName(pair, timeframe, contract, prices)
    found, base, length = pair_in(stem), LONE_BASE.search(stem.upper()), TIMEFRAME.search(stem)
    name = "".join(found) if found else base[0] if base else None
    return MarketName(name, length[0] if length else None, contract, prices)
