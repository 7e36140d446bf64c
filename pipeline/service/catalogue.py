"""What can be chosen: the files of `conf`, read once. A client's words are looked up here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from pipeline.config import CONFIG_DIR
from pipeline.errors import UserError, suggestion

_EXCHANGE = "/exchange@exchange"


@dataclass(frozen=True)
class Market:
    """A market of `conf/market`: ``name`` is its file's; ``synthetic`` has invented candles."""

    name: str
    exchange: str
    pair: str
    timeframe: str
    synthetic: bool


@lru_cache(maxsize=1)
def markets() -> dict[str, Market]:
    """Return every market by name, those with real candles first."""
    found = [_market(path) for path in sorted((CONFIG_DIR / "market").glob("*.yaml"))]
    return {market.name: market for market in sorted(found, key=lambda m: m.synthetic)}


def strategies() -> list[str]:
    """Return the names of `conf/strategy`."""
    return sorted(path.stem for path in (CONFIG_DIR / "strategy").glob("*.yaml"))


def named(names: Sequence[str]) -> list[Market]:
    """Return markets by name, none twice.

    Raises
    ------
    UserError
        When one of them is none; it names those that are.
    """
    known = markets()
    for name in names:
        if name not in known:
            raise UserError(
                f"markets: {name} is no market; allowed are {', '.join(known)}."
                f"{suggestion(name, known)}"
            )
    return [known[name] for name in dict.fromkeys(names)]


def product(
    pairs: Sequence[str], exchanges: Sequence[str], timeframes: Sequence[str]
) -> list[Market]:
    """Return the markets of every combination.

    Two markets may differ in their candles alone, as ``demo`` and ``demo_null`` do in their pair:
    a combination stands for every market that fits it.

    Raises
    ------
    UserError
        When a word fits no market at all, or a combination fits none.
    """
    every = list(markets().values())
    for field, words in (("pair", pairs), ("exchange", exchanges), ("timeframe", timeframes)):
        allowed = sorted({getattr(market, field) for market in every})
        for word in words:
            if word not in allowed:
                raise UserError(
                    f"{field}s: no market has {word}; allowed are {', '.join(allowed)}."
                    f"{suggestion(word, allowed)}"
                )
    chosen: dict[str, Market] = {}
    for exchange in exchanges:
        for pair in pairs:
            for timeframe in timeframes:
                key = (exchange, pair, timeframe)
                fitting = {m.name: m for m in every if (m.exchange, m.pair, m.timeframe) == key}
                if not fitting:
                    raise UserError(
                        f"There is no market {exchange}:{pair}:{timeframe}; those of {exchange} are"
                        f" {', '.join(m.name for m in every if m.exchange == exchange)}."
                    )
                chosen |= fitting
    return list(chosen.values())


def _market(path: Path) -> Market:
    values: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    (word,) = (d[_EXCHANGE] for d in values["defaults"] if _EXCHANGE in d)
    exchange: Any = OmegaConf.load(CONFIG_DIR / "exchange" / f"{word}.yaml")
    return Market(
        name=path.stem,
        exchange=str(exchange.name),
        pair=f"{values['base']}/{values['quote']}",
        timeframe=values["timeframe"],
        synthetic=bool(values.get("synthetic", False)),
    )
