"""What the name of a candle file tells about its market, in the spelling of who wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.market_data.timeframe import TIMEFRAMES

#: Kraken's own names of assets.
KRAKEN_SPELLING = {"BTC": "XBT", "DOGE": "XDG"}

#: Tried in turn on the name without its suffix; the first that fits tells.
PATTERNS = (
    # Kraken OHLCVT, minutes: XBTUSDT_5
    re.compile(r"(?P<pair>[A-Z0-9]+)_(?P<minutes>\d{1,5})"),
    # Binance, by month or by day: BTCUSDT-5m-2023-01, BTCUSDT-1mo-2023-01-31
    re.compile(r"(?P<pair>[A-Z0-9]+)-(?P<timeframe>\d+[a-z]{1,2})-\d{4}-\d\d(-\d\d)?"),
    # freqtrade, a perpetual with its settlement: BTC_USDT-5m, BTC_USDT_USDT-5m-futures
    re.compile(
        r"(?P<pair>[A-Z0-9]+_[A-Z0-9]+(_[A-Z0-9]+)?)-(?P<timeframe>\d+[a-zA-Z]{1,2})(-\w+)?"
    ),
)

#: Anywhere in any other name: BTC-USDT, BTC_USDT or BTCUSDT, and 5m.
PAIR = re.compile(
    r"(?<![A-Z0-9])[A-Z0-9]{2,10}?[-_]?(USDT|USDC|FDUSD|BUSD|USD|EUR|GBP)(?![A-Z0-9])"
)
TIMEFRAME = re.compile(r"(?<![A-Za-z0-9])\d+(s|m|h|d|w|M|mo)(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Told:
    """A pair without separators, such as ``XBTUSDT``, and a timeframe; None where not told."""

    pair: str | None
    timeframe: str | None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.pair, self.timeframe)))

    def contradicts(self, pair: str, timeframe: str) -> bool:
        """Whether this is another market than ``pair`` (``BTC/USDT``) in ``timeframe``."""
        other_pair = self.pair is not None and self.pair not in _spellings(pair)
        return other_pair or self.timeframe not in (None, timeframe)


def told(parts: Iterable[str]) -> Told:
    """Read the last part of a path, then its folders for what that leaves open."""
    pair = timeframe = None
    for part in reversed(list(parts)):
        here = _told(part.split(".", maxsplit=1)[0])
        pair, timeframe = pair or here.pair, timeframe or here.timeframe
    return Told(pair, timeframe)


def _told(stem: str) -> Told:
    for pattern in PATTERNS:
        if match := pattern.fullmatch(stem):
            groups = match.groupdict()
            timeframe = groups.get("timeframe") or _of_minutes(int(groups["minutes"]))
            return Told(groups["pair"].replace("_", ""), timeframe)
    pair, timeframe = PAIR.search(stem.upper()), TIMEFRAME.search(stem)
    return Told(re.sub("[-_]", "", pair[0]) if pair else None, timeframe[0] if timeframe else None)


def _of_minutes(minutes: int) -> str:
    names = {length: name for name, length in TIMEFRAMES.items()}
    return names.get(minutes * 60_000, f"{minutes}m")


def _spellings(pair: str) -> set[str]:
    base, quote = pair.split("/")
    return {b + q for b in _names(base) for q in _names(quote)}


def _names(asset: str) -> tuple[str, ...]:
    return asset, KRAKEN_SPELLING.get(asset, asset)
